"""What surrounds every call, in one fused wrapper: request id, deadline, rules, errors, a log line.

One wrapper instead of a stack of interceptors, since each layer costs CPU on the path that routers poll.
Handlers raise domain errors; nothing but this module ends a call with a status.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import protovalidate
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2
from structlog.typing import FilteringBoundLogger

from runtime import statuses
from runtime.logs import bug_fields
from runtime.requests import REQUEST_ID, broken_rule, request_id_of
from runtime.statuses import Violation
from service.domain.errors import FieldViolation, InvalidArgument, Reason, RegistryError
from service.rpc import errors
from service.telemetry import RPC_DONE, RPC_FAILED
from service.usecases.context import Call

MAX_SECONDS = 60.0
DEFAULT_SECONDS = 30.0
SHOWN_VIOLATIONS = 20
REMEMBERED_BYTES = 256
REMEMBERED_REQUESTS = 1024
LOOPBACK_PRINCIPAL = "dev:loopback"

_PRESENCE_RULES = frozenset(
    {
        "create_provider.required",
        "create_provider_model.required",
        "create_model.required",
        "watch_routing.store_id",
        "report_applied_revision.store_id",
    }
)

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT")


@dataclass(slots=True)
class Exchange:
    """One call as its handler sees it: the caller and limits, and what the answer's trailers will say."""

    call: Call
    request_id: str
    peer: Callable[[], str]
    revision: int | None = None
    warning: str | None = None

    def trailers(self) -> tuple[tuple[str, str], ...]:
        """The answer's trailing metadata."""
        pairs = [(REQUEST_ID, self.request_id)]
        if self.revision is not None:
            pairs.append(("x-revision", str(self.revision)))
        if self.warning is not None:
            pairs.append(("x-warning", self.warning))
        return tuple(pairs)


Handler = Callable[[RequestT, Exchange], Awaitable[ResponseT]]
InstantHandler = Callable[[RequestT, Exchange], bytes]
Send = Callable[[bytes], Awaitable[None]]
StreamHandler = Callable[[RequestT, Exchange, Send], Awaitable[None]]


class _Run:
    """One call from its start to its log line."""

    __slots__ = ("code", "exchange", "seconds", "started")

    def __init__(self, method: str, seconds: float, request_id: str, peer: Callable[[], str]) -> None:
        self.started = time.perf_counter()
        self.seconds = seconds
        self.code = "OK"
        call = Call(LOOPBACK_PRINCIPAL, method, time.monotonic() + seconds)
        self.exchange = Exchange(call, request_id, peer)


