"""What surrounds every unary call, in one fused wrapper: request id, deadline, rules, errors, a log line.

One wrapper instead of a stack of interceptors, since each layer costs CPU on the path that routers poll.
Handlers raise domain errors; nothing but this module ends a call with a status.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import protovalidate
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2
from grpc_status import rpc_status
from structlog.typing import FilteringBoundLogger

from service.domain.errors import FieldViolation, InvalidArgument, Reason, RegistryError
from service.rpc import errors
from service.telemetry import RPC_DONE, RPC_FAILED, bug_fields
from service.usecases.context import Call

MAX_SECONDS = 60.0
DEFAULT_SECONDS = 30.0
SHOWN_VIOLATIONS = 20
LOOPBACK_PRINCIPAL = "dev:loopback"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_PRESENCE_RULES = frozenset(
    {"create_provider.required", "create_provider_model.required", "create_model.required"}
)

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT")


@dataclass(slots=True)
class Exchange:
    """One call as its handler sees it: the caller and limits, and what the answer's trailers will say."""

    call: Call
    request_id: str
    revision: int | None = None
    warning: str | None = None

    def trailers(self) -> tuple[tuple[str, str], ...]:
        """The answer's trailing metadata."""
        pairs = [("x-request-id", self.request_id)]
        if self.revision is not None:
            pairs.append(("x-revision", str(self.revision)))
        if self.warning is not None:
            pairs.append(("x-warning", self.warning))
        return tuple(pairs)


Handler = Callable[[RequestT, Exchange], Awaitable[ResponseT]]


class Boundary:
    """Wraps handlers. One instance per server."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._validator = protovalidate.Validator()
        self._log = log

    def unary(
        self,
        method: str,
        request_type: type[RequestT],
        handler: Handler[RequestT, ResponseT],
        *,
        read_only: bool,
    ) -> Callable[[bytes, grpc.aio.ServicerContext[bytes, ResponseT]], Awaitable[ResponseT]]:
        """The handler as gRPC calls it. ``method`` is the RPC's name, as idempotency and logs know it.

        Requests are parsed here, since gRPC would answer bytes that do not parse as a bug of the service.
        Reads that succeed are logged at DEBUG only: routers poll, and a line per poll says nothing.
        """

        async def served(data: bytes, context: grpc.aio.ServicerContext[bytes, ResponseT]) -> ResponseT:
            started = time.perf_counter()
            request_id = _request_id(context.invocation_metadata())
            remaining = context.time_remaining()
            seconds = DEFAULT_SECONDS if remaining is None else min(remaining, MAX_SECONDS)
            call = Call(LOOPBACK_PRINCIPAL, method, time.monotonic() + seconds)
            exchange = Exchange(call, request_id)
            code = "OK"
            try:
                request = self._request(request_type, data)
                async with asyncio.timeout(seconds):
                    response = await handler(request, exchange)
                context.set_trailing_metadata(exchange.trailers())
                return response
            except RegistryError as error:
                status = errors.status_of(error)
                code = errors.code_of(error).name
            except TimeoutError:
                status = errors.deadline_status(seconds)
                code = "DEADLINE_EXCEEDED"
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            except Exception as error:
                self._log.error(RPC_FAILED, method=method, request_id=request_id, **bug_fields(error))
                status = errors.internal_status(request_id)
                code = "INTERNAL"
            finally:
                log_line = self._log.debug if read_only and code == "OK" else self._log.info
                log_line(
                    RPC_DONE,
                    method=method,
                    code=code,
                    request_id=request_id,
                    principal=call.principal,
                    milliseconds=round((time.perf_counter() - started) * 1000, 3),
                )
            await _abort(context, status, exchange)
            raise AssertionError("abort does not return")

        return served

    def _request(self, request_type: type[RequestT], data: bytes) -> RequestT:
        try:
            request = request_type.FromString(data)
        except DecodeError:
            name = request_type.DESCRIPTOR.full_name
            raise InvalidArgument(
                f"the request is no {name}: wrong bytes, or a string that is not UTF-8",
                metadata={"message": name},
            ) from None
        found = self._validator.collect_violations(request)
        if found:
            raise _invalid([_violation(violation.proto) for violation in found[:SHOWN_VIOLATIONS]])
        return request


async def _abort(
    context: grpc.aio.ServicerContext[Any, Any], status: status_pb2.Status, exchange: Exchange
) -> None:
    rich = rpc_status.to_status(status)
    await context.abort(
        rich.code, rich.details, (*rich.trailing_metadata, ("x-request-id", exchange.request_id))
    )


def _request_id(metadata: Iterable[Any] | None) -> str:
    """The caller's x-request-id where it is printable and short, else a new one."""
    for key, value in metadata or ():
        if key == "x-request-id" and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return str(uuid.uuid4())


def _invalid(violations: list[FieldViolation]) -> InvalidArgument:
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return InvalidArgument(
        f"{first.field}: {first.description}{more}",
        reason=Reason.INVALID_FIELD,
        violations=violations,
        metadata={"field": first.field},
    )


def _violation(proto: Any) -> FieldViolation:
    """A broken rule with its snake_case path, without map keys: one may be a secret in the wrong place."""
    path = ""
    for element in proto.field.elements if proto.field else ():
        path += f".{element.field_name}" if path else element.field_name
        if element.subscript is not None and element.subscript.field == "index":
            path += f"[{element.subscript.value}]"
    description = proto.message or f"breaks the rule {proto.rule_id}"
    if proto.rule_id in _PRESENCE_RULES:
        path += f".{description.split()[0]}"
    return FieldViolation(path, description, proto.rule_id)
