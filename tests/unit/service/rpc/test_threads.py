"""Lanes: bounded, independent of each other, and nothing is begun for a caller that has gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest

from service.domain.errors import Reason, ResourceExhausted
from service.rpc.threads import Lane

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
            assert str(refused.value) == "3 calls are waiting for the writes threads: retry"
            go_on.set()
            assert await asyncio.gather(*tasks) == [True] * 3
            assert await lane.run(lambda: "again") == "again"

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
