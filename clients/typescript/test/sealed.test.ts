import assert from "node:assert/strict";
import { createCipheriv, createHash, createHmac } from "node:crypto";
import { describe, it } from "node:test";

import { CredentialType, ProviderKind } from "../gen/codevector/providers/v1/provider_pb.js";
import { CredentialCorrupt } from "../src/errors.js";
import { check, type Expected, openSealed, type Sealed } from "../src/sealed.js";
import { vector, VECTORS } from "./vectors.js";

const OPENING = VECTORS.filter(({ opens }) => opens);
const REFUSED = VECTORS.filter(({ opens }) => !opens);

function refuses(sealed: Sealed, expected: Expected, dek: Uint8Array): void {
  assert.throws(() => openSealed(sealed, expected, dek), CredentialCorrupt);
}

function flipped(octets: Uint8Array, index: number, mask = 1): Uint8Array {
  const copy = Buffer.from(octets);
  copy[index]! ^= mask;
  return copy;
}

describe("the shared vectors", () => {
  it("are all there", () => {
    const kinds = Object.values(ProviderKind).filter((each) => typeof each === "number" && each !== 0);
    assert.deepEqual(new Set(OPENING.map(({ sealed }) => sealed.kind)), new Set(kinds));
    assert.ok(OPENING.length >= 20);
    assert.equal(REFUSED.length, 1);
  });
  for (const { name, sealed, expected, dek, fields } of OPENING) {
    it(`${name} opens`, () => {
      assert.deepEqual(Object.fromEntries(openSealed(sealed, expected, dek)), fields);
    });
  }
  for (const { name, sealed, expected, dek } of REFUSED) {
    it(`${name} is refused`, () => refuses(sealed, expected, dek));
  }
});

describe("a garbled credential is refused", () => {
  const { sealed, expected, dek } = vector("bedrock-aws-access-key");

  it("whichever bit of the envelope is flipped", () => {
    for (let bit = 0; bit < sealed.envelope.length * 8; bit++) {
      refuses({ ...sealed, envelope: flipped(sealed.envelope, bit >> 3, 1 << (bit & 7)) }, expected, dek);
    }
  });
  it("whichever byte of context, commitment or data key is changed", () => {
    for (const part of ["context", "commitment"] as const) {
      for (let index = 0; index < sealed[part].length; index++) {
        refuses({ ...sealed, [part]: flipped(sealed[part], index) }, expected, dek);
      }
    }
    for (let index = 0; index < dek.length; index++) refuses(sealed, expected, flipped(dek, index));
  });
  it("wherever it is cut, and when it is longer than it was", () => {
    for (let length = 0; length < sealed.envelope.length; length++) {
      refuses({ ...sealed, envelope: sealed.envelope.subarray(0, length) }, expected, dek);
    }
    refuses({ ...sealed, envelope: Buffer.concat([sealed.envelope, Buffer.alloc(256)]) }, expected, dek);
    refuses({ ...sealed, context: new Uint8Array() }, expected, dek);
    refuses({ ...sealed, commitment: new Uint8Array() }, expected, dek);
    refuses(sealed, expected, new Uint8Array());
  });

  const claims: Record<string, Partial<Sealed>> = {
    "another provider": { providerUid: "7b0d3f0b-8f11-4a53-9c1c-0a7d3f0b8f22" },
    "another kind": { kind: ProviderKind.AZURE },
    "another type": { type: CredentialType.API_KEY },
    "another version": { credentialVersion: sealed.credentialVersion + 1n },
    "no destinations": { destinations: [] },
    "other destinations": { destinations: ["api https://evil.example"] },
    "a destination more": { destinations: [...sealed.destinations, "token https://z.example"] },
    "destinations in another order": { destinations: sealed.destinations.toReversed() },
    "a destination twice": { destinations: [sealed.destinations[0]!, ...sealed.destinations] },
    "a destination that is not ASCII": { destinations: [...sealed.destinations, "token https://ö.example"] },
    "too many destinations": { destinations: [...sealed.destinations, ..."bcdefgh"].sort() },
  };
  for (const [what, claim] of Object.entries(claims)) {
    it(`when it claims ${what}`, () => refuses({ ...sealed, ...claim }, expected, dek));
  }

  const knowledge: Record<string, Partial<Expected>> = {
    "another deployment": { deploymentId: Buffer.alloc(16, 9) },
    "a deployment of another length": { deploymentId: Buffer.alloc(15) },
    "nowhere to send it": { destinations: [] },
    "a destination that it was not sealed for": { destinations: ["api https://evil.example"] },
  };
  for (const [what, known] of Object.entries(knowledge)) {
    it(`when the router knows ${what}`, () => refuses(sealed, { ...expected, ...known }, dek));
  }
  it("when claim and table agree on what was not sealed", () => {
    const lies = [
      { providerUid: "7b0d3f0b-8f11-4a53-9c1c-0a7d3f0b8f22" },
      { providerUid: "nonsense" },
      { kind: ProviderKind.VERTEX },
      { kind: 99 as ProviderKind },
      { type: CredentialType.API_KEY },
      { type: CredentialType.GCP_SERVICE_ACCOUNT_KEY },
      { type: 99 as CredentialType },
      { credentialVersion: 0n },
      { credentialVersion: -1n },
      { credentialVersion: 1n << 63n },
    ];
    for (const lie of lies) refuses({ ...sealed, ...lie }, { ...expected, ...lie }, dek);
  });
  it("before its wrapper is unwrapped, where that shows", () => {
    for (const lie of [{ type: CredentialType.GCP_SERVICE_ACCOUNT_KEY }, { kind: 99 as ProviderKind }]) {
      assert.throws(() => check({ ...sealed, ...lie }, { ...expected, ...lie }), CredentialCorrupt);
    }
    assert.throws(() => check({ ...sealed, commitment: Buffer.alloc(32) }, expected), CredentialCorrupt);
  });
});

