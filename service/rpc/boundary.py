"""What surrounds every call, in one fused wrapper: request id, deadline, rules, errors, a log line.

One wrapper instead of a stack of interceptors, since each layer costs CPU on the path that routers poll.
Handlers raise domain errors; nothing but this module ends a call with a status.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import logging
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import grpc
import protovalidate
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2
from structlog.typing import FilteringBoundLogger

from runtime import statuses
from runtime.logs import bug_fields
from runtime.refusals import Refusals
from runtime.requests import REQUEST_ID, UNREADABLE, broken_rule, request_id_of, summary
from runtime.statuses import Violation
from service.domain.calls import Call, IdempotencyKey
from service.domain.errors import FieldViolation, InvalidArgument, Reason, RegistryError
from service.rpc import errors
from service.rpc.peers import Peers, Send
from service.telemetry import RPC_DONE, RPC_FAILED, RPC_REFUSED
from service.usecases.min_revision import MIN_REVISION

MAX_SECONDS = 60.0
DEFAULT_SECONDS = 30.0
ANSWER_SECONDS = 0.5
"""What is left of a call's deadline for its answer."""
SHOWN_VIOLATIONS = 20
REMEMBERED_BYTES = 256
REMEMBERED_REQUESTS = 1024

_NAMING_FIELDS = ("name", "parent", "provider", "provider_model", "model")
"""The fields of requests that name the resource a write is about, or hold a message with its ``name``."""

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)
Identify = Callable[[grpc.aio.ServicerContext[Any, Any]], str]
"""Returns the principal that makes a call."""


