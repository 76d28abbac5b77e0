"""Whatever happens to the store, routers end with its table: random histories with restores and forks.

The real live table, ring and watchers follow a log changed by hand. Routers watch, break off, and resume from
anything they ever had, also from tables of histories that were lost.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import pytest
from codevector.providers.v1 import routing_service_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from runtime.logs import build_logger
from service.domain.errors import OutOfRange
from service.readmodel import live
from service.readmodel.live import LiveTable
from service.readmodel.ring import Ring
from service.readmodel.routers import Routers
from service.readmodel.watch import Watchers, WatchRequest
from service.rpc.routing_codec import CODEC
from tests.support.doubles.hand_log import HandLog
from tests.support.values.registry_values import ManualClock
from tests.support.values.router_table import RouterTable

T = TypeVar("T")
PROVIDERS = st.sampled_from(["acme", "bolt", "corp", "dove"])

STEPS = st.one_of(
    st.tuples(st.just("put"), PROVIDERS),
    st.tuples(st.just("told"), PROVIDERS),
    st.tuples(st.just("unseen"), st.none()),
    st.tuples(st.just("fork"), st.integers(0, 6)),
    st.tuples(st.just("lose a told commit"), PROVIDERS),
    st.tuples(st.just("compact"), st.integers(0, 3)),
    st.tuples(st.just("poll"), st.none()),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("watch"), st.integers(0, 30)),
    st.tuples(st.just("break off"), st.none()),
)


async def run_here(work: Callable[[], T]) -> T:
    return work()


@dataclass
class World:
    """One log, the registry process that follows it, and one router with a memory of all it ever had."""

    log: HandLog = field(default_factory=HandLog)
    histories: int = 0
    memory: list[RouterTable] = field(default_factory=lambda: [RouterTable()])
    table: RouterTable = field(default_factory=RouterTable)
    model: LiveTable = field(init=False)
    watchers: Watchers = field(init=False)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """A registry process begins."""
        self.model = LiveTable(
            self.log.source, CODEC, run_here, build_logger(io.StringIO(), logging.CRITICAL)
        )
        routers = Routers(ManualClock(), build_logger(io.StringIO(), logging.CRITICAL))
        self.watchers = Watchers(self.model, CODEC, routers, clock=ManualClock())
        self.model.on_advance = self.watchers.wake
        self.tasks = [asyncio.ensure_future(self.model.follow())]

    async def stop(self) -> None:
        """It ends, and the watch with it."""
        self.break_off()
        for task in self.tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def resume(self, choice: int) -> None:
        """The router goes on from what it has, or from something that it had once."""
        self.break_off()
        self.table = self.memory[choice % len(self.memory)].copy()
        wish = WatchRequest(
            resume=self.table.resume,
            unproven=False,
            bookmark_seconds=60.0,
            strict=choice % 3 == 0,
            router=None,
            peer="",
        )
        self.watch = asyncio.ensure_future(self._watched(wish, self.table))

    async def _watched(self, wish: WatchRequest, table: RouterTable) -> None:
        async def send(octets: bytes) -> None:
            message = pb.WatchRoutingResponse.FromString(octets)
            if table is self.table:
                table.take(message)
                if not message.snapshot_chunk.ByteSize() or message.snapshot_chunk.last:
                    self.memory.append(table.copy())

        with suppress(OutOfRange):
            await self.watchers.watch(wish, send)
        if table is self.table:
            # Strict, and refused: it begins anew, as it is told to.
            self.table = RouterTable()
            fresh = WatchRequest(
                resume=None, unproven=False, bookmark_seconds=60.0, strict=False, router=None, peer=""
            )
            self.watch = asyncio.ensure_future(self._watched(fresh, self.table))

    def break_off(self) -> None:
        """The stream breaks; what came of a snapshot is of no use."""
        if self.watch is not None:
            self.table = self.table.copy()
            self.watch.cancel()
            self.watch = None

    def fork(self, back: int) -> None:
        """The store goes back by so many revisions, and on from there."""
        self.histories += 1
        at = max(self.log.floor, self.log.revision - back)
        self.log.fork(at, chr(ord("a") + self.histories))

    async def do(self, step: str, value: object) -> None:
        """One thing happens."""
        match step, value:
            case "put", str(name):
                self.log.put(name, labels={"n": f"{self.log.history}{self.log.revision}"})
            case "told", str(name):
                made = self.log.put(name, labels={"n": f"{self.log.history}{self.log.revision}"})
                self.model.committed(made)
            case "unseen", _:
                self.log.commit()
            case "fork", int(back):
                self.fork(back)
            case "lose a told commit", str(name):
                made = self.log.put(name)
                self.fork(1)
                self.model.committed(made)
            case "compact", int(kept):
                self.log.compact(max(self.log.floor, self.log.revision - kept))
            case "poll", _:
                self.model.look()
            case "restart", _:
                await self.stop()
                await self.start()
            case "watch", int(choice):
                self.resume(choice)
            case "break off", _:
                self.break_off()
        for _ in range(4):
            await asyncio.sleep(0)

    async def settle(self) -> None:
        """Nothing happens any more, and the next polls find all of it."""
        if self.watch is None:
            self.resume(-1)
        # One more change is needed to see a router that was sent nothing at all.
        self.log.put("last", labels={"n": str(self.log.revision)})
        wanted = str(self.log.load().at)
        async with asyncio.timeout(60):
            while self.model.current.token != wanted or self.table.token != wanted:
                self.model.look()
                await asyncio.sleep(0)


@given(st.lists(STEPS, max_size=40), st.integers(2, 10))
def test_a_router_ends_with_the_table_of_the_store(steps: list[tuple[str, object]], ring_size: int) -> None:
    async def main() -> None:
        world = World()
        await world.start()
        try:
            for step, value in steps:
                await world.do(step, value)
            await world.settle()
            loaded = {entry.name: entry for entry in world.log.load().entries}
            held = {**world.model.current.providers}
            assert {name: row.entry for name, row in held.items()} == loaded
            assert world.table.rows.keys() == loaded.keys()
            for name, row in world.table.rows.items():
                assert dict(row.labels) == dict(loaded[name].labels)
        finally:
            await world.stop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "Ring", partial(Ring, max_messages=ring_size))
        asyncio.run(main())
