/**
 * Opens sealed credentials of format 1, byte for byte as docs/formats/envelope.md defines them.
 *
 * May see: one data key and the fields it opens, during one call. Must never: keep or print either, trust what the
 * envelope does not bind, or say why an envelope does not open: every cause is one error.
 */
import { createDecipheriv, createHash, createHmac, timingSafeEqual } from "node:crypto";

import { CredentialType, ProviderKind } from "../gen/codevector/providers/v1/provider_pb.js";
import type { SealedCredential } from "../gen/codevector/providers/v1/routing_service_pb.js";
import { CredentialCorrupt } from "./errors.js";

/** What the registry claims about one credential. */
export type Sealed = Pick<
  SealedCredential,
  "providerUid" | "kind" | "type" | "credentialVersion" | "envelope" | "context" | "commitment" | "destinations"
>;

/** What the opener itself knows: its deployment, its routing table, the destinations it derived. */
export interface Expected {
  readonly deploymentId: Uint8Array;
  readonly providerUid: string;
  readonly kind: ProviderKind;
  readonly type: CredentialType;
  readonly credentialVersion: bigint;
  readonly destinations: readonly string[];
}

//  bytes      envelope
//  0..3       "CVC1"
//  4, 5, 6..7 format 1, suite 1, flags 0
//  8..23      id of the data key
//  24..55     commitment
//  56..67     nonce
//  68..       AES-256-GCM ciphertext, a multiple of 256 bytes, and its tag of 16
const PREFIX = Buffer.from("CVC1\x01\x01\x00\x00", "latin1");
const DEK_ID_END = 24;
const HEADER_END = 56;
const NONCE_END = 68;
const TAG_BYTES = 16;
const BLOCK_BYTES = 256;
const MAX_PLAIN_BYTES = 64 * 1024;
const MAX_DESTINATIONS = 8;
const UUID_FORM = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const { API_KEY, AWS_ACCESS_KEY, GCP_SERVICE_ACCOUNT_KEY, AZURE_CLIENT_SECRET, AMBIENT } = CredentialType;
const TYPES: Readonly<Partial<Record<ProviderKind, readonly CredentialType[]>>> = {
  [ProviderKind.OPENAI]: [API_KEY],
  [ProviderKind.ANTHROPIC]: [API_KEY],
  [ProviderKind.GOOGLE]: [API_KEY],
  [ProviderKind.GROQ]: [API_KEY],
  [ProviderKind.COHERE]: [API_KEY],
  [ProviderKind.DEEPSEEK]: [API_KEY],
  [ProviderKind.MOONSHOT]: [API_KEY],
  [ProviderKind.OPENAI_COMPATIBLE]: [API_KEY],
  [ProviderKind.AZURE]: [API_KEY, AZURE_CLIENT_SECRET, AMBIENT],
  [ProviderKind.BEDROCK]: [API_KEY, AWS_ACCESS_KEY, AMBIENT],
  [ProviderKind.VERTEX]: [GCP_SERVICE_ACCOUNT_KEY, AMBIENT],
  [ProviderKind.VERTEX_ANTHROPIC]: [GCP_SERVICE_ACCOUNT_KEY, AMBIENT],
};
const FIELDS: Readonly<Partial<Record<CredentialType, { required: readonly string[]; optional: readonly string[] }>>> =
  {
    [API_KEY]: { required: ["api_key"], optional: [] },
    [AWS_ACCESS_KEY]: {
      required: ["access_key_id", "secret_access_key"],
      optional: ["assume_role_arn", "session_token"],
    },
    [GCP_SERVICE_ACCOUNT_KEY]: {
      required: ["client_email", "private_key", "private_key_id", "project_id"],
      optional: [],
    },
    [AZURE_CLIENT_SECRET]: { required: ["client_id", "client_secret", "tenant_id"], optional: [] },
    [AMBIENT]: { required: [], optional: [] },
  };

/** Checks everything that needs no data key, so that a wrong wrapped key is never unwrapped. */
export function check(sealed: Sealed, expected: Expected): void {
  const envelope = Buffer.from(sealed.envelope);
  const plainBytes = envelope.length - NONCE_END - TAG_BYTES;
  const isAsExpected =
    plainBytes >= BLOCK_BYTES &&
    plainBytes <= MAX_PLAIN_BYTES &&
    plainBytes % BLOCK_BYTES === 0 &&
    envelope.subarray(0, PREFIX.length).equals(PREFIX) &&
    sealed.providerUid === expected.providerUid &&
    sealed.kind === expected.kind &&
    sealed.type === expected.type &&
    sealed.credentialVersion === expected.credentialVersion &&
    TYPES[expected.kind]?.includes(expected.type) &&
    isSame(sealed.context, encodeContext(expected, envelope.subarray(PREFIX.length, DEK_ID_END))) &&
    isSame(sealed.commitment, envelope.subarray(DEK_ID_END, HEADER_END)) &&
    expected.destinations.length > 0 &&
    expected.destinations.every((item) => sealed.destinations.includes(item));
  if (!isAsExpected) throw corrupt();
  encodeDestinations(sealed.destinations);
}