def loopback_caller(_context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """Return the one principal of a registry that listens on loopback only: it may do everything."""
    return "dev:loopback"


@dataclass(slots=True)
class Exchange:
    """One call as its handler sees it, and what its trailers and its log line will say."""

    method: str
    principal: str
    request_id: str
    peer: Callable[[], str]
    seconds: float
    started: float = field(default_factory=time.perf_counter)
    call: Call = field(init=False)
    """What use cases are given. Handlers that wait for nothing need none, and have none."""
    code: str = "OK"
    refusal: RegistryError | None = None
    resource: str = ""
    revision: int | None = None
    revision_token: str | None = None
    warning: str | None = None
    min_revision: str = ""
    """What the caller has seen already, as it sent it."""

    def trailers(self) -> tuple[tuple[str, str], ...]:
        """Return the trailing metadata of the answer."""
        pairs = [(REQUEST_ID, self.request_id)]
        if self.revision is not None:
            pairs.append(("x-revision", str(self.revision)))
        if self.revision_token is not None:
            pairs.append(("x-revision-token", self.revision_token))
        if self.warning is not None:
            pairs.append(("x-warning", self.warning))
        return tuple(pairs)


class Refused(NamedTuple):
    """A kind of refusal, as the log tells them apart; without a reason where the caller's time was over."""

    method: str
    code: str
    reason: str
    principal: str


Handler = Callable[[RequestT, Exchange], Awaitable[ResponseT]]
InstantHandler = Callable[[RequestT, Exchange], bytes | Coroutine[Any, Any, bytes]]
Fresh = Callable[[str, float], Awaitable[None]]
"""Waits for so many seconds until what is answered from has the revision that `MIN_REVISION` names."""
StreamHandler = Callable[[RequestT, Exchange, Send], Awaitable[None]]


class Boundary:
    """Wraps handlers: `_begin` and `_end` surround each call, whatever its kind. One instance per server.

    ``fingerprint_key`` keys the fingerprints of requests that may be repeated.
    """

    def __init__(
        self,
        log: FilteringBoundLogger,
        *,
        fingerprint_key: bytes,
        identify: Identify = loopback_caller,
        peers: Peers | None = None,
    ) -> None:
        self._peers = Peers() if peers is None else peers
        self._validator = protovalidate.Validator()
        self._log = log
        self._refusals: Refusals[Refused] = Refusals(time.monotonic)
        self._fingerprint_key = fingerprint_key
        self._identify = identify
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
        fresh: Fresh | None = None,
    ) -> Callable[[bytes, grpc.aio.ServicerContext[bytes, bytes]], Awaitable[bytes]]:
        """Return the handler as gRPC calls it. ``method`` is the RPC's name, as idempotency and logs know it.

        ``fresh`` is called before the handler where the caller asks for what it has seen already.

        Requests are parsed here, since gRPC would answer bytes that do not parse as a bug of the service.
        Reads that succeed are logged at DEBUG only: routers poll, and a line per poll says nothing.
        """

        async def served(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            seconds = _seconds_left(context)
            exchange = self._begin(method, seconds, context)
            try:
                request = self._request(request_type, data)
                exchange.call = self._call(exchange, request)
                if not read_only:
                    exchange.resource = _named_in(request)
                with self._peers.call(exchange.peer()):
                    async with asyncio.timeout(seconds):
                        if fresh is not None and exchange.min_revision:
                            await fresh(exchange.min_revision, _most_of(seconds))
                        response = await handler(request, exchange)
                if not read_only:
                    exchange.resource = getattr(response, "name", "") or exchange.resource
                # What was written is written: no refusal may say otherwise.
                ready = self._peers.respond(context, response.SerializeToString(), may_refuse=read_only)
                context.set_trailing_metadata(exchange.trailers())
                return ready
            except (Exception, asyncio.CancelledError) as error:
                status = self._status_of(error, exchange)
            finally:
                self._end(exchange, quiet=read_only)
            await _abort(context, status, exchange)
            raise AssertionError("abort does not return")

        return served

    def instant(
        self,
        method: str,
        request_type: type[RequestT],
        handler: InstantHandler[RequestT],
        *,
        fresh: Fresh | None = None,
    ) -> Callable[[bytes, grpc.aio.ServicerContext[bytes, bytes]], Awaitable[bytes]]:
        """As `unary`, for what is answered from memory: no timer is armed unless the handler returns an
        awaitable, for the rare answer that takes time.

        Requests that were good before are remembered by their bytes, and neither parsed nor checked again:
        routers ask the same over and over. The handler must not change them.
        """
        known: dict[bytes, RequestT] = {}

        async def served(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            exchange = self._begin(method, DEFAULT_SECONDS, context)
            try:
                request = known.get(data)
                if request is None:
                    request = self._request(request_type, data)
                    if len(data) <= REMEMBERED_BYTES:
                        if len(known) >= REMEMBERED_REQUESTS:
                            known.clear()
                        known[data] = request
                if fresh is None or not exchange.min_revision:
                    response = handler(request, exchange)
                else:
                    response = _once_fresh(fresh, handler, request, exchange)
                if not isinstance(response, bytes):
                    with closing(response), self._peers.call(exchange.peer()):
                        response = await _in_time(response, exchange, context)
                ready = self._peers.respond(context, response, may_refuse=True)
                context.set_trailing_metadata(exchange.trailers())
                return ready
            except (Exception, asyncio.CancelledError) as error:
                status = self._status_of(error, exchange)
            finally:
                self._end(exchange, quiet=True)
            await _abort(context, status, exchange)
            raise AssertionError("abort does not return")

        return served

    def stream(
        self,
        method: str,
        request_type: type[RequestT],
        handler: StreamHandler[RequestT],
        *,
        fresh: Fresh | None = None,
    ) -> Callable[[bytes, grpc.aio.ServicerContext[bytes, bytes]], Awaitable[None]]:
        """Return a handler that sends ready bytes for as long as it likes: no deadline but the caller's."""

        async def served(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
            exchange = self._begin(method, math.inf, context)
            try:
                request = self._request(request_type, data)
                # Else it goes with the first message, and a stream that is cut off while that waits cannot be
                # ended: its reader would get neither more nor the error.
                await context.send_initial_metadata(())
                with self._peers.watch(exchange.peer(), context.write) as send:
                    if fresh is not None and exchange.min_revision:
                        await fresh(exchange.min_revision, _most_of(_seconds_left(context)))
                    await handler(request, exchange, send)
                context.set_trailing_metadata(exchange.trailers())
                return
            except (Exception, asyncio.CancelledError) as error:
                status = self._status_of(error, exchange)
            finally:
                self._end(exchange, quiet=False)
            await _abort(context, status, exchange)

        return served

    def _begin(self, method: str, seconds: float, context: grpc.aio.ServicerContext[Any, Any]) -> Exchange:
        """Return the exchange of a call that has just come in: who makes it, under which request id."""
        metadata = context.invocation_metadata() or ()
        request_id = request_id_of(metadata)
        return Exchange(
            method,
            self._identify(context),
            request_id or f"{self._instance}-{next(self._numbers):x}",
            context.peer,
            seconds,
            min_revision=_min_revision_of(metadata),
        )

    def _end(self, exchange: Exchange, *, quiet: bool) -> None:
        """Write the call's one log line; of a read that went well, and of what is counted, at DEBUG only."""
        quiet = self._is_counted(exchange) or (quiet and exchange.code == "OK")
        level = logging.DEBUG if quiet else logging.INFO
        if self._log.is_enabled_for(level):
            self._log.log(
                level,
                RPC_DONE,
                method=exchange.method,
                code=exchange.code,
                request_id=exchange.request_id,
                principal=exchange.principal,
                milliseconds=round((time.perf_counter() - exchange.started) * 1000, 3),
                **_particulars(exchange),
            )

    def _is_counted(self, exchange: Exchange) -> bool:
        """Return whether a call is one more of those that were refused before; a bug never is."""
        if exchange.code in ("OK", "INTERNAL"):
            return False
        reason = exchange.refusal.reason.value if exchange.refusal else ""
        return not self._refusals.is_first(
            Refused(exchange.method, exchange.code, reason, exchange.principal)
        )

    def report_refusals(self) -> None:
        """Write how many calls were refused since the last time and not logged one by one, a line a kind."""
        for refused, count in self._refusals.take().items():
            self._log.info(RPC_REFUSED, **refused._asdict(), count=count)

    def _call(self, exchange: Exchange, request: Message) -> Call:
        """Return what use cases know of this call; of the body only what every write may carry."""
        return Call(
            exchange.principal,
            exchange.method,
            time.monotonic() + exchange.seconds,
            exchange.request_id,
            getattr(request, "validate_only", False),
            self._key(request, getattr(request, "request_id", "")),
        )

    def _key(self, request: Message, request_id: str) -> IdempotencyKey | None:
        """Return the body's ``request_id`` with a keyed fingerprint of the body, which may hold a secret."""
        if not request_id:
            return None
        body = request.SerializeToString(deterministic=True)
        return IdempotencyKey(request_id, hmac.digest(self._fingerprint_key, body, "sha256"))

    def _status_of(self, error: Exception | asyncio.CancelledError, exchange: Exchange) -> status_pb2.Status:
        """Return the status that ends a call that failed; a caller that went away is not answered.

        Raises:
            CancelledError: the error is one.
        """
        match error:
            case RegistryError():
                exchange.code = errors.code_of(error).name
                exchange.refusal = error
                return errors.status_of(error)
            case TimeoutError():
                exchange.code = "DEADLINE_EXCEEDED"
                return errors.deadline_status(exchange.seconds)
            case asyncio.CancelledError():
                exchange.code = "CANCELLED"
                raise error
            case Exception():
                return self._internal(error, exchange)

    def _internal(self, error: Exception, exchange: Exchange) -> status_pb2.Status:
        request_id = exchange.request_id
        self._log.error(RPC_FAILED, method=exchange.method, request_id=request_id, **bug_fields(error))
        exchange.code = "INTERNAL"
        return errors.internal_status(request_id)

    def _request(self, request_type: type[RequestT], data: bytes) -> RequestT:
        try:
            request = request_type.FromString(data)
        except DecodeError:
            raise InvalidArgument(UNREADABLE) from None
        found = self._validator.collect_violations(request)
        if found:
            raise _invalid([broken_rule(violation) for violation in found[:SHOWN_VIOLATIONS]])
        return request


def _min_revision_of(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    for key, value in metadata:
        if key == MIN_REVISION and isinstance(value, str):
            return value
    return ""


def _seconds_left(context: grpc.aio.ServicerContext[Any, Any]) -> float:
    """Return how long a call may take: to its deadline, and not for ever where it has none."""
    remaining = context.time_remaining()
    return DEFAULT_SECONDS if remaining is None else min(remaining, MAX_SECONDS)


def _most_of(seconds: float) -> float:
    """Return how long a call may wait so that its answer still comes before its deadline."""
    return max(seconds - ANSWER_SECONDS, seconds / 2)


async def _once_fresh(
    fresh: Fresh, handler: InstantHandler[RequestT], request: RequestT, exchange: Exchange
) -> bytes:
    await fresh(exchange.min_revision, _most_of(exchange.seconds))
    response = handler(request, exchange)
    return response if isinstance(response, bytes) else await response


async def _in_time(
    answer: Awaitable[bytes], exchange: Exchange, context: grpc.aio.ServicerContext[bytes, bytes]
) -> bytes:
    exchange.seconds = _seconds_left(context)
    async with asyncio.timeout(exchange.seconds):
        return await answer


async def _abort(
    context: grpc.aio.ServicerContext[Any, Any], status: status_pb2.Status, exchange: Exchange
) -> None:
    trailers = (*statuses.trailers(status), (REQUEST_ID, exchange.request_id))
    await context.abort(statuses.code_of(status), status.message, trailers)


def _named_in(request: Message) -> str:
    """Return the name of the resource that a write is about, "" where its request has none."""
    for name in _NAMING_FIELDS:
        value = getattr(request, name, "")
        if value:
            return value if isinstance(value, str) else getattr(value, "name", "")
    return ""


def _particulars(exchange: Exchange) -> dict[str, str | int]:
    """Return what the log says of this call alone: what was written, or why it was refused."""
    found: dict[str, str | int] = {}
    if exchange.resource:
        found["resource"] = exchange.resource
    if exchange.revision is not None:
        found["revision"] = exchange.revision
    if exchange.refusal is not None:
        found |= exchange.refusal.log_fields
    return found


def _invalid(broken: list[Violation]) -> InvalidArgument:
    return InvalidArgument(
        summary(broken),
        reason=Reason.INVALID_FIELD,
        violations=[FieldViolation(each.subject, each.description, each.rule) for each in broken],
        metadata={"field": broken[0].subject},
    )
