/**
 * What can go wrong for a router: classes to catch, and the API's reasons to branch on. No message contains secrets.
 */
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";

import { type ErrorInfo, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import type { Status } from "../gen/google/rpc/status_pb.js";

export interface ErrorOptions {
  /** The API's reason; by default that of the class. */
  readonly reason?: string;
  /** Repeats the variables of the message. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Base of every error of this library. */
export class ProvidersError extends Error {
  static readonly defaultReason: string = "INTERNAL";
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;

  constructor(message: string, options: ErrorOptions = {}) {
    super(message);
    this.name = new.target.name;
    this.reason = options.reason || new.target.defaultReason;
    this.metadata = options.metadata ?? {};
  }
}

/** The registry or the key sidecar does not respond; try again. */
export class Unavailable extends ProvidersError {}

/** The registry does not respond in time. */
export class RegistryUnavailable extends Unavailable {
  static override readonly defaultReason = "STORE_UNAVAILABLE";
}

/** The router's key sidecar does not respond in time. */
export class KmsUnavailable extends Unavailable {
  static override readonly defaultReason = "KMS_UNAVAILABLE";
}

/** This router's identity is missing, expired, or lacks the role. */
export class NotAllowed extends ProvidersError {
  static override readonly defaultReason = "ROLE_REQUIRED";
}

/** The request is invalid; do not retry it unchanged. */
export class InvalidRequest extends ProvidersError {
  static override readonly defaultReason = "INVALID_FIELD";
}

/** A strict watch cannot resume there: REVISION_COMPACTED, STORE_CHANGED or REVISION_AHEAD. */
export class ResumeRefused extends ProvidersError {
  static override readonly defaultReason = "REVISION_COMPACTED";
}

/** The resource does not exist or is not active. */
export class NotFound extends ProvidersError {
  static override readonly defaultReason = "RESOURCE_NOT_FOUND";
}

/** The provider is disabled: the registry does not return its credential. */
export class ProviderDisabled extends ProvidersError {
  static override readonly defaultReason = "PROVIDER_DISABLED";
}

/** The provider has no credential; some kinds work without one. */
export class NoStoredCredential extends ProvidersError {
  static override readonly defaultReason = "NO_STORED_CREDENTIAL";
}

/** The key version of the wrapped key is disabled, destroyed or unknown to this router's sidecar. */
export class KeyVersionUnavailable extends ProvidersError {
  static override readonly defaultReason = "KEY_VERSION_UNAVAILABLE";
}

/** The sealed credential does not open for this provider as it is configured: one error for every cause. */
export class CredentialCorrupt extends ProvidersError {
  static override readonly defaultReason = "CREDENTIAL_CORRUPT";
}

/** The registry shows an older credential than this router has opened: its database was restored. */
export class RegistryRolledBack extends ProvidersError {
  static override readonly defaultReason = "REGISTRY_ROLLED_BACK";
}

/** The credential may not be sent there. Nothing was sent. */
export class DestinationRefused extends ProvidersError {
  static override readonly defaultReason = "DESTINATION_REFUSED";
}

export type ErrorClass = new (message: string, options?: ErrorOptions) => ProvidersError;

const BY_REASON: Readonly<Record<string, ErrorClass>> = {
  STORE_UNAVAILABLE: RegistryUnavailable,
  KMS_UNAVAILABLE: KmsUnavailable,
  UNAUTHENTICATED: NotAllowed,
  ROLE_REQUIRED: NotAllowed,
  RESOURCE_NOT_FOUND: NotFound,
  PROVIDER_DISABLED: ProviderDisabled,
  NO_STORED_CREDENTIAL: NoStoredCredential,
  KEY_VERSION_UNAVAILABLE: KeyVersionUnavailable,
  CREDENTIAL_CORRUPT: CredentialCorrupt,
};
const BY_CODE: Readonly<Partial<Record<Code, ErrorClass>>> = {
  [Code.InvalidArgument]: InvalidRequest,
  [Code.OutOfRange]: ResumeRefused,
  [Code.NotFound]: NotFound,
  [Code.Unauthenticated]: NotAllowed,
  [Code.PermissionDenied]: NotAllowed,
  [Code.DataLoss]: CredentialCorrupt,
};

/** The typed error of a failed call; `away` is the class for a server that does not respond. */
export function fromCall(error: unknown, away: ErrorClass): ProvidersError {
  const failure = ConnectError.from(error);
  // Only a server sends a status. An error of this machine (refused, reset, cut off) means: no response.
  if (!failure.metadata.has("grpc-status")) return new away(failure.rawMessage);
  return typed(failure.code, failure.rawMessage, failure.findDetails(ErrorInfoSchema)[0], away);
}

/** The typed error of one item of a batch. */
export function fromStatus(status: Status, away: ErrorClass): ProvidersError {
  let info: ErrorInfo | undefined;
  try {
    info = status.details.map((detail) => anyUnpack(detail, ErrorInfoSchema)).find(Boolean);
  } catch {
    // An unreadable detail is ignored; the code remains.
  }
  return typed(status.code, status.message, info, away);
}

function typed(code: Code, message: string, info: ErrorInfo | undefined, away: ErrorClass): ProvidersError {
  const isAway = code === Code.Unavailable || code === Code.DeadlineExceeded;
  const known = info && Object.hasOwn(BY_REASON, info.reason) ? BY_REASON[info.reason] : undefined;
  const kind = known ?? (isAway ? away : (BY_CODE[code] ?? ProvidersError));
  return new kind(message, info && { reason: info.reason, metadata: info.metadata });
}