/** The fields of the credential, in plain text. Throws CredentialCorrupt, whatever is wrong. */
export function openSealed(sealed: Sealed, expected: Expected, dek: Uint8Array): Map<string, string> {
  check(sealed, expected);
  const digest = createHash("sha256").update(sealed.context).digest();
  if (dek.length !== 32 || !isSame(sealed.commitment, expand(dek, "codevector/commit/1", digest))) throw corrupt();
  const envelope = Buffer.from(sealed.envelope);
  const aad = Buffer.concat([
    envelope.subarray(0, HEADER_END),
    encode(
      "codevector/cred/1",
      sealed.context,
      u32(expected.kind),
      u32(expected.type),
      encodeDestinations(sealed.destinations),
    ),
  ]);
  const key = expand(dek, "codevector/enc/1", digest);
  const plain = decrypt(key, envelope.subarray(HEADER_END), aad);
  try {
    return decodeFields(unpad(plain), expected.type);
  } finally {
    plain.fill(0);
    key.fill(0);
  }
}

/** AES-256-GCM, nonce first, tag last. Source: NIST SP 800-38D. */
function decrypt(key: Buffer, sealed: Buffer, aad: Buffer): Buffer {
  const cipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, NONCE_END - HEADER_END), {
    authTagLength: TAG_BYTES,
  });
  cipher.setAAD(aad);
  cipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  const plain = cipher.update(sealed.subarray(NONCE_END - HEADER_END, -TAG_BYTES));
  try {
    cipher.final();
  } catch {
    plain.fill(0);
    throw corrupt();
  }
  return plain;
}

/** CTX, recomputed from what this router knows; only the data key's id comes from the envelope. */
function encodeContext(expected: Expected, dekId: Buffer): Buffer {
  const { deploymentId, providerUid, credentialVersion } = expected;
  const isVersion = credentialVersion >= 1n && credentialVersion < 1n << 63n;
  if (deploymentId.length !== 16 || !UUID_FORM.test(providerUid) || !isVersion) throw corrupt();
  const version = Buffer.alloc(8);
  version.writeBigUInt64BE(credentialVersion);
  const uid = Buffer.from(providerUid.replaceAll("-", ""), "hex");
  return encode("codevector/dek/1", deploymentId, Buffer.from("default"), uid, dekId, version);
}

/** DST of the stored list, verbatim; it must be in the one form that is ever sealed. */
function encodeDestinations(items: readonly string[]): Buffer {
  const isOneForm =
    items.length >= 1 &&
    items.length <= MAX_DESTINATIONS &&
    items.every((item, index) => /^[\x00-\x7f]*$/.test(item) && (index === 0 || items[index - 1]! < item));
  if (!isOneForm) throw corrupt();
  return encode("codevector/dest/1", ...items.map((item) => Buffer.from(item, "latin1")));
}

/** Cuts 0x80 and zeros. Only the shortest padding that fills a block: one plaintext has one encoding. */
function unpad(plain: Buffer): Buffer {
  const end = plain.lastIndexOf(0x80);
  if (end < 0 || plain.length - end > BLOCK_BYTES || plain.subarray(end + 1).some(Boolean)) throw corrupt();
  return plain.subarray(0, end);
}

/** The named fields: sorted, each once, exactly those of the type. */
function decodeFields(octets: Buffer, type: CredentialType): Map<string, string> {
  const [label, ...parts] = split(octets);
  const allowed = FIELDS[type];
  if (label !== "codevector/fields/1" || parts.length % 2 !== 0 || allowed === undefined) throw corrupt();
  const fields = new Map<string, string>();
  for (let index = 0; index < parts.length; index += 2) fields.set(parts[index]!, parts[index + 1]!);
  const names = parts.filter((_, index) => index % 2 === 0);
  const isOneForm =
    names.every((name, index) => index === 0 || names[index - 1]! < name) &&
    allowed.required.every((name) => fields.has(name)) &&
    names.every((name) => allowed.required.includes(name) || allowed.optional.includes(name));
  if (!isOneForm) throw corrupt();
  return fields;
}

/** The fields of an LP as UTF-8 text, which must consume all input. */
function split(octets: Buffer): string[] {
  const texts: string[] = [];
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    for (let start = 0; start < octets.length;) {
      const end = start + 4 + octets.readUInt32BE(start);
      if (end > octets.length) throw corrupt();
      texts.push(utf8.decode(octets.subarray(start + 4, end)));
      start = end;
    }
  } catch {
    throw corrupt();
  }
  return texts;
}

/** LP: each part as its length, u32be, and its bytes. */
function encode(label: string, ...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from(label), ...parts].flatMap((part) => [u32(part.length), part]));
}

function u32(value: number): Buffer {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(value);
  return octets;
}

/** HKDF-Expand with SHA-256, one block of 32 bytes. Source: RFC 5869 section 2.3. */
function expand(key: Uint8Array, label: string, digest: Buffer): Buffer {
  return createHmac("sha256", key).update(label).update(digest).update("\x01").digest();
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}

function corrupt(): CredentialCorrupt {
  return new CredentialCorrupt(
    "The sealed credential does not open for this provider as it is configured: set its credential again.",
  );
}