class Boundary:
    """Wraps handlers. One instance per server."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._validator = protovalidate.Validator()
        self._log = log
        # Used when the caller sends no request id. A random one per call would cost more than the whole call.
        self._instance = secrets.token_hex(8)
        self._numbers = itertools.count(1)

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
            remaining = context.time_remaining()
            seconds = DEFAULT_SECONDS if remaining is None else min(remaining, MAX_SECONDS)
            run = _Run(method, seconds, self._request_id(context.invocation_metadata()), context.peer)
            try:
                request = self._request(request_type, data)
                async with asyncio.timeout(seconds):
                    response = await handler(request, run.exchange)
                context.set_trailing_metadata(run.exchange.trailers())
                return response
            except (Exception, asyncio.CancelledError) as error:
                status = self._status_of(error, run)
            finally:
                self._tell(run, quiet=read_only)
            await _abort(context, status, run.exchange)
            raise AssertionError("abort does not return")

        return served

    def instant(
        self,
        method: str,
        request_type: type[RequestT],
        handler: InstantHandler[RequestT],
    ) -> Callable[[bytes, grpc.aio.ServicerContext[bytes, bytes]], Awaitable[bytes]]:
        """As ``unary``, for what is answered from memory without waiting for anything: no timer is armed.

        Requests that were good before are remembered by their bytes, and neither parsed nor checked again:
        routers ask the same over and over. The handler must not change them.
        """
        known: dict[bytes, RequestT] = {}

        async def served(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            request_id = self._request_id(context.invocation_metadata())
            run = _Run(method, DEFAULT_SECONDS, request_id, context.peer)
            try:
                request = known.get(data)
                if request is None:
                    request = self._request(request_type, data)
                    if len(data) <= REMEMBERED_BYTES:
                        if len(known) >= REMEMBERED_REQUESTS:
                            known.clear()
                        known[data] = request
                response = handler(request, run.exchange)
                context.set_trailing_metadata(run.exchange.trailers())
                return response
            except (Exception, asyncio.CancelledError) as error:
                status = self._status_of(error, run)
            finally:
                self._tell(run, quiet=True)
            await _abort(context, status, run.exchange)
            raise AssertionError("abort does not return")

        return served

    def stream(
        self, method: str, request_type: type[RequestT], handler: StreamHandler[RequestT]
    ) -> Callable[[bytes, grpc.aio.ServicerContext[bytes, bytes]], Awaitable[None]]:
        """A handler that sends ready bytes for as long as it likes: no deadline but the caller's."""

        async def served(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
            run = _Run(method, math.inf, self._request_id(context.invocation_metadata()), context.peer)
            try:
                request = self._request(request_type, data)
                # Else it goes with the first message, and a stream that is cut off while that waits cannot be
                # ended: its reader would get neither more nor the error.
                await context.send_initial_metadata(())
                await handler(request, run.exchange, context.write)
                context.set_trailing_metadata(run.exchange.trailers())
                return
            except (Exception, asyncio.CancelledError) as error:
                status = self._status_of(error, run)
            finally:
                self._tell(run, quiet=False)
            await _abort(context, status, run.exchange)

        return served

    def _status_of(self, error: Exception | asyncio.CancelledError, run: _Run) -> status_pb2.Status:
        """The status that ends a call that failed; a caller that went away is not answered.

        Raises:
            CancelledError: the error is one.
        """
        match error:
            case RegistryError():
                run.code = errors.code_of(error).name
                return errors.status_of(error)
            case TimeoutError():
                run.code = "DEADLINE_EXCEEDED"
                return errors.deadline_status(run.seconds)
            case asyncio.CancelledError():
                run.code = "CANCELLED"
                raise error
            case Exception():
                return self._internal(error, run)

    def _internal(self, error: Exception, run: _Run) -> status_pb2.Status:
        request_id = run.exchange.request_id
        self._log.error(
            RPC_FAILED, method=run.exchange.call.method, request_id=request_id, **bug_fields(error)
        )
        run.code = "INTERNAL"
        return errors.internal_status(request_id)

    def _tell(self, run: _Run, *, quiet: bool) -> None:
        """One line for the call; of a read that went well at DEBUG only."""
        level = logging.DEBUG if quiet and run.code == "OK" else logging.INFO
        if self._log.is_enabled_for(level):
            self._log.log(
                level,
                RPC_DONE,
                method=run.exchange.call.method,
                code=run.code,
                request_id=run.exchange.request_id,
                principal=run.exchange.call.principal,
                milliseconds=round((time.perf_counter() - run.started) * 1000, 3),
            )

    def _request_id(self, metadata: Iterable[Any] | None) -> str:
        return request_id_of(metadata or ()) or f"{self._instance}-{next(self._numbers):x}"

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
            raise _invalid([_violation(broken_rule(violation)) for violation in found[:SHOWN_VIOLATIONS]])
        return request


async def _abort(
    context: grpc.aio.ServicerContext[Any, Any], status: status_pb2.Status, exchange: Exchange
) -> None:
    trailers = (*statuses.trailers(status), (REQUEST_ID, exchange.request_id))
    await context.abort(statuses.code_of(status), status.message, trailers)


def _invalid(violations: list[FieldViolation]) -> InvalidArgument:
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return InvalidArgument(
        f"{first.field}: {first.description}{more}",
        reason=Reason.INVALID_FIELD,
        violations=violations,
        metadata={"field": first.field},
    )


def _violation(broken: Violation) -> FieldViolation:
    """Return the domain's form of a broken rule. A rule of a whole message names the field that it misses."""
    path = broken.subject
    if broken.rule in _PRESENCE_RULES:
        field = broken.description.split()[0]
        path = f"{path}.{field}" if path else field
    return FieldViolation(path, broken.description, broken.rule)
