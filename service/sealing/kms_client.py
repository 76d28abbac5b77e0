"""The registry's client of its key-management sidecar, over the registry's Unix socket.

May see: data keys on their way to be wrapped. Must never: print a message of these RPCs (protobuf shows the
secret in it), keep a key, or ask to unwrap - the sidecar would refuse, and the registry has no use for it.
Synchronous and safe to share between threads. All its calls may be repeated: none changes the sidecar.
"""

from __future__ import annotations

import hmac
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, final

import grpc
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from codevector.kms.v1 import key_management_service_pb2_grpc as kms_grpc

from runtime.circuit import Circuit
from runtime.requests import REQUEST_ID
from runtime.unix_targets import unix_target
from service.domain.model import StoredWrapper
from service.sealing import kms_failures as failures
from service.sealing.kms_failures import ItemFailure, Refusal
from service.sealing.wrappers import key_version_of

WRAP_BATCH_MAX_ITEMS = 256
REWRAP_BATCH_MAX_ITEMS = 256
VERIFY_BATCH_MAX_ITEMS = 1024
DEADLINE_SECONDS = 5.0
BATCH_DEADLINE_SECONDS = 15.0
TRIES = 3
FIRST_PAUSE_SECONDS = 0.05
FAILURES_TO_OPEN = 5
FIRST_CIRCUIT_PAUSE_SECONDS = 0.5
LONGEST_PROBE_SECONDS = 30.0
MESSAGE_BYTES = 900_000
"""The sidecar takes messages of up to 1 MiB."""
ITEM_OVERHEAD_BYTES = 256
"""Of an item, what is neither wrapper nor context: version, commitment, tags and lengths."""
FAIR_TIMEOUT_SECONDS = 1.0
"""A missed deadline shorter than this says nothing about the sidecar."""

# A sidecar that was restarted is found again within half a second, instead of gRPC's default of two minutes;
# a pool of its own keeps one client's backoff from delaying another's. What gRPC calls the least backoff is
# how long one attempt to connect may take, which on a busy machine is more than a moment.
_CHANNEL_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 500),
)

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Item = TypeVar("_Item")


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
    audit_seq: int
    audit_head: bytes
    audit_public_key: bytes


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


class NotPrimary(Exception):
    """The target of a rewrap is not the sidecar's primary version any more: ask for its status again."""


