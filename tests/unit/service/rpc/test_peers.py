"""What one connection may have under way: refused or made to wait beyond it, and others are not touched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import StringIO
from typing import Any
from uuid import uuid4

import grpc
import pytest
from codevector.providers.v1 import routing_service_pb2 as pb
from codevector.providers.v1 import routing_service_pb2_grpc, system_service_pb2_grpc
from codevector.providers.v1 import system_service_pb2 as system_pb
from google.protobuf.duration_pb2 import Duration

from runtime.logs import build_logger
from service.domain.errors import Reason, ResourceExhausted
from service.rpc.boundary import Boundary, Exchange
from service.rpc.options import MAX_STREAMS, server_options
from service.rpc.peers import MAX_CALLS, MAX_WATCHES, PEER, SMALL_BYTES, Peers
from tests.support.servers.api import Api, Refusal, refusal_of, refused
from tests.support.servers.frames import (
    END_HEADERS,
    END_STREAM,
    HEADERS,
    NO_WINDOW,
    RST_STREAM,
    Frames,
    call,
    frame,
    headers,
    reset,
)
from tests.support.servers.harness import wait_until
from tests.support.servers.watching import connect

ONE, OTHER = "ipv4:127.0.0.1:1", "ipv4:127.0.0.1:2"
LARGE = bytes(SMALL_BYTES + 1)
SECONDS = 60.0
SESSION = uuid4().bytes


@dataclass
class Context:
    """What gRPC hands a handler, as far as a response needs it. ``read()`` is its client reading all."""

    name: str
    callbacks: list[Callable[[object], None]] = field(default_factory=list)

    def peer(self) -> str:
        return self.name

    def add_done_callback(self, callback: Callable[[object], None]) -> None:
        self.callbacks.append(callback)

    def read(self) -> None:
        for callback in self.callbacks:
            callback(self)


def respond(peers: Peers, name: str, response: bytes = LARGE, *, may_refuse: bool = True) -> Context:
    context: Any = Context(name)
    assert peers.respond(context, response, may_refuse=may_refuse) is response
    made: Context = context
    return made


def too_much(work: Callable[[], object]) -> ResourceExhausted:
    with pytest.raises(ResourceExhausted) as caught:
        work()
    assert caught.value.subject == "connection"
    assert caught.value.retry_after_seconds > 0
    return caught.value


class TestCalls:
    def test_one_too_many_is_refused_until_another_has_ended(self) -> None:
        peers = Peers(max_calls=2)
        with ExitStack() as stack:
            stack.enter_context(peers.call(ONE))
            with peers.call(ONE):
                error = too_much(lambda: stack.enter_context(peers.call(ONE)))
                assert (error.reason, error.metadata) == (Reason.TOO_MANY_CALLS, {"max_calls": "2"})
                stack.enter_context(peers.call(OTHER))
            stack.enter_context(peers.call(ONE))
        assert len(peers) == 0

    def test_the_running_call_knows_its_connection(self) -> None:
        with Peers().call(ONE):
            assert PEER.get() == ONE
        assert PEER.get() == ""


class TestResponses:
    def test_the_next_is_refused_until_one_has_been_read(self) -> None:
        peers = Peers(max_unread_bytes=len(LARGE))
        unread = respond(peers, ONE)
        error = too_much(lambda: respond(peers, ONE))
        assert error.reason is Reason.UNREAD_RESPONSES
        assert too_much(lambda: peers.call(ONE).__enter__()).reason is Reason.UNREAD_RESPONSES
        respond(peers, OTHER).read()
        unread.read()
        respond(peers, ONE).read()
        assert len(peers) == 0

    def test_one_larger_than_the_limit_is_sent_where_nothing_else_is_unread(self) -> None:
        peers = Peers(max_unread_bytes=1)
        respond(peers, ONE).read()
        assert len(peers) == 0

    def test_small_ones_are_not_counted(self) -> None:
        peers = Peers(max_unread_bytes=1)
        for _ in range(3):
            respond(peers, ONE, bytes(SMALL_BYTES))
        assert len(peers) == 0

    def test_what_was_written_is_never_called_refused(self) -> None:
        peers = Peers(max_unread_bytes=len(LARGE))
        sent = [respond(peers, ONE), respond(peers, ONE, may_refuse=False)]
        assert too_much(lambda: respond(peers, ONE)).reason is Reason.UNREAD_RESPONSES
        for each in sent:
            each.read()
        assert len(peers) == 0


class TestWatches:
    def test_one_too_many_is_refused_until_another_has_ended(self) -> None:
        async def nothing(_: bytes) -> None:
            pass

        peers = Peers(max_watches=1)
        with peers.watch(ONE, nothing), peers.watch(OTHER, nothing):
            error = too_much(lambda: peers.watch(ONE, nothing).__enter__())
            assert (error.reason, error.metadata) == (Reason.TOO_MANY_WATCHERS, {"max_watchers": "1"})
        with peers.watch(ONE, nothing):
            pass
        assert len(peers) == 0

    @pytest.mark.parametrize("cancelled", [False, True])
    def test_large_messages_wait_until_others_have_been_read(self, cancelled: bool) -> None:
        async def scenario() -> None:
            taken, flow = list[bytes](), asyncio.Event()

            async def write(message: bytes) -> None:
                await flow.wait()
                taken.append(message)

            peers = Peers(max_unread_bytes=1)
            with peers.watch(ONE, write) as send:
                sending = [asyncio.ensure_future(send(LARGE + bytes([number]))) for number in range(4)]
                await asyncio.sleep(0)
                small = asyncio.ensure_future(send(b"small"))
                await asyncio.sleep(0)
                if cancelled:
                    sending[1].cancel()
                flow.set()
                await small
                await asyncio.gather(*sending, return_exceptions=True)
            left = [0, 2, 3] if cancelled else [0, 1, 2, 3]
            assert taken[1] == b"small"
            assert [taken[0], *taken[2:]] == [LARGE + bytes([number]) for number in left]
            assert len(peers) == 0

        asyncio.run(asyncio.wait_for(scenario(), SECONDS))


@dataclass(frozen=True)
class Served:
    """A method ``test.S/Try`` that answers ``LARGE``, and the shares of its clients."""

    address: str
    peers: Peers

    def ask(self, connection: Frames, stream: int) -> None:
        connection.send(call(stream, "test.S/Try"))


def served(scenario: Callable[[Served], None], peers: Peers, *, connections: int = 10) -> None:
    """Run a scenario in a thread beside a real server."""

    def answer(_request: pb.GetRoutingSnapshotRequest, _exchange: Exchange) -> bytes:
        return LARGE

    async def main() -> None:
        boundary = Boundary(build_logger(StringIO(), logging.INFO), fingerprint_key=bytes(32), peers=peers)
        method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
            boundary.instant("Try", pb.GetRoutingSnapshotRequest, answer)
        )
        server = grpc.aio.server(options=server_options(connections))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.S", {"Try": method}),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            await asyncio.to_thread(scenario, Served(f"127.0.0.1:{port}", peers))
        finally:
            await server.stop(None)

    asyncio.run(asyncio.wait_for(main(), 2 * SECONDS))


def ended(connection: Frames, stream: int) -> bytes:
    """The last headers of a stream, once it has ended."""
    for kind, flags, number, payload in connection.frames():
        if number == stream and kind == HEADERS and flags & END_STREAM:
            return payload
    raise AssertionError("the connection ended first")


class TestOnTheWire:
    def test_a_client_that_reads_nothing_is_refused_and_served_once_it_reads(self) -> None:
        def scenario(made: Served) -> None:
            with Frames(made.address, settings=NO_WINDOW) as connection:
                for stream in (1, 3, 5):
                    made.ask(connection, stream)
                assert b"has not read" in ended(connection, 5)
                with Frames(made.address) as other:
                    made.ask(other, 1)
                    other.open_windows(1)
                    assert b"has not read" not in ended(other, 1)
                connection.open_windows(1, 3)
                wait_until(lambda: len(made.peers) == 0, what="both responses are read")

        served(scenario, Peers(max_unread_bytes=2 * len(LARGE)))

    def test_a_client_that_goes_leaves_nothing(self) -> None:
        def scenario(made: Served) -> None:
            with Frames(made.address, settings=NO_WINDOW) as connection:
                made.ask(connection, 1)
                wait_until(lambda: len(made.peers) == 1, what="a response is unread")
            wait_until(lambda: len(made.peers) == 0, what="it is gone with its client")

        served(scenario, Peers())

    def test_requests_that_are_reset_at_once_leave_nothing(self) -> None:
        def scenario(made: Served) -> None:
            with Frames(made.address) as connection:
                streams = range(1, 4001, 2)
                connection.send(b"".join(call(each, "test.S/Try") + reset(each) for each in streams))
                with Frames(made.address) as other:
                    made.ask(other, 1)
                    other.open_windows(1)
                    ended(other, 1)
            wait_until(lambda: len(made.peers) == 0, what="nothing is under way")

        served(scenario, Peers())

    def test_a_connection_has_so_many_streams_and_no_more(self) -> None:
        def scenario(made: Served) -> None:
            with Frames(made.address, settings=NO_WINDOW) as connection:
                streams = range(1, 2 * MAX_STREAMS + 2, 2)
                for each in streams:
                    connection.send(frame(HEADERS, headers("test.S/Try"), flags=END_HEADERS, stream=each))
                reset_ones = (number for kind, _, number, _ in connection.frames() if kind == RST_STREAM)
                assert next(reset_ones) == streams[-1]

        served(scenario, Peers())

    def test_one_connection_too_many_is_closed_and_those_there_are_go_on(self) -> None:
        def scenario(made: Served) -> None:
            with connect(made.address) as known:
                ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = known.unary_unary("/test.S/Try")
                assert ask(b"", timeout=SECONDS) == LARGE
                with Frames(made.address), pytest.raises(ConnectionError):
                    Frames(made.address)
                assert ask(b"", timeout=SECONDS) == LARGE
                wait_until(lambda: is_served(made.address), what="there is room again")

        served(scenario, Peers(), connections=2)


def is_served(address: str) -> bool:
    try:
        with Frames(address):
            return True
    except OSError:
        return False


def of(channel: grpc.Channel) -> tuple[Any, Any]:
    stub = routing_service_pb2_grpc.RoutingServiceStub(channel)
    return stub.WatchRouting, stub.GetRoutingSnapshot


def test_calls_of_one_connection_leave_others_alone(api: Api) -> None:
    """A router that never reports keeps waits waiting."""
    address = api.instance.address
    with connect(address) as channel, connect(address) as another, connect(address) as router:
        next(of(router)[0](pb.WatchRoutingRequest(watcher_id="silent", session=SESSION)))
        api.create()
        wait = system_pb.AwaitAppliedRevisionRequest(timeout=Duration(seconds=55))
        system = system_service_pb2_grpc.SystemServiceStub(channel)
        waiting = [system.AwaitAppliedRevision.future(wait) for _ in range(MAX_CALLS)]

        def next_one() -> Refusal | None:
            try:
                system.GetSystemInfo(system_pb.GetSystemInfoRequest(), timeout=SECONDS)
            except grpc.RpcError as error:
                return refusal_of(error)
            return None

        wait_until(lambda: next_one() is not None, what="all are waiting")
        refusal = next_one()
        assert refusal is not None
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            Reason.TOO_MANY_CALLS,
        )
        other = system_service_pb2_grpc.SystemServiceStub(another)
        other.GetSystemInfo(system_pb.GetSystemInfoRequest(), timeout=SECONDS)
        for each in waiting:
            each.cancel()
        wait_until(lambda: next_one() is None, what="there is room again")
        stopping = pb.ReportAppliedRevisionRequest(watcher_id="silent", session=SESSION, stopping=True)
        api.call("ReportAppliedRevision", stopping)


def test_watches_of_one_connection_leave_room_for_its_calls_and_for_others(api: Api) -> None:
    with connect(api.instance.address) as channel, connect(api.instance.address) as another:
        watch, snapshot = of(channel)
        watches = [watch(pb.WatchRoutingRequest()) for _ in range(MAX_WATCHES)]
        for each in watches:
            next(each)
        refusal = refused(lambda: next(watch(pb.WatchRoutingRequest(), timeout=SECONDS)))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            Reason.TOO_MANY_WATCHERS,
        )
        snapshot(pb.GetRoutingSnapshotRequest(), timeout=SECONDS)
        next(of(another)[0](pb.WatchRoutingRequest(), timeout=SECONDS))
        watches.pop().cancel()
