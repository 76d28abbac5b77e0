"""Calls of the registry: each has a deadline and a request id, carries the user, is refused with one type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

import grpc
from codevector.providers.v1 import (
    model_service_pb2_grpc,
    provider_service_pb2_grpc,
    system_service_pb2_grpc,
)
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

if TYPE_CHECKING:
    from grpc import UnaryUnaryMultiCallable

Request = TypeVar("Request")
Response = TypeVar("Response")

CALL_SECONDS = 10.0
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),  # this one is how long one attempt may take
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_AWAY = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that the registry refuses, by its path in the request."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the registry said when it refused a call; ``status`` and ``reason`` are stable words."""

    status: str
    message: str
    request_id: str
    reason: str = ""
    violations: Sequence[Violation] = ()
    answered: bool = field(default=True)

    @property
    def away(self) -> bool:
        """Return whether the registry itself, not one of its answers, is missing."""
        return not self.answered and self.status in _AWAY


class CallRefused(Exception):
    """The registry refused a call, or did not answer it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason or refusal.status)
        self.refusal = refusal


class Channel:
    """The connection of the whole process; made by the first call, kept by gRPC."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self.providers = provider_service_pb2_grpc.ProviderServiceStub(self._channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self.system = system_service_pb2_grpc.SystemServiceStub(self._channel)

    def call(
        self,
        rpc: UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        *,
        metadata: Sequence[tuple[str, str]] = (),
        seconds: float = CALL_SECONDS,
    ) -> Response:
        """Return the response.

        Raises:
            CallRefused: the registry refused, or did not answer in ``seconds``.
        """
        request_id = str(uuid4())
        try:
            return rpc(request, timeout=seconds, metadata=(("x-request-id", request_id), *metadata))
        except grpc.RpcError as error:
            raise CallRefused(_refusal(error, request_id)) from None

    def close(self) -> None:
        """Hang up."""
        self._channel.close()


def _refusal(error: grpc.RpcError, request_id: str) -> Refusal:
    code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    trailers: dict[str, str | bytes] = {}
    if isinstance(error, grpc.Call):
        trailers.update(error.trailing_metadata() or ())
    status = _status(trailers.get("grpc-status-details-bin"))
    if status is None:
        sentence = "did not answer in time" if code.name == "DEADLINE_EXCEEDED" else "cannot be reached"
        return Refusal(code.name, f"the registry {sentence}", request_id, answered=False)
    info, violations = error_details_pb2.ErrorInfo(), list[Violation]()
    for packed in status.details:
        if packed.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            packed.Unpack(info)
        elif packed.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            packed.Unpack(bad)
            violations += [Violation(each.field, each.description) for each in bad.field_violations]
    told = trailers.get("x-request-id", request_id)
    return Refusal(
        status=code.name,
        message=status.message,
        request_id=told if isinstance(told, str) else request_id,
        reason=info.reason,
        violations=tuple(violations),
    )


def _status(octets: object) -> status_pb2.Status | None:
    if not isinstance(octets, bytes):
        return None
    try:
        return status_pb2.Status.FromString(octets)
    except DecodeError:
        return None