@final
class KmsClient:
    """One channel to one sidecar. Connects when first used; close it, or use it as a context manager.

    A call that reaches no sidecar is retried after random pauses, three times within its deadline. What takes
    several messages has ``timeout_seconds`` for all of them, and each of them its own deadline. After
    failures in a row callers are refused at once for a while (`Circuit`); `status` always asks. Each method
    takes the ``request_id`` of the call that needs it, which the sidecar writes into its log, too.
    """

    def __init__(
        self,
        socket: Path,
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._deadline_seconds = deadline_seconds
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._circuit = Circuit(
            monotonic=clock,
            failures_to_open=FAILURES_TO_OPEN,
            first_pause_seconds=FIRST_CIRCUIT_PAUSE_SECONDS,
            longest_probe_seconds=LONGEST_PROBE_SECONDS,
        )
        self._channel = grpc.insecure_channel(unix_target(socket), options=_CHANNEL_OPTIONS)
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

    def status(self, *, timeout_seconds: float | None = None, request_id: str = "") -> KmsStatus:
        """Ask how the sidecar is, and which key version is primary.

        Raises:
            Unavailable: reason KMS_UNAVAILABLE.
        """
        deadline = self._left(self._deadline_seconds, self._ends(timeout_seconds))
        answer = self._tried(self._stub.GetStatus, kms_pb2.GetStatusRequest(), deadline, request_id)
        if isinstance(answer, Refusal):
            raise answer.error()
        if answer.wrap_healthy:
            self._circuit.succeeded()
        try:
            deployment_id = bytes.fromhex(answer.deployment_id)
        except ValueError:
            raise failures.unavailable(failures.MESSAGE_ECHO) from None
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
            audit_seq=answer.audit_seq,
            audit_head=answer.audit_head,
            audit_public_key=answer.audit_public_key,
        )

    def wrap(
        self, keys: Sequence[DataKey], *, timeout_seconds: float | None = None, request_id: str = ""
    ) -> tuple[WrappedDataKey, ...]:
        """Wrap data keys under the primary key version, all of them or none; the answer keeps the order.

        Each wrapper's echoed context and commitment equal the asked ones, and the key version it names is the
        one in its bytes: what is returned may be stored.

        Raises:
            Unavailable: reason KMS_UNAVAILABLE.
        """
        wrapped: list[WrappedDataKey] = []
        ends = self._ends(timeout_seconds)
        for batch in _batches(keys, WRAP_BATCH_MAX_ITEMS):
            request = kms_pb2.BatchWrapDataKeysRequest(
                items=[kms_pb2.WrapItem(context=key.context, plaintext=bytes(key.dek)) for key in batch]
            )
            answer = self._guarded(
                self._stub.BatchWrapDataKeys, request, self._left(self._deadline_seconds, ends), request_id
            )
            if isinstance(answer, Refusal):
                raise answer.error()
            if len(answer.results) != len(batch):
                raise failures.unavailable(failures.MESSAGE_ECHO)
            wrapped += [_wrapped(key, result) for key, result in zip(batch, answer.results, strict=True)]
        return tuple(wrapped)

    def rewrap(
        self,
        items: Sequence[StoredWrapper],
        target: str,
        *,
        timeout_seconds: float | None = None,
        request_id: str = "",
    ) -> list[WrappedDataKey | ItemFailure]:
        """Move wrappers to ``target``; what became of each, in order.

        A wrapper that is returned may be stored in place of the one sent: its context and commitment are the
        same, and its bytes name ``target``. What is malformed as stored is not sent.

        Raises:
            NotPrimary: ``target`` is not the primary version.
            Unavailable: reason KMS_UNAVAILABLE.
        """
        outcomes: list[WrappedDataKey | ItemFailure] = [_fault(item) or _UNSENT for item in items]
        good = [index for index, outcome in enumerate(outcomes) if outcome is _UNSENT]
        ends = self._ends(timeout_seconds)
        for sent in _messages_of(items, good, REWRAP_BATCH_MAX_ITEMS):
            request = kms_pb2.BatchRewrapDataKeysRequest(
                items=[_message(items[index]) for index in sent], target_key_version=target
            )
            answer = self._guarded(
                self._stub.BatchRewrapDataKeys, request, self._left(BATCH_DEADLINE_SECONDS, ends), request_id
            )
            if isinstance(answer, Refusal):
                if answer.reason == failures.NOT_PRIMARY:
                    raise NotPrimary
                raise answer.error()
            if len(answer.results) != len(sent):
                raise failures.unavailable(failures.MESSAGE_ECHO)
            for index, result in zip(sent, answer.results, strict=True):
                outcomes[index] = _rewrapped(items[index], target, result)
        return outcomes

    def verify(
        self, items: Sequence[StoredWrapper], *, timeout_seconds: float | None = None, request_id: str = ""
    ) -> list[ItemFailure | None]:
        """Return whether each wrapper opens and matches; None where all is well, in order.

        Raises:
            FailedPrecondition: KMS_CANNOT_VERIFY, the sidecar may not decrypt.
            Unavailable: reason KMS_UNAVAILABLE.
        """
        outcomes: list[ItemFailure | None] = [_fault(item) for item in items]
        good = [index for index, outcome in enumerate(outcomes) if outcome is None]
        ends = self._ends(timeout_seconds)
        for sent in _messages_of(items, good, VERIFY_BATCH_MAX_ITEMS):
            request = kms_pb2.BatchVerifyDataKeysRequest(items=[_message(items[index]) for index in sent])
            answer = self._guarded(
                self._stub.BatchVerifyDataKeys, request, self._left(BATCH_DEADLINE_SECONDS, ends), request_id
            )
            if isinstance(answer, Refusal):
                if answer.code is grpc.StatusCode.FAILED_PRECONDITION:
                    raise failures.cannot_verify()
                raise answer.error()
            if len(answer.results) != len(sent):
                raise failures.unavailable(failures.MESSAGE_ECHO)
            for index, status in zip(sent, answer.results, strict=True):
                outcomes[index] = failures.item_failure_of(status) if status.code else None
        return outcomes

    def _ends(self, timeout_seconds: float | None) -> float:
        """When the caller's time is over, however many messages it takes; never where it set no limit."""
        return math.inf if timeout_seconds is None else self._clock() + timeout_seconds

    def _left(self, most_seconds: float, ends: float) -> float:
        """Return the deadline of the next message."""
        return min(most_seconds, max(ends - self._clock(), 0.0))

    def _guarded(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
        deadline_seconds: float,
        request_id: str,
    ) -> _Response | Refusal:
        """Make one RPC, if the circuit lets it through."""
        pause = self._circuit.admit()
        if pause is not None:
            raise failures.unavailable(failures.MESSAGE_OPEN_CIRCUIT, retry_after_seconds=pause)
        answer = self._tried(method, request, deadline_seconds, request_id)
        if not isinstance(answer, Refusal):
            self._circuit.succeeded()
        return answer

    def _tried(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
        deadline_seconds: float,
        request_id: str,
    ) -> _Response | Refusal:
        """Make one RPC within its deadline, again while nothing answers. The circuit counts failures."""
        ends = self._clock() + deadline_seconds
        attempt = 0
        while True:
            attempt += 1
            left = max(ends - self._clock(), 0.0)
            answer = _once(method, request, left, request_id)
            if not isinstance(answer, Refusal):
                return answer
            # The whole of the interval is drawn from, so that replicas do not come back together.
            pause = self._jitter(0.0, FIRST_PAUSE_SECONDS * 2**attempt)
            if answer.code is not grpc.StatusCode.UNAVAILABLE or attempt == TRIES or pause >= left:
                self._report(answer, deadline_seconds)
                return answer
            self._sleep(pause)

    def _report(self, refusal: Refusal, deadline_seconds: float) -> None:
        """A refusal of the request is an answer; only silence counts against the sidecar."""
        late = refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED
        if refusal.code is grpc.StatusCode.UNAVAILABLE or (late and deadline_seconds >= FAIR_TIMEOUT_SECONDS):
            self._circuit.failed()
        elif not late:
            self._circuit.succeeded()


