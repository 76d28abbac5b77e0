"""What can go wrong for a router, as types to catch and reasons to branch on.

``reason`` is the stable word of the API's error table. No message holds secret material.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_NO_METADATA: Mapping[str, str] = MappingProxyType({})


class ProvidersError(Exception):
    """Base of every error of this library. ``metadata`` repeats the variables of the message."""

    default_reason = "INTERNAL"

    def __init__(self, message: str, *, reason: str = "", metadata: Mapping[str, str] = _NO_METADATA) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = dict(metadata)


class Unavailable(ProvidersError):
    """The registry or the key sidecar does not respond; try again."""


class RegistryUnavailable(Unavailable):
    """The registry does not respond in time."""

    default_reason = "STORE_UNAVAILABLE"


class KmsUnavailable(Unavailable):
    """The router's key sidecar does not respond in time."""

    default_reason = "KMS_UNAVAILABLE"


class NotAllowed(ProvidersError):
    """This router's identity is missing, expired, or lacks the role."""

    default_reason = "ROLE_REQUIRED"


class InvalidRequest(ProvidersError):
    """The request is invalid; do not retry it unchanged."""

    default_reason = "INVALID_FIELD"


class ProviderNotFound(ProvidersError):
    """The provider does not exist or is not active."""

    default_reason = "RESOURCE_NOT_FOUND"


class ModelNotFound(ProvidersError):
    """The model does not exist or has no routable backend."""

    default_reason = "RESOURCE_NOT_FOUND"


class ProviderDisabled(ProvidersError):
    """The provider is disabled: the registry does not return its credential."""

    default_reason = "PROVIDER_DISABLED"


class NoStoredCredential(ProvidersError):
    """The provider has no credential; some kinds work without one."""

    default_reason = "NO_STORED_CREDENTIAL"


class KeyVersionUnavailable(ProvidersError):
    """The key version of the wrapped key is disabled, destroyed or unknown to this router's sidecar."""

    default_reason = "KEY_VERSION_UNAVAILABLE"


class CredentialCorrupt(ProvidersError):
    """The sealed credential does not open for this provider as it is configured.

    One error for every cause: damage, an exchanged envelope or wrapped key, another provider, kind, type,
    version, deployment or destination. Never retried automatically.
    """

    default_reason = "CREDENTIAL_CORRUPT"


class RegistryRolledBack(ProvidersError):
    """The registry shows an older state of the same store than this client has seen. Nothing is opened.

    Its database was restored, or a replica is lagging. An intended restore changes the store's id. If it
    brought back an older credential version, replace the credential, or make a new client once you know that
    the version is right.
    """

    default_reason = "REGISTRY_ROLLED_BACK"


class DestinationRefused(ProvidersError):
    """The credential may not be sent there. Nothing was sent."""

    default_reason = "DESTINATION_REFUSED"


class SignerRequired(ProvidersError):
    """Credentials of this type are never sent: pass their fields to the upstream's signing library."""

    default_reason = "SIGNER_REQUIRED"


_BY_REASON: Mapping[str, type[ProvidersError]] = {
    "KMS_UNAVAILABLE": KmsUnavailable,
    "STORE_UNAVAILABLE": RegistryUnavailable,
    "RESOURCE_NOT_FOUND": ProviderNotFound,
    "PROVIDER_DISABLED": ProviderDisabled,
    "NO_STORED_CREDENTIAL": NoStoredCredential,
    "KEY_VERSION_UNAVAILABLE": KeyVersionUnavailable,
    "CREDENTIAL_CORRUPT": CredentialCorrupt,
    "UNAUTHENTICATED": NotAllowed,
    "ROLE_REQUIRED": NotAllowed,
}
_BY_CODE: Mapping[grpc.StatusCode, type[ProvidersError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: ProviderNotFound,
    grpc.StatusCode.UNAUTHENTICATED: NotAllowed,
    grpc.StatusCode.PERMISSION_DENIED: NotAllowed,
    grpc.StatusCode.DATA_LOSS: CredentialCorrupt,
}
_CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
_AWAY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
_DETAILS_KEY = "grpc-status-details-bin"


def from_rpc_error(error: grpc.RpcError, *, away: type[Unavailable]) -> ProvidersError:
    """Return the typed error of a failed call; ``away`` is the type for a server that does not respond."""
    if not isinstance(error, grpc.Call):
        return away(str(error))
    status = status_pb2.Status(code=error.code().value[0], message=error.details() or error.code().name)
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                status = status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return from_status(status, away=away)


def from_status(status: status_pb2.Status, *, away: type[Unavailable]) -> ProvidersError:
    """Return the typed error of a batch item or a call: by its ErrorInfo, else by its code."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            try:
                detail.Unpack(info)
            except DecodeError:
                info.Clear()
            break
    kind = _BY_REASON.get(info.reason) or (away if code in _AWAY else _BY_CODE.get(code, ProvidersError))
    return kind(status.message, reason=info.reason, metadata=dict(info.metadata))
