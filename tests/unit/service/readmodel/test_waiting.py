"""Waiting for routers: each waiter goes when his revision is there, and all are counted together."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Awaitable, Callable

import pytest

from runtime.logs import build_logger
from service.domain.routers import RouterKey
from service.readmodel.live import LiveTable
from service.readmodel.replicas import Replicas
from service.readmodel.ring import History, Ring
from service.readmodel.routers import Routers
from service.readmodel.waiting import Waiting
from service.rpc.routing_codec import CODEC
from tests.support.doubles.hand_log import HandLog, commit_id, token
from tests.support.values.registry_values import ManualClock

PEER = "ipv4:10.1.2.3:4"
KEY = RouterKey("dev:loopback", "gw-1", bytes(16))
LONG = 60.0


class Bench:
    """One router that watches, and nobody else."""

    def __init__(self, *, shared: bool = False) -> None:
        async def run_here(work: Callable[[], object]) -> object:
            return work()

        log = build_logger(io.StringIO(), logging.CRITICAL)
        self.live = LiveTable(HandLog().source, CODEC, run_here, log)  # type: ignore[arg-type]
        self.live.ring = Ring(token(0))
        for revision in range(1, 10):
            self.live.ring.append(revision, commit_id(revision), b"")
        self.routers = Routers(ManualClock(), log)
        self.routers.open(KEY, PEER, self.live.ring, None)
        self.replicas = Replicas("one", shared=shared, monotonic=lambda: 0.0, clock=ManualClock())
        self.waiting = Waiting(self.live, self.routers, self.replicas)

    def wait(self, wanted: int) -> asyncio.Task[None]:
        return asyncio.ensure_future(self.waiting.until(wanted, self.replicas.next_view(), LONG))

    def report(self, revision: int) -> None:
        self.routers.reported(KEY, token(revision), self.live.ring, PEER)
        self.waiting.changed()


def playing(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LONG):
            await scenario()

    asyncio.run(limited())


def test_each_goes_when_his_revision_is_there() -> None:
    async def scenario() -> None:
        bench = Bench()
        waits = {wanted: bench.wait(wanted) for wanted in (9, 3, 6, 3)}
        await asyncio.sleep(0)
        bench.report(6)
        await asyncio.gather(waits[3], waits[6])
        assert not waits[9].done()
        bench.report(9)
        await waits[9]
        assert len(bench.waiting) == 0

    playing(scenario)


def test_all_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        bench = Bench()
        waits = [bench.wait(9) for _ in range(300)]
        await asyncio.sleep(0)
        counted = 0
        all_have = bench.routers.all_have

        def counting(ring: Ring, revision: int) -> bool:
            nonlocal counted
            counted += 1
            return all_have(ring, revision)

        monkeypatch.setattr(bench.routers, "all_have", counting)
        for revision in range(1, 9):
            bench.report(revision)
        assert counted == 0, "a report counts nothing itself"
        bench.waiting._count()
        assert counted == 1, "the least revision lacks: nobody else is looked at"
        bench.report(9)
        await asyncio.gather(*waits)

    playing(scenario)


def test_one_whose_time_is_up_goes() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.waiting.until(9, bench.replicas.next_view(), 0.0)
        assert not bench.waiting.is_reached(9, bench.replicas.next_view())
        assert len(bench.waiting) == 0

    playing(scenario)


def test_another_history_ends_all_waits() -> None:
    async def scenario() -> None:
        bench = Bench()
        wait = bench.wait(9)
        await asyncio.sleep(0)
        bench.live.ring = Ring(token(9, history="b"), history=History())
        bench.waiting.changed()
        await wait

    playing(scenario)


def test_a_view_of_the_replicas_is_waited_for_too() -> None:
    async def scenario() -> None:
        bench = Bench(shared=True)
        bench.report(9)
        wait = bench.wait(9)
        await asyncio.sleep(0)
        bench.waiting._count()
        await asyncio.sleep(0)
        assert not wait.done()
        bench.replicas.took(bench.replicas.begin(), [])
        bench.waiting.changed()
        await wait

    playing(scenario)
