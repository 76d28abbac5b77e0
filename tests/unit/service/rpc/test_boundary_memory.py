"""What surrounds answers from memory and streams: the same promises as for every other call."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import grpc
import pytest
from codevector.providers.v1 import routing_service_pb2 as pb
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from runtime.logs import build_logger
from service.domain.errors import OutOfRange, Reason, ResourceExhausted
from service.rpc import boundary as module
from service.rpc.boundary import Boundary, Exchange
from service.rpc.peers import Send

CANARY = "cAnArY-77ab"
HELD = pb.GetRoutingSnapshotRequest(if_revision_not=7, store_id="s")
Handler = Callable[[pb.GetRoutingSnapshotRequest, Exchange], bytes]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the calls, one after the other, and what was logged."""

    answers: list[bytes]
    codes: list[grpc.StatusCode]
    status: status_pb2.Status
    trailers: dict[str, str]
    lines: list[dict[str, object]]
    everything: str

    def detail(self, kind: type[Any]) -> Any:
        """The last call's error detail of that kind."""
        [packed] = [one for one in self.status.details if one.Is(kind.DESCRIPTOR)]
        return kind.FromString(packed.value)


def calls(
    make: Callable[[Boundary], grpc.RpcMethodHandler[Any, Any]],
    *requests: bytes,
    metadata: tuple[tuple[str, str], ...] = (),
) -> Outcome:
    """Call a method behind the boundary on a real server, once for each request."""
    stream = io.StringIO()

    async def main() -> Outcome:
        server = grpc.aio.server()
        method = make(Boundary(build_logger(stream, logging.DEBUG), fingerprint_key=bytes(32)))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.S", {"Try": method}),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        answers: list[bytes] = []
        codes: list[grpc.StatusCode] = []
        status = status_pb2.Status()
        trailers: dict[str, str] = {}
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                kind: Any = channel.unary_stream if method.response_streaming else channel.unary_unary
                for request in requests:
                    call = kind("/test.S/Try")(request, timeout=60, metadata=metadata)
                    try:
                        if method.response_streaming:
                            async for message in call:
                                answers.append(message)
                        else:
                            answers.append(await call)
                    except grpc.aio.AioRpcError as error:
                        status = rpc_status.from_call(cast(grpc.Call, error)) or status
                    codes.append(await call.code())
                    trailers = {key: str(value) for key, value in await call.trailing_metadata() or ()}
        finally:
            await server.stop(30)
        logged = stream.getvalue()
        lines = [json.loads(line) for line in logged.splitlines()]
        return Outcome(answers, codes, status, trailers, lines, f"{status}{trailers}{logged}")

    return asyncio.run(main())


def instant(handler: Handler) -> Callable[[Boundary], grpc.RpcMethodHandler[Any, Any]]:
    return lambda boundary: grpc.unary_unary_rpc_method_handler(
        boundary.instant("Try", pb.GetRoutingSnapshotRequest, handler)
    )


def stream(handler: Any) -> Callable[[Boundary], grpc.RpcMethodHandler[Any, Any]]:
    return lambda boundary: grpc.unary_stream_rpc_method_handler(
        boundary.stream("Try", pb.GetRoutingSnapshotRequest, handler)
    )


def told(request: pb.GetRoutingSnapshotRequest, exchange: Exchange) -> bytes:
    return f"{request.store_id} {request.if_revision_not}".encode()


class TestInstant:
    def test_answers_bytes_and_the_callers_request_id(self) -> None:
        got = calls(instant(told), HELD.SerializeToString(), metadata=(("x-request-id", "trace-1"),))
        assert (got.answers, got.codes) == ([b"s 7"], [grpc.StatusCode.OK])
        assert got.trailers["x-request-id"] == "trace-1"
        [line] = got.lines
        assert (line["event"], line["level"], line["code"]) == ("rpc_done", "debug", "OK")

    def test_the_same_request_is_the_same_message_again_and_another_is_another(self) -> None:
        seen: list[int] = []

        def handler(request: pb.GetRoutingSnapshotRequest, exchange: Exchange) -> bytes:
            seen.append(id(request))
            return told(request, exchange)

        other = pb.GetRoutingSnapshotRequest(if_revision_not=8, store_id="s").SerializeToString()
        got = calls(instant(handler), HELD.SerializeToString(), other, HELD.SerializeToString())
        assert got.answers == [b"s 7", b"s 8", b"s 7"]
        assert seen[0] == seen[2] != seen[1]

    def test_what_is_remembered_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "REMEMBERED_REQUESTS", 2)
        requests = [
            pb.GetRoutingSnapshotRequest(if_revision_not=number, store_id="s").SerializeToString()
            for number in (1, 2, 3, 1, 2, 3)
        ]
        assert calls(instant(told), *requests).answers == [b"s 1", b"s 2", b"s 3", b"s 1", b"s 2", b"s 3"]

    @pytest.mark.parametrize(
        "data",
        [pb.GetRoutingSnapshotRequest(if_revision_not=-1, store_id=CANARY).SerializeToString(), b"\xff"],
        ids=["broken-rule", "no-message"],
    )
    def test_what_is_refused_once_is_refused_again(self, data: bytes) -> None:
        got = calls(instant(told), data, data)
        assert got.codes == [grpc.StatusCode.INVALID_ARGUMENT] * 2
        assert got.detail(error_details_pb2.ErrorInfo).reason == "INVALID_FIELD"
        assert CANARY not in got.everything

    def test_bugs_keep_their_text_to_themselves(self) -> None:
        def handler(request: pb.GetRoutingSnapshotRequest, exchange: Exchange) -> bytes:
            raise ValueError(CANARY)

        got = calls(instant(handler), HELD.SerializeToString())
        assert got.codes == [grpc.StatusCode.INTERNAL]
        assert CANARY not in got.everything