describe("a plaintext in another form is refused", () => {
  const { sealed, expected, dek } = vector("azure-client-secret");
  const label = Buffer.from("codevector/fields/1");
  const fields = ["client_id", "i", "client_secret", "s", "tenant_id", "t"];
  const texts = (...values: string[]): Buffer => prefixed(label, ...values.map((value) => Buffer.from(value)));

  it("the one form opens", () => {
    const opened = openSealed(seal(padded(texts(...fields))), expected, dek);
    assert.deepEqual([...opened.values()], ["i", "s", "t"]);
  });

  it("the longest opens", () => {
    const longest = padded(texts("client_id", "i", "client_secret", "s".repeat(65_400), "tenant_id", "t"), 256);
    assert.equal(openSealed(seal(longest), expected, dek).get("client_secret")?.length, 65_400);
  });

  const others: Record<string, Buffer> = {
    nothing: padded(Buffer.alloc(0)),
    "no padding": texts("client_id", "i".repeat(256 - 19 - 4 - 4 - 9 - 4)),
    "a block more of padding": padded(texts(...fields), 2),
    "padding that is not zero": Buffer.concat([padded(texts(...fields)).subarray(0, -1), Buffer.of(1)]),
    "another label": padded(prefixed(Buffer.from("codevector/fields/2"), ...fields.map((text) => Buffer.from(text)))),
    "a name without its value": padded(texts(...fields, "z")),
    "a field missing": padded(texts(...fields.slice(2))),
    "a field more": padded(texts(...fields, "z", "z")),
    "a field twice": padded(texts(...fields, "tenant_id", "t")),
    "fields in another order": padded(texts(...fields.slice(2), ...fields.slice(0, 2))),
    "a value that is not UTF-8": padded(
      prefixed(label, ...fields.slice(0, 5).map((text) => Buffer.from(text)), Buffer.of(0xff)),
    ),
    "a length beyond the end": padded(Buffer.concat([texts(...fields), Buffer.of(0, 0, 1, 0)])),
    "more than 64 KiB": padded(texts("client_id", "i", "client_secret", "s".repeat(65_500), "tenant_id", "t"), 257),
    "half a length": padded(Buffer.concat([texts(...fields), Buffer.of(0, 0)])),
  };
  for (const [what, plain] of Object.entries(others)) {
    it(what, () => {
      assert.equal(plain.length % 256, 0);
      refuses(seal(plain), expected, dek);
    });
  }

  /** The vector's credential with another plaintext. */
  function seal(plain: Buffer): Sealed {
    const digest = createHash("sha256").update(sealed.context).digest();
    const key = createHmac("sha256", dek).update("codevector/enc/1").update(digest).update("\x01").digest();
    const header = sealed.envelope.subarray(0, 56);
    const numbers = [sealed.kind, sealed.type].map((number) => Buffer.of(0, 0, 0, number));
    const destinations = prefixed(
      Buffer.from("codevector/dest/1"),
      ...sealed.destinations.map((item) => Buffer.from(item)),
    );
    const bound = prefixed(Buffer.from("codevector/cred/1"), sealed.context, ...numbers, destinations);
    const nonce = Buffer.alloc(12);
    const cipher = createCipheriv("aes-256-gcm", key, nonce);
    cipher.setAAD(Buffer.concat([header, bound]));
    const octets = [header, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()];
    return { ...sealed, envelope: Buffer.concat(octets) };
  }

  function padded(octets: Buffer, blocks = 1): Buffer {
    return Buffer.concat([octets, Buffer.of(0x80), Buffer.alloc(256 * blocks - octets.length - 1)]);
  }

  function prefixed(...parts: Uint8Array[]): Buffer {
    return Buffer.concat(
      parts.flatMap((part) => [Buffer.of(0, part.length >> 16, part.length >> 8, part.length), part]),
    );
  }
});
