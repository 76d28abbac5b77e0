"""What surrounds every call, on a real server with handlers of these tests."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import grpc
import pytest
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from runtime.logs import build_logger
from service.domain.calls import Call
from service.domain.errors import NotFound, ResourceRef, invalid_field
from service.rpc.boundary import Boundary, Exchange

CANARY = "cAnArY-41c2"
REQUEST = pb.GetProviderRequest(name="providers/acme")
Handler = Callable[[Any, Exchange], Awaitable[pb.ListProvidersResponse]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the caller got, and what was logged."""

    code: grpc.StatusCode
    message: str
    reason: str
    trailers: dict[str, str]
    lines: list[dict[str, object]]
    everything: str


async def respond(request: pb.GetProviderRequest, exchange: Exchange) -> pb.ListProvidersResponse:
    return pb.ListProvidersResponse(total_size=len(request.name))


def outcome(
    handler: Handler,
    data: bytes = REQUEST.SerializeToString(),
    *,
    timeout: float | None = 5,
    read_only: bool = False,
    metadata: tuple[tuple[str, str], ...] = (),
    request_type: type[Message] = pb.GetProviderRequest,
) -> Outcome:
    """One call of a handler at the boundary."""
    stream = io.StringIO()
    return asyncio.run(_outcome(handler, data, timeout, read_only, metadata, request_type, stream))