class TestStream:
    def test_sends_what_the_handler_sends(self) -> None:
        async def handler(request: pb.GetRoutingSnapshotRequest, exchange: Exchange, send: Send) -> None:
            for number in range(request.if_revision_not):
                await send(str(number).encode())

        got = calls(stream(handler), HELD.SerializeToString(), metadata=(("x-request-id", "trace-1"),))
        assert got.answers == [str(number).encode() for number in range(7)]
        assert (got.codes, got.trailers["x-request-id"]) == ([grpc.StatusCode.OK], "trace-1")

    def test_what_was_sent_arrives_before_the_error_that_ends_it(self) -> None:
        async def handler(request: pb.GetRoutingSnapshotRequest, exchange: Exchange, send: Send) -> None:
            await send(b"first")
            raise OutOfRange("gone", reason=Reason.REVISION_COMPACTED, metadata={"current_revision": "9"})

        got = calls(stream(handler), HELD.SerializeToString())
        assert (got.answers, got.codes) == ([b"first"], [grpc.StatusCode.OUT_OF_RANGE])
        info = got.detail(error_details_pb2.ErrorInfo)
        assert (info.reason, dict(info.metadata)) == ("REVISION_COMPACTED", {"current_revision": "9"})
        assert got.lines[-1]["code"] == "OUT_OF_RANGE"

    def test_who_did_not_take_the_first_message_is_told_why_it_ends(self) -> None:
        """The message is larger than what gRPC takes on behalf of a client that does not read."""

        async def main() -> tuple[int, grpc.StatusCode]:
            over = asyncio.Event()

            async def handler(request: pb.GetRoutingSnapshotRequest, exchange: Exchange, send: Send) -> None:
                sending = asyncio.ensure_future(send(bytes(1 << 20)))
                await asyncio.sleep(0)  # gRPC has the message
                sending.cancel()
                over.set()
                raise ResourceExhausted(
                    "stalled", reason=Reason.WATCHER_STALLED, subject="watcher", retry_after_seconds=1
                )

            server = grpc.aio.server()
            method = stream(handler)(
                Boundary(build_logger(io.StringIO(), logging.DEBUG), fingerprint_key=bytes(32))
            )
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler("test.S", {"Try": method}),)
            )
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            options = [("grpc.http2.bdp_probe", 0)]  # else gRPC takes more and more
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
                kind: Any = channel.unary_stream
                call = kind("/test.S/Try")(HELD.SerializeToString(), timeout=60)
                await over.wait()
                size = len(await call.read())
                code = await call.code()
            await server.stop(30)
            return size, code

        assert asyncio.run(main()) == (1 << 20, grpc.StatusCode.RESOURCE_EXHAUSTED)

    def test_too_much_says_of_what_and_when_to_come_back(self) -> None:
        async def handler(request: pb.GetRoutingSnapshotRequest, exchange: Exchange, send: Send) -> None:
            raise ResourceExhausted(
                "full", reason=Reason.TOO_MANY_WATCHERS, subject="watchers", retry_after_seconds=5
            )

        got = calls(stream(handler), HELD.SerializeToString())
        assert got.codes == [grpc.StatusCode.RESOURCE_EXHAUSTED]
        assert got.detail(error_details_pb2.QuotaFailure).violations[0].subject == "watchers"
        assert got.detail(error_details_pb2.RetryInfo).retry_delay.seconds == 5

    def test_broken_rules_never_reach_the_handler(self) -> None:
        async def handler(request: pb.GetRoutingSnapshotRequest, exchange: Exchange, send: Send) -> None:
            await send(CANARY.encode())

        data = pb.GetRoutingSnapshotRequest(if_revision_not=-1).SerializeToString()
        got = calls(stream(handler), data)
        assert (got.answers, got.codes) == ([], [grpc.StatusCode.INVALID_ARGUMENT])

    def test_one_that_is_cut_off_before_its_first_message_was_taken_ends_with_the_error(self) -> None:
        async def main() -> None:
            cut = asyncio.Event()

            async def handler(request: pb.GetRoutingSnapshotRequest, exchange: Exchange, send: Send) -> None:
                sending = asyncio.ensure_future(send(bytes(1 << 20)))
                await asyncio.wait([sending], timeout=0.1)
                assert not sending.done()
                sending.cancel()
                cut.set()
                raise OutOfRange("gone", reason=Reason.REVISION_COMPACTED)

            server = grpc.aio.server()
            method = stream(handler)(
                Boundary(build_logger(io.StringIO(), logging.DEBUG), fingerprint_key=bytes(32))
            )
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler("test.S", {"Try": method}),)
            )
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            narrow = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_535)]
            try:
                async with (
                    asyncio.timeout(60),
                    grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=narrow) as channel,
                ):
                    open_stream: Any = channel.unary_stream("/test.S/Try")
                    call = open_stream(HELD.SerializeToString())
                    await cut.wait()
                    assert len(await call.read()) == 1 << 20
                    assert await call.code() is grpc.StatusCode.OUT_OF_RANGE
            finally:
                await server.stop(30)

        asyncio.run(main())
