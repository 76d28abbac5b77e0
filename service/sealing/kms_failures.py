"""What the sidecar's refusals mean to the registry: of a whole call, and of one item of a batch.

Texts are the registry's own. What the sidecar wrote is not passed on, but for its one-word reasons.
"""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from google.rpc import status_pb2

from runtime import statuses
from service.domain.errors import FailedPrecondition, Reason, Unavailable

NOT_PRIMARY = "KEY_VERSION_NOT_PRIMARY"
WRONG_ANSWER = "WRONG_ANSWER"
WRAPPER_MALFORMED = "WRAPPER_MALFORMED"
KEY_VERSION_MISMATCH = "KEY_VERSION_MISMATCH"
KEY_VERSION_UNAVAILABLE = "KEY_VERSION_UNAVAILABLE"
RETRY_SECONDS = 1.0

MESSAGE_ECHO = (
    "The key-management sidecar answered with other values than it was asked about, and nothing was stored: "
    "see that CODEVECTOR_KMS_REGISTRY_SOCKET names a sidecar of this version."
)
MESSAGE_OPEN_CIRCUIT = (
    "The key-management sidecar failed several times in a row and is left alone for a moment: see that it "
    "runs, then send the request again."
)
_MESSAGES = {
    grpc.StatusCode.UNAVAILABLE: (
        "The key-management sidecar does not answer: see that it runs, then send the request again."
    ),
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        "The key-management sidecar did not answer in time: send the request again, and see its log if that "
        "does not help."
    ),
    grpc.StatusCode.PERMISSION_DENIED: (
        "The key-management sidecar does not accept this service in the registry's role: set "
        "CODEVECTOR_KMS_REGISTRY_SOCKET to the sidecar's registry socket."
    ),
    grpc.StatusCode.INVALID_ARGUMENT: (
        "The key-management sidecar refused the request as made for another deployment: see that it and this "
        "service have one CODEVECTOR_DEPLOYMENT_ID."
    ),
    grpc.StatusCode.FAILED_PRECONDITION: (
        "The key-management sidecar has no usable primary key version: see its status message."
    ),
}
_MESSAGE_OTHERWISE = "The key-management sidecar failed: see its log, then send the request again."
_TRANSIENT = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
    }
)


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """Why one item of a batch failed, in one word; ``transient`` if a retry may succeed."""

    reason: str
    transient: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that failed as a whole; ``reason`` is the sidecar's word, empty where it gave none."""

    code: grpc.StatusCode
    reason: str

    def error(self) -> Unavailable:
        """Return the error for a caller of the registry."""
        return unavailable(_MESSAGES.get(self.code, _MESSAGE_OTHERWISE))


def refusal_of(error: grpc.RpcError) -> Refusal:
    """Return the status of a failed call without its text, which a sidecar or a proxy wrote."""
    status = statuses.status_of(error)
    code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    return Refusal(code, statuses.read(status).reason if status else "")


def item_failure_of(status: status_pb2.Status) -> ItemFailure:
    """Return the failure of one item."""
    code = statuses.code_of(status)
    return ItemFailure(statuses.read(status).reason or code.name, code in _TRANSIENT)


def item_error_of(status: status_pb2.Status) -> Unavailable:
    """Return the failure of one item, where it is the failure of all."""
    return Refusal(statuses.code_of(status), "").error()


def unavailable(message: str, *, retry_after_seconds: float = RETRY_SECONDS) -> Unavailable:
    """Return the error for a sidecar that is of no use now."""
    return Unavailable(message, reason=Reason.KMS_UNAVAILABLE, retry_after_seconds=retry_after_seconds)


def item_unavailable() -> Unavailable:
    """Return the error for an item that a transient fault kept from being checked."""
    return unavailable(_MESSAGE_OTHERWISE)


def cannot_verify() -> FailedPrecondition:
    """Return the error for a sidecar that may not open wrappers."""
    return FailedPrecondition(
        "This registry's key-management sidecar cannot open data keys: verify with a sidecar that may "
        "decrypt.",
        reason=Reason.KMS_CANNOT_VERIFY,
    )