async def _outcome(
    handler: Handler,
    data: bytes,
    timeout: float | None,
    read_only: bool,
    metadata: tuple[tuple[str, str], ...],
    request_type: type[Message],
    stream: io.StringIO,
) -> Outcome:
    boundary = Boundary(build_logger(stream, logging.DEBUG), fingerprint_key=bytes(32))
    method: grpc.RpcMethodHandler[bytes, Any] = grpc.unary_unary_rpc_method_handler(
        boundary.unary("Try", request_type, handler, read_only=read_only)
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", {"Try": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            attempt: Any = channel.unary_unary("/test.Service/Try")
            call = attempt(data, timeout=timeout, metadata=metadata)
            try:
                await call
                status = status_pb2.Status()
            except grpc.aio.AioRpcError as error:
                status = rpc_status.from_call(cast(grpc.Call, error)) or status_pb2.Status(
                    message=error.details() or ""
                )
            code, trailers = await call.code(), await call.trailing_metadata()
    finally:
        await server.stop(30)
    infos = [one for one in status.details if one.type_url.endswith("ErrorInfo")]
    return Outcome(
        code=code,
        message=status.message,
        reason=error_details_pb2.ErrorInfo.FromString(infos[0].value).reason if infos else "",
        trailers={key: str(value) for key, value in trailers or ()},
        lines=[json.loads(line) for line in stream.getvalue().splitlines()],
        everything=f"{status}{trailers}{stream.getvalue()}",
    )


class TestAnswers:
    def test_carry_the_callers_request_id(self) -> None:
        got = outcome(respond, metadata=(("x-request-id", "trace-1"),))
        assert got.code is grpc.StatusCode.OK
        assert got.trailers["x-request-id"] == "trace-1"
        assert got.lines[0]["request_id"] == "trace-1"

    def test_carry_what_the_handler_noted(self) -> None:
        async def handler(request: pb.GetProviderRequest, exchange: Exchange) -> pb.ListProvidersResponse:
            exchange.revision, exchange.warning = 7, "Mind the gap."
            return pb.ListProvidersResponse()

        got = outcome(handler)
        assert (got.trailers["x-revision"], got.trailers["x-warning"]) == ("7", "Mind the gap.")

    @pytest.mark.parametrize(("read_only", "level"), [(True, "debug"), (False, "info")])
    def test_of_reads_are_logged_at_debug_alone(self, read_only: bool, level: str) -> None:
        [line] = outcome(respond, read_only=read_only).lines
        assert (line["event"], line["level"], line["code"]) == ("rpc_done", level, "OK")


class TestCountedRefusals:
    async def calls(self, level: int) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
        """The lines of refused calls and of two bugs, and of the report."""
        failures: list[Exception] = [NotFound(ResourceRef("provider", "providers/acme"))] * 50
        failures[10:10] = [invalid_field("name", "must be another")] * 5
        raised = [*failures, ValueError(CANARY), ValueError(CANARY)]
        stream = io.StringIO()
        boundary = Boundary(build_logger(stream, level), fingerprint_key=bytes(32))

        async def handler(request: pb.GetProviderRequest, exchange: Exchange) -> pb.ListProvidersResponse:
            raise raised.pop(0)

        served = boundary.unary("Try", pb.GetProviderRequest, handler, read_only=True)
        server = grpc.aio.server()
        method: grpc.RpcMethodHandler[bytes, Any] = grpc.unary_unary_rpc_method_handler(served)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test.Service", {"Try": method}),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            attempt: Any = channel.unary_unary("/test.Service/Try")
            while raised:
                with pytest.raises(grpc.aio.AioRpcError):
                    await attempt(REQUEST.SerializeToString(), timeout=60)
        await server.stop(30)
        before = stream.getvalue()
        boundary.report_refusals()
        boundary.report_refusals()
        after = stream.getvalue().removeprefix(before)
        assert CANARY not in before + after
        return [json.loads(line) for line in before.splitlines()], [
            json.loads(line) for line in after.splitlines()
        ]

    def test_are_counted_after_the_first_of_a_reason_and_bugs_never(self) -> None:
        lines, report = asyncio.run(self.calls(logging.INFO))
        assert [(line["event"], line.get("code")) for line in lines] == [
            ("rpc_done", "NOT_FOUND"),
            ("rpc_done", "INVALID_ARGUMENT"),
            *[("rpc_failed", None), ("rpc_done", "INTERNAL")] * 2,
        ]
        for line in report:
            del line["timestamp"]
        same = {"event": "rpc_refused", "level": "info", "method": "Try", "principal": "dev:loopback"}
        assert report == [
            {**same, "code": "NOT_FOUND", "reason": "RESOURCE_NOT_FOUND", "count": 49},
            {**same, "code": "INVALID_ARGUMENT", "reason": "INVALID_FIELD", "count": 4},
        ]

    def test_have_a_line_each_at_debug(self) -> None:
        lines, _ = asyncio.run(self.calls(logging.DEBUG))
        assert sum(line["event"] == "rpc_done" for line in lines) == 57


class TestLogLines:
    def test_of_writes_name_the_resource_and_the_revision(self) -> None:
        async def handler(request: pb.GetProviderRequest, exchange: Exchange) -> pb.ListProvidersResponse:
            exchange.revision = 7
            return pb.ListProvidersResponse()

        [line] = outcome(handler).lines
        assert (line["resource"], line["revision"], line["principal"]) == (
            "providers/acme",
            7,
            "dev:loopback",
        )

    def test_of_refusals_say_why(self) -> None:
        async def handler(request: pb.GetProviderRequest, exchange: Exchange) -> pb.ListProvidersResponse:
            raise invalid_field("provider.kind", f"not {CANARY}", rule="immutable")

        got = outcome(handler)
        assert (got.lines[-1]["reason"], got.lines[-1]["field"]) == ("INVALID_FIELD", "provider.kind")
        assert CANARY not in json.dumps(got.lines)

    def test_repeat_nothing_of_a_request_that_broke_a_rule(self) -> None:
        got = outcome(respond, pb.GetProviderRequest(name=CANARY).SerializeToString())
        assert (got.lines[-1]["reason"], got.lines[-1]["field"]) == ("INVALID_FIELD", "name")
        assert "resource" not in got.lines[-1]


class TestCalls:
    """What use cases are told of a request, and what of a dry run."""

    @pytest.mark.parametrize(("validate_only", "repeated"), [(False, True), (True, False)])
    def test_a_dry_run_has_no_idempotency_key(self, validate_only: bool, repeated: bool) -> None:
        seen: list[Call] = []

        async def handler(request: pb.DisableProviderRequest, exchange: Exchange) -> pb.ListProvidersResponse:
            seen.append(exchange.call)
            return pb.ListProvidersResponse()

        request = pb.CreateProviderModelRequest(
            parent="providers/acme",
            provider_model={"upstream_model_id": "m", "kind": 1},
            request_id="c0ffee00-0000-4000-8000-000000000000",
            validate_only=validate_only,
        )
        outcome(handler, request.SerializeToString(), request_type=type(request))
        [call] = seen
        assert (call.principal, call.method, call.validate_only) == ("dev:loopback", "Try", validate_only)
        assert (call.key is not None) is repeated
        assert 0 < call.seconds_left() < 6


class TestRefusals:
    def test_broken_rules_never_reach_the_handler(self) -> None:
        got = outcome(respond, pb.GetProviderRequest(name=CANARY).SerializeToString())
        assert (got.code, got.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
        assert CANARY not in got.everything

    def test_neither_do_bytes_that_are_no_message(self) -> None:
        got = outcome(respond, b"\xff" + CANARY.encode())
        assert (got.code, got.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
        assert CANARY not in got.everything

    def test_domain_errors_get_their_code(self) -> None:
        async def handler(request: pb.GetProviderRequest, exchange: Exchange) -> pb.ListProvidersResponse:
            raise NotFound(ResourceRef("codevector/Provider", request.name))

        got = outcome(handler)
        assert (got.code, got.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
        assert got.trailers["x-request-id"]
        assert got.lines[-1]["code"] == "NOT_FOUND"


class TestBugs:
    def test_are_internal_and_keep_their_text_to_themselves(self) -> None:
        async def handler(request: pb.GetProviderRequest, exchange: Exchange) -> pb.ListProvidersResponse:
            raise ValueError(f"cannot use {CANARY}")

        got = outcome(handler, metadata=(("x-request-id", "trace-1"),))
        assert (got.code, got.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
        assert "trace-1" in got.message
        assert CANARY not in got.everything
        failed = next(line for line in got.lines if line["event"] == "rpc_failed")
        assert failed["error"] == "ValueError"
        assert "test_boundary.py" in str(failed["stack"])


class TestDeadlines:
    def test_a_call_ends_when_its_time_is_over(self) -> None:
        async def handler(request: pb.GetProviderRequest, exchange: Exchange) -> pb.ListProvidersResponse:
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

        assert outcome(handler, timeout=0.05).code is grpc.StatusCode.DEADLINE_EXCEEDED

    @pytest.mark.parametrize(
        ("timeout", "seconds"), [(None, 30), (10, 10), (600, 60)], ids=["absent", "given", "too-long"]
    )
    def test_handlers_know_how_long_they_have(self, timeout: float | None, seconds: float) -> None:
        left: list[float] = []

        async def handler(request: pb.GetProviderRequest, exchange: Exchange) -> pb.ListProvidersResponse:
            left.append(exchange.call.deadline - time.monotonic())
            return pb.ListProvidersResponse()

        outcome(handler, timeout=timeout)
        assert abs(left[0] - seconds) < 9, "a machine that pauses does not make one of them another"
