"""Lanes: bounded, independent of each other, and nothing is begun for a caller that has gone."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import fields
from io import StringIO
from typing import Any

import grpc
import pytest
from codevector.providers.v1 import provider_service_pb2 as pb
from codevector.providers.v1.provider_pb2 import Provider

from runtime.logs import build_logger
from service.domain.errors import Reason, ResourceExhausted
from service.rpc.boundary import Boundary, Exchange
from service.rpc.peers import PEER
from service.rpc.threads import Lane, open_lanes
from service.store.engines import MAX_CONNECTIONS

SECONDS = 60


def on_a_loop(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(SECONDS):
            await scenario()

    asyncio.run(main())


def test_what_waits_is_bounded_and_room_comes_back() -> None:
    async def scenario() -> None:
        go_on = threading.Event()
        with closing(Lane("writes", 1, queued=2)) as lane:
            tasks = [asyncio.create_task(lane.run(lambda: go_on.wait(SECONDS))) for _ in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(ResourceExhausted) as refused:
                await lane.run(lambda: None)
            assert refused.value.reason is Reason.SERVER_BUSY
            assert refused.value.metadata == {"lane": "writes"}
            assert str(refused.value) == "2 calls are waiting for the writes threads: retry"
            go_on.set()
            assert await asyncio.gather(*tasks) == [True] * 3
            assert await lane.run(lambda: "again") == "again"

    on_a_loop(scenario)


def test_connections_take_turns() -> None:
    async def scenario() -> None:
        go_on, begun = threading.Event(), list[str]()
        with closing(Lane("reads", 1)) as lane:

            async def ask(peer: str, what: str) -> None:
                PEER.set(peer)
                await lane.run(lambda: begun.append(what))

            first = asyncio.create_task(lane.run(lambda: go_on.wait(SECONDS)))
            await asyncio.sleep(0)
            calls = [asyncio.create_task(ask("greedy", f"greedy {number}")) for number in range(3)]
            await asyncio.sleep(0)
            calls += [asyncio.create_task(ask(peer, peer)) for peer in ("one", "other")]
            await asyncio.sleep(0)
            go_on.set()
            await asyncio.gather(first, *calls)
            assert begun == ["greedy 0", "one", "other", "greedy 1", "greedy 2"]

    on_a_loop(scenario)


def test_who_fills_the_lane_is_refused_in_place_of_others() -> None:
    async def scenario() -> None:
        go_on, begun = threading.Event(), list[str]()
        with closing(Lane("writes", 1, queued=3)) as lane:

            async def ask(peer: str, what: str) -> None:
                PEER.set(peer)
                await lane.run(lambda: begun.append(what))

            first = asyncio.create_task(lane.run(lambda: go_on.wait(SECONDS)))
            await asyncio.sleep(0)
            greedy = [asyncio.create_task(ask("greedy", f"greedy {number}")) for number in range(3)]
            await asyncio.sleep(0)
            honest = asyncio.create_task(ask("honest", "honest"))
            with pytest.raises(ResourceExhausted) as refused:
                await greedy[2]
            assert refused.value.reason is Reason.SERVER_BUSY
            with pytest.raises(ResourceExhausted):
                await ask("greedy", "no line is longer")
            go_on.set()
            await asyncio.gather(first, *greedy[:2], honest)
            assert begun == ["greedy 0", "honest", "greedy 1"]

    on_a_loop(scenario)


def test_a_caller_that_is_refused_as_it_goes_takes_nothing_along() -> None:
    async def scenario() -> None:
        go_on, begun = threading.Event(), list[str]()
        with closing(Lane("writes", 1, queued=2)) as lane:

            async def ask(peer: str) -> None:
                PEER.set(peer)
                await lane.run(lambda: begun.append(peer))

            first = asyncio.create_task(lane.run(lambda: go_on.wait(SECONDS)))
            await asyncio.sleep(0)
            greedy = [asyncio.create_task(ask("greedy")) for _ in range(2)]
            await asyncio.sleep(0)
            honest = asyncio.create_task(ask("honest"))
            await asyncio.sleep(0)
            greedy[1].cancel()  # in the step of the loop in which it is refused
            go_on.set()
            await asyncio.gather(first, *greedy, honest, return_exceptions=True)
            assert begun == ["greedy", "honest"]
            calls = [asyncio.create_task(lane.run(lambda: "again")) for _ in range(2)]
            assert await asyncio.gather(*calls) == ["again"] * 2

    on_a_loop(scenario)


def test_a_caller_that_goes_at_its_turn_leaves_it_to_the_next() -> None:
    async def scenario() -> None:
        go_on, begun = threading.Event(), list[str]()
        with closing(Lane("reads", 1)) as lane:
            first = asyncio.create_task(lane.run(lambda: go_on.wait(SECONDS)))
            await asyncio.sleep(0)
            gone = [asyncio.create_task(lane.run(lambda: begun.append("gone"))) for _ in range(2)]
            await asyncio.sleep(0)
            # Its turn comes when the first has ended; it goes in the same step of the loop, before it runs.
            first.add_done_callback(lambda _: [each.cancel() for each in gone])
            go_on.set()
            await first
            await asyncio.gather(*gone, return_exceptions=True)
            await lane.run(lambda: begun.append("next"))
            assert begun[-1] == "next"

    on_a_loop(scenario)


def test_a_slow_host_has_its_share_of_threads_and_of_the_line() -> None:
    async def scenario() -> None:
        go_on = threading.Event()
        with closing(Lane("upstreams", 3, share=2, in_line=1)) as lane:

            def ask_slow() -> asyncio.Task[bool]:
                return asyncio.create_task(lane.run(lambda: go_on.wait(SECONDS), host="slow.example"))

            slow = [ask_slow() for _ in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(ResourceExhausted) as refused:
                await lane.run(lambda: None, host="slow.example")
            assert refused.value.reason is Reason.UPSTREAM_BUSY
            assert refused.value.metadata == {"lane": "upstreams"}
            for _ in range(3):
                assert await lane.run(lambda: "answered", host="quick.example") == "answered"
            assert not any(each.done() for each in slow)
            go_on.set()
            assert await asyncio.gather(*slow) == [True] * 3
            assert await ask_slow()

    on_a_loop(scenario)


def test_a_call_whose_deadline_passes_in_line_is_not_begun() -> None:
    async def scenario() -> None:
        go_on, ended, begun = threading.Event(), asyncio.Event(), list[str]()
        with closing(Lane("writes", 1)) as lane:

            async def write(request: pb.DisableProviderRequest, _: Exchange) -> Provider:
                try:
                    await lane.run(lambda: begun.append(request.name))
                finally:
                    ended.set()
                return Provider()

            boundary = Boundary(build_logger(StringIO(), logging.INFO), fingerprint_key=bytes(32))
            method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
                boundary.unary("Try", pb.DisableProviderRequest, write, read_only=False)
            )
            server = grpc.aio.server()
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler("test.S", {"Try": method}),)
            )
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            first = asyncio.create_task(lane.run(lambda: go_on.wait(SECONDS)))
            await asyncio.sleep(0)
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                call: Any = channel.unary_unary("/test.S/Try")
                late = pb.DisableProviderRequest(name="providers/late").SerializeToString()
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await call(late, timeout=0.2)
                assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                await ended.wait()  # the registry may notice it a little later than the client
                go_on.set()
                await first
                await call(pb.DisableProviderRequest(name="providers/next").SerializeToString())
            await server.stop(None)
            assert begun == ["providers/next"]

    on_a_loop(scenario)


def test_one_lane_does_not_wait_for_another() -> None:
    async def scenario() -> None:
        go_on = threading.Event()
        with closing(Lane("writes", 1)) as writes, closing(Lane("reads", 1)) as reads:
            blocked = asyncio.create_task(writes.run(lambda: go_on.wait(SECONDS)))
            assert await reads.run(lambda: "read") == "read"
            assert not blocked.done()
            go_on.set()
            await blocked

    on_a_loop(scenario)


def test_work_that_has_not_begun_is_dropped_with_its_caller() -> None:
    async def scenario() -> None:
        go_on, begun = threading.Event(), list[str]()
        with closing(Lane("writes", 1)) as lane:
            first = asyncio.create_task(lane.run(lambda: go_on.wait(SECONDS)))
            await asyncio.sleep(0)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await lane.run(lambda: begun.append("late"))
            go_on.set()
            await first
            await lane.run(lambda: begun.append("next"))
            assert begun == ["next"]

    on_a_loop(scenario)


def test_work_that_has_begun_goes_on_to_its_end() -> None:
    async def scenario() -> None:
        started, go_on, ended = threading.Event(), threading.Event(), list[str]()

        def work() -> None:
            started.set()
            go_on.wait(SECONDS)
            ended.append("committed")

        with closing(Lane("writes", 1)) as lane:
            task = asyncio.create_task(lane.run(work))
            await asyncio.to_thread(started.wait, SECONDS)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            go_on.set()
            await lane.run(lambda: None)
            assert ended == ["committed"]

    on_a_loop(scenario)


def test_the_store_has_a_connection_for_each_thread_that_uses_it() -> None:
    with closing(open_lanes()) as lanes:
        each = {field.name: getattr(lanes, field.name).count for field in fields(lanes)}
    assert sum(each.values()) - each["filters"] - each["notices"] == MAX_CONNECTIONS
