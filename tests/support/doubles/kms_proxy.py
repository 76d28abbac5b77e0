"""A key sidecar that fails as real ones do: a proxy on a Unix socket in front of one that works.

Every answer is the real sidecar's, unless a `Fault` stands in between: some never let the call through, some
break the connection, and some change the answer into one that a broken or hostile sidecar could give.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

SAID = "the-proxy-said-this"
"""Stands in every text that a fault writes: nobody behind the registry may get to read it."""
OTHER_KEY = "keyVersions/transit-deadbeef-v1-1764000000"
_SERVICE = "codevector.kms.v1.KeyManagementService"
_MOST_SECONDS = 60.0
_RESPONSES: dict[str, type[Any]] = {
    "BatchWrapDataKeys": kms_pb2.BatchWrapDataKeysResponse,
    "BatchUnwrapDataKeys": kms_pb2.BatchUnwrapDataKeysResponse,
    "BatchRewrapDataKeys": kms_pb2.BatchRewrapDataKeysResponse,
    "BatchVerifyDataKeys": kms_pb2.BatchVerifyDataKeysResponse,
}


@dataclass(frozen=True, slots=True)
class Passing:
    """One call on its way. ``forward`` sends it to the real sidecar."""

    method: str
    context: grpc.ServicerContext
    forward: Callable[[], bytes]
    proxy: KmsProxy


Fault = Callable[[Passing], bytes]


def honest(passing: Passing) -> bytes:
    """The answer as it is."""
    return passing.forward()


def refusing(code: grpc.StatusCode) -> Fault:
    """Every call is refused with the status."""

    def fault(passing: Passing) -> bytes:
        passing.context.abort(code, SAID)
        raise AssertionError("abort returned")

    return fault


def hanging(passing: Passing) -> bytes:
    """No answer, until the fault is over or the caller has given up."""
    passing.proxy.over.wait(_MOST_SECONDS)
    passing.context.abort(grpc.StatusCode.CANCELLED, SAID)
    raise AssertionError("abort returned")


def slow(passing: Passing) -> bytes:
    """The answer, late."""
    passing.proxy.over.wait(0.2)
    return passing.forward()


def resetting(passing: Passing) -> bytes:
    """The sidecar has done the work, and the connection breaks before the answer is out."""
    answer = passing.forward()
    threading.Thread(target=passing.proxy.reconnect).start()
    passing.proxy.broken.wait(_MOST_SECONDS)
    return answer


def garbage(_: Passing) -> bytes:
    """Bytes that are no message."""
    return b"\xff\xff\xff"


def changing(change: Callable[[list[Any], KmsProxy], list[Any]]) -> Fault:
    """The results of a batch are changed; everything else goes through."""

    def fault(passing: Passing) -> bytes:
        answer = passing.forward()
        if passing.method not in _RESPONSES:
            return answer
        message = _RESPONSES[passing.method].FromString(answer)
        results = change(list(message.results), passing.proxy)
        return bytes(_RESPONSES[passing.method](results=results).SerializeToString())

    return fault


def _item_error(code: int, reason: str) -> Callable[[list[Any], KmsProxy], list[Any]]:
    """The first of the items, and each hundredth after it, fails."""

    def change(results: list[Any], _: KmsProxy) -> list[Any]:
        status = status_pb2.Status(code=code, message=SAID)
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="codevector"))
        failed = [type(result)(error=status) if hasattr(result, "error") else status for result in results]
        return [failed[i] if i % 100 == 0 else result for i, result in enumerate(results)]

    return change


def _wrong_key(results: list[Any], proxy: KmsProxy) -> list[Any]:
    """For each item what was once answered for another."""
    return [proxy.remembered.get(type(result).__name__, result) for result in results]


def _wrapped_elsewhere(results: list[Any], _: KmsProxy) -> list[Any]:
    """Under a key that was made by a mistyped name: wrapper and version agree, and nobody opens it."""
    ref = OTHER_KEY.partition("/")[2].encode()
    for result in results:
        if isinstance(result, kms_pb2.WrapResult):
            result.wrapped.wrapped_data_key = b"CVW1\x02\x01" + len(ref).to_bytes(2, "big") + ref + bytes(60)
            result.wrapped.key_version = OTHER_KEY
    return results


def _stale_version(results: list[Any], proxy: KmsProxy) -> list[Any]:
    """The name of the first version, whatever the wrapper is under."""
    for result in results:
        if isinstance(result, kms_pb2.WrapResult) and result.HasField("wrapped"):
            result.wrapped.key_version = proxy.first_version
    return results


def _empty(results: list[Any], _: KmsProxy) -> list[Any]:
    return [type(result)() for result in results]


FAULTS: dict[str, Fault] = {
    "refuses": refusing(grpc.StatusCode.UNAVAILABLE),
    "sealed": refusing(grpc.StatusCode.UNAVAILABLE),
    "throttled": refusing(grpc.StatusCode.RESOURCE_EXHAUSTED),
    "token expired": refusing(grpc.StatusCode.PERMISSION_DENIED),
    "has a bug": refusing(grpc.StatusCode.INTERNAL),
    "hangs": hanging,
    "slow": slow,
    "resets in a batch": resetting,
    "garbage": garbage,
    "one item in a hundred corrupt": changing(_item_error(code_pb2.DATA_LOSS, "DATA_KEY_CORRUPT")),
    "one item in a hundred unavailable": changing(_item_error(code_pb2.UNAVAILABLE, "KEYRING_UNAVAILABLE")),
    "reordered": changing(lambda results, _: results[::-1]),
    "duplicated": changing(lambda results, _: results + results),
    "the first for all": changing(lambda results, _: results[:1] * len(results)),
    "one too few": changing(lambda results, _: results[1:]),
    "empty results": changing(_empty),
    "wrong key": changing(_wrong_key),
    "stale key version": changing(_stale_version),
    "upsert trap": changing(_wrapped_elsewhere),
}


@dataclass
class KmsProxy:
    """One proxy. ``remembered`` holds, by type, a result that was answered to somebody while all was well."""

    socket: Path
    real: grpc.Channel
    fault: Fault = honest
    over: threading.Event = field(default_factory=threading.Event)
    broken: threading.Event = field(default_factory=threading.Event)
    remembered: dict[str, Any] = field(default_factory=dict)
    first_version: str = ""
    met: int = 0
    _server: grpc.Server | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Listen on the socket."""
        self.broken.clear()
        server = grpc.server(ThreadPoolExecutor(16), handlers=[_Everything(self)])
        self.socket.unlink(missing_ok=True)
        server.add_insecure_port(f"unix:{self.socket}")
        server.start()
        self._server = server

    def stop(self) -> None:
        """Break every connection."""
        self.over.set()
        if self._server is not None:
            stopped = self._server.stop(None)
            self.broken.set()
            stopped.wait()
            self._server = None

    def reconnect(self) -> None:
        """Break every connection, and listen again."""
        with self._lock:
            if self._server is not None:
                stopped = self._server.stop(None)
                self.broken.set()
                stopped.wait()
                self.start()

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        """Have every call meet the fault until the block ends."""
        self.over.clear()
        self.fault, self.met = fault, 0
        try:
            yield
        finally:
            self.fault = honest
            self.over.set()

    def pass_on(self, method: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        """One call, as the fault has it."""

        def forward() -> bytes:
            rpc: Any = self.real.unary_unary(f"/{_SERVICE}/{method}")
            try:
                return bytes(rpc(request, timeout=_MOST_SECONDS))
            except grpc.RpcError as error:
                metadata: Any = error.trailing_metadata() or ()
                context.set_trailing_metadata(metadata)
                context.abort(error.code(), error.details() or "")
                raise AssertionError("abort returned") from None

        fault = self.fault
        if fault is not honest:
            self.met += 1
        answer = fault(Passing(method, context, forward, self))
        if fault is honest and method in _RESPONSES:
            with suppress(IndexError):
                result = _RESPONSES[method].FromString(answer).results[0]
                self.remembered.setdefault(type(result).__name__, result)
                if isinstance(result, kms_pb2.WrapResult):
                    self.first_version = self.first_version or result.wrapped.key_version
        return answer


class _Everything(grpc.GenericRpcHandler):
    """Every method, as bytes."""

    def __init__(self, proxy: KmsProxy) -> None:
        self._proxy = proxy

    def service(self, call: grpc.HandlerCallDetails) -> Any:
        method = call.method.rpartition("/")[2]
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._proxy.pass_on(method, request, context)
        )


@contextmanager
def kms_proxy(real: Path, socket: Path) -> Iterator[KmsProxy]:
    """A proxy on ``socket`` in front of the sidecar's socket ``real``."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200)]
    with grpc.insecure_channel(f"unix:{real}", options=options) as channel:
        proxy = KmsProxy(socket, channel)
        proxy.start()
        try:
            yield proxy
        finally:
            proxy.stop()
