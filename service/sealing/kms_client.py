"""The registry's client of its key-management sidecar, over the registry's Unix socket.

May see: data keys on their way to be wrapped. Must never: print a message of these RPCs (protobuf shows the
secret in it), keep a key, or ask to unwrap - the sidecar would refuse, and the registry has no use for it.
Synchronous and safe to share between threads.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, final

import grpc
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from codevector.kms.v1 import key_management_service_pb2_grpc as kms_grpc

from service.domain.errors import Reason, Unavailable

WRAP_BATCH_MAX_ITEMS = 256
DEADLINE_SECONDS = 5.0
KEY_VERSION_COLLECTION = "keyVersions/"

# A sidecar that was restarted is found again within half a second, instead of gRPC's default of two minutes;
# a pool of its own keeps one client's backoff from delaying another's.
_CHANNEL_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
)

_WRAPPER_HEAD = struct.Struct(">4sBBH")

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
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_MESSAGE_OTHERWISE = "The key-management sidecar failed: see its log, then send the request again."
_MESSAGE_ECHO = (
    "The key-management sidecar answered with other values than it was asked about, and nothing was stored: "
    "see that CODEVECTOR_KMS_REGISTRY_SOCKET names a sidecar of this version."
)

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


@dataclass(frozen=True, slots=True)
class KmsStatus:
    """What the sidecar says of itself. ``deployment_id`` is 16 bytes; key versions are resource names."""

    version: str
    primary_key_version: str
    accepted_key_versions: tuple[str, ...]
    wrap_healthy: bool
    unwrap_healthy: bool
    message: str
    deployment_id: bytes
    keyring_seq: int
    server_time: datetime


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key to wrap, with the context and commitment its wrapper must carry. The caller wipes it."""

    context: bytes
    commitment: bytes
    dek: bytearray = field(repr=False)


@dataclass(frozen=True, slots=True)
class WrappedDataKey:
    """A wrapper and the resource name of the key version it is wrapped under."""

    wrapped: bytes
    key_version: str


@final
class KmsClient:
    """One channel to one sidecar. Connects when first used; close it, or use it as a context manager."""

    def __init__(self, socket: Path, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._deadline_seconds = deadline_seconds
        self._channel = grpc.insecure_channel(f"unix:{socket.absolute()}", options=_CHANNEL_OPTIONS)
        self._stub = kms_grpc.KeyManagementServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        self._channel.close()

    def status(self, *, timeout_seconds: float | None = None) -> KmsStatus:
        """Ask how the sidecar is, and which key version is primary.

        Raises:
            Unavailable: reason KMS_UNAVAILABLE.
        """
        answer = self._call(self._stub.GetStatus, kms_pb2.GetStatusRequest(), timeout_seconds)
        try:
            deployment_id = bytes.fromhex(answer.deployment_id)
        except ValueError:
            raise _unavailable(_MESSAGE_ECHO) from None
        return KmsStatus(
            version=answer.version,
            primary_key_version=answer.primary_key_version,
            accepted_key_versions=tuple(answer.accepted_key_versions),
            wrap_healthy=answer.wrap_healthy,
            unwrap_healthy=answer.unwrap_healthy,
            message=answer.message,
            deployment_id=deployment_id,
            keyring_seq=answer.keyring_seq,
            server_time=answer.server_time.ToDatetime(tzinfo=UTC),
        )

    def wrap(
        self, keys: Sequence[DataKey], *, timeout_seconds: float | None = None
    ) -> tuple[WrappedDataKey, ...]:
        """Wrap data keys under the primary key version, all of them or none; the answer keeps the order.

        Each wrapper's echoed context and commitment equal the asked ones, and the key version it names is the
        one in its bytes: what is returned may be stored.

        Raises:
            Unavailable: reason KMS_UNAVAILABLE.
        """
        wrapped: list[WrappedDataKey] = []
        for batch in _batches(keys):
            request = kms_pb2.BatchWrapDataKeysRequest(
                items=[kms_pb2.WrapItem(context=key.context, plaintext=bytes(key.dek)) for key in batch]
            )
            answer = self._call(self._stub.BatchWrapDataKeys, request, timeout_seconds)
            if len(answer.results) != len(batch):
                raise _unavailable(_MESSAGE_ECHO)
            wrapped += [_checked(key, result) for key, result in zip(batch, answer.results, strict=True)]
        return tuple(wrapped)

    def _call(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
        timeout_seconds: float | None,
    ) -> _Response:
        """One RPC within the smaller of the client's deadline and the caller's."""
        deadline = self._deadline_seconds
        if timeout_seconds is not None:
            deadline = min(deadline, max(timeout_seconds, 0.0))
        try:
            return method(request, timeout=deadline)
        except grpc.RpcError as error:
            code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
        raise _unavailable(_MESSAGES.get(code, _MESSAGE_OTHERWISE))


def _batches(keys: Sequence[DataKey]) -> Iterator[Sequence[DataKey]]:
    for start in range(0, len(keys), WRAP_BATCH_MAX_ITEMS):
        yield keys[start : start + WRAP_BATCH_MAX_ITEMS]


def _checked(key: DataKey, result: kms_pb2.WrapResult) -> WrappedDataKey:
    """The wrapper, once its echo is right. Storing one that belongs elsewhere would lose the credential."""
    if result.WhichOneof("outcome") == "error":
        code = _CODES.get(result.error.code, grpc.StatusCode.UNKNOWN)
        raise _unavailable(_MESSAGES.get(code, _MESSAGE_OTHERWISE))
    answer = result.wrapped
    if not (
        hmac.compare_digest(answer.context, key.context)
        and hmac.compare_digest(answer.commitment, key.commitment)
        and answer.key_version == key_version_of(answer.wrapped_data_key)
    ):
        raise _unavailable(_MESSAGE_ECHO)
    return WrappedDataKey(wrapped=answer.wrapped_data_key, key_version=answer.key_version)


def key_version_of(wrapper: bytes) -> str | None:
    """The resource name of the key version a wrapper's own bytes name, or None if they are no wrapper."""
    if len(wrapper) < _WRAPPER_HEAD.size:
        return None
    magic, _backend, suite, ref_bytes = _WRAPPER_HEAD.unpack_from(wrapper)
    ref = wrapper[_WRAPPER_HEAD.size : _WRAPPER_HEAD.size + ref_bytes]
    if magic != b"CVW1" or suite != 1 or not ref or len(ref) != ref_bytes or not ref.isascii():
        return None
    return KEY_VERSION_COLLECTION + ref.decode("ascii")


def _unavailable(message: str) -> Unavailable:
    return Unavailable(message, reason=Reason.KMS_UNAVAILABLE, retry_after_seconds=1.0)