_UNSENT = ItemFailure("UNSENT")


def _once(
    method: grpc.UnaryUnaryMultiCallable[_Request, _Response],
    request: _Request,
    timeout: float,
    request_id: str,
) -> _Response | Refusal:
    if timeout <= 0.0:  # gRPC would fail it too, but may send it first
        return Refusal(grpc.StatusCode.DEADLINE_EXCEEDED, "")
    metadata = ((REQUEST_ID, request_id),) if request_id else ()
    try:
        return method(request, timeout=timeout, metadata=metadata)
    except grpc.RpcError as error:
        return failures.refusal_of(error)


def _batches(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _messages_of(
    items: Sequence[StoredWrapper], indexes: Sequence[int], most_items: int
) -> Iterator[list[int]]:
    """The indexes in groups that the sidecar takes in one message, by their number and their size."""
    group, size = list[int](), 0
    for index in indexes:
        item = items[index]
        size += len(item.wrapped) + len(item.context) + ITEM_OVERHEAD_BYTES
        if group and (len(group) == most_items or size > MESSAGE_BYTES):
            yield group
            group, size = [], len(item.wrapped) + len(item.context) + ITEM_OVERHEAD_BYTES
        group.append(index)
    if group:
        yield group


def _message(item: StoredWrapper) -> kms_pb2.WrappedDataKey:
    return kms_pb2.WrappedDataKey(
        wrapped_data_key=item.wrapped,
        key_version=item.key_version,
        commitment=item.commitment,
        context=item.context,
    )


def _fault(item: StoredWrapper) -> ItemFailure | None:
    """Return what is wrong with the row itself: the sidecar refuses a batch with one malformed item."""
    named = key_version_of(item.wrapped)
    if named is None or len(item.wrapped) > 8192 or len(named) > 128:
        return ItemFailure(failures.WRAPPER_MALFORMED)
    if named != item.key_version:
        return ItemFailure(failures.KEY_VERSION_MISMATCH)
    if len(item.commitment) != 32 or not 1 <= len(item.context) <= 2048:
        return ItemFailure(failures.WRAPPER_MALFORMED)
    return None


def _wrapped(key: DataKey, result: kms_pb2.WrapResult) -> WrappedDataKey:
    """Return the wrapper after checking its echo: storing another one would lose the credential."""
    if result.WhichOneof("outcome") == "error":
        raise failures.item_error_of(result.error)
    answer = result.wrapped
    if not (
        hmac.compare_digest(answer.context, key.context)
        and hmac.compare_digest(answer.commitment, key.commitment)
        and answer.key_version == key_version_of(answer.wrapped_data_key)
    ):
        raise failures.unavailable(failures.MESSAGE_ECHO)
    return WrappedDataKey(wrapped=answer.wrapped_data_key, key_version=answer.key_version)


def _rewrapped(item: StoredWrapper, target: str, result: kms_pb2.WrapResult) -> WrappedDataKey | ItemFailure:
    """Return the wrapper to store, once it is the one asked for."""
    if result.WhichOneof("outcome") == "error":
        return failures.item_failure_of(result.error)
    answer = result.wrapped
    wrapped = answer.wrapped_data_key
    if (
        answer.context != item.context
        or answer.commitment != item.commitment
        or answer.key_version != target
        or key_version_of(wrapped) != target
    ):
        return ItemFailure(failures.WRONG_ANSWER)
    return WrappedDataKey(wrapped, target)
