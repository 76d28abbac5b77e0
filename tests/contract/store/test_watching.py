"""Watching a store while writers change it: whatever a router missed, what it has is what is there now.

The read model as the registry wires it, without the wire: several writers' threads, a change log that is
compacted meanwhile, a registry that starts again, a ring that holds little; routers that read slowly, are cut
off, resume from what they had long ago, or begin anew.
"""

from __future__ import annotations

import asyncio
import io
import logging
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import pytest
from codevector.providers.v1 import routing_service_pb2 as pb

from runtime.logs import build_logger
from service.domain.errors import OutOfRange
from service.domain.routers import RouterKey
from service.readmodel import live
from service.readmodel.live import LiveTable
from service.readmodel.ring import Ring
from service.readmodel.routers import Routers
from service.readmodel.watch import Watchers, WatchRequest
from service.rpc.routing_codec import CODEC
from service.rpc.threads import Lane
from service.store import Store, WriteUnit, open_store
from service.usecases.routing_source import routing_source
from tests.support.values.router_table import Follower, Ledger, Reason, RouterTable
from tests.support.values.routing_operations import Operations, some_operations

LIVES, MOST_LIVES = 3, 60
MET = {"REASON_INITIAL", "REASON_COMPACTED", "REASON_SLOW_CONSUMER", "REVISION_COMPACTED"}
"""What must have happened to some router. Not everything does in the fewest lives, on any machine."""
WRITERS = 3
WRITES = 150
ROUTERS = 16
RING_MESSAGES = 25
SECONDS = 120.0


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def ticking_store(url: str) -> Iterator[Store]:
    """A store with a clock that goes on by itself, so that change sets grow old."""
    with closing(open_store(url, clock=now)) as opened:
        yield opened


def a_wish(table: RouterTable, *, strict: bool = False, watcher_id: str = "") -> WatchRequest:
    """To go on from what a router has."""
    return WatchRequest(
        resume=table.resume,
        unproven=False,
        bookmark_seconds=1.0,
        strict=strict,
        router=RouterKey("dev:loopback", watcher_id, b"") if watcher_id else None,
        peer="here",
    )


@dataclass(slots=True)
class Registry:
    """One life of a registry: its table and its watchers."""

    live: LiveTable
    watchers: Watchers
    quiet: bool = False

    async def passed(self, messages: int) -> None:
        """Until so many more change sets have come, or no more will."""
        end = self.live.ring.end + messages
        while self.live.ring.end < end and not self.quiet:
            await asyncio.sleep(0.002)


@dataclass(slots=True)
class Router:
    """A router through all lives of the registry. ``memory`` is what it had at some earlier moments."""

    number: int
    chance: random.Random
    ledger: Ledger
    table: RouterTable = field(default_factory=RouterTable)
    memory: list[RouterTable] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)

    async def run(self, registry: Registry) -> None:
        """Watch, cut off again and again, until this task is cancelled."""
        while True:
            await self.watch(registry, messages=self.chance.randint(1, 60))

    async def watch(self, registry: Registry, *, messages: int) -> None:
        """One watch, of at most so many messages."""
        self._choose_where_to_begin()
        follower = Follower(self.table, self.ledger)
        left = messages

        async def send(octets: bytes) -> None:
            nonlocal left
            message = follower.take(octets)
            self._remember(message)
            left -= 1
            if left <= 0:
                task.cancel()
            await registry.passed(self._slowness())

        task = asyncio.ensure_future(registry.watchers.watch(self._wish(), send))
        try:
            await task
        except OutOfRange as error:
            self.met[error.reason.value] += 1
            self.table = RouterTable()
        except asyncio.CancelledError:
            running = asyncio.current_task()
            if running is None or running.cancelling():
                raise  # not cut off here: the registry ends
            self.met["cut"] += 1
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, OutOfRange):
                await task
            follower.end()
            self.met.update(Reason.Name(reason) for reason in self.table.reasons)
            self.table.reasons.clear()

    def _choose_where_to_begin(self) -> None:
        choice = self.chance.random()
        if choice < 0.1:
            self.table = RouterTable()
        elif choice < 0.3 and self.memory:
            self.table = self.chance.choice(self.memory).copy()

    def _wish(self) -> WatchRequest:
        strict = self.chance.random() < 0.3
        return a_wish(self.table, strict=strict, watcher_id=f"router-{self.number % 5}")

    def _remember(self, message: pb.WatchRoutingResponse) -> None:
        if message.WhichOneof("event") == "change_set" and self.chance.random() < 0.05:
            self.memory.append(self.table.copy())

    def _slowness(self) -> int:
        """How many change sets come before this router takes the next one; one router in four is slow."""
        return self.chance.choice((0, 0, 0, 1, 5, 2 * RING_MESSAGES)) if self.number % 4 == 0 else 0


@dataclass
class Story:
    """All of it: one store, the lives of a registry on it, and what routers were told."""

    store: Store
    chance: random.Random
    ledger: Ledger = field(default_factory=Ledger)
    routers: list[Router] = field(default_factory=list)
    log: io.StringIO = field(default_factory=io.StringIO)

    async def live_once(self, lane: Lane, writers: ThreadPoolExecutor) -> None:
        """A registry starts, serves and ends without a word, while writers write."""
        loop = asyncio.get_running_loop()
        table = LiveTable(routing_source(self.store), CODEC, lane.run, build_logger(self.log, logging.INFO))
        routers = Routers(now, build_logger(self.log, logging.INFO))
        registry = Registry(table, Watchers(table, CODEC, routers, clock=now))
        table.on_advance = registry.watchers.wake
        self.store.on_commit = table.committed
        tasks = [asyncio.ensure_future(table.follow()), asyncio.ensure_future(registry.watchers.tick())]
        following = [asyncio.ensure_future(router.run(registry)) for router in self.routers]
        try:
            seeds = [self.chance.random() for _ in range(WRITERS)]
            await asyncio.gather(*(loop.run_in_executor(writers, self.write, seed) for seed in seeds))
            registry.quiet = True
            await self.check_all(registry)
            for task in (*tasks, *following):
                assert not task.done() or task.result() is None
        finally:
            self.store.on_commit = lambda _: None
            for task in (*following, *tasks):
                task.cancel()
            await asyncio.gather(*following, *tasks, return_exceptions=True)
        assert len(registry.watchers) == 0

    @property
    def met(self) -> set[str]:
        """Everything that routers have met so far."""
        return {what for router in self.routers for what in router.met}

    def write(self, seed: float) -> None:
        """What one writer does; now and then the change log loses its oldest part."""
        chance = random.Random(seed)
        for _ in range(WRITES):
            operations = some_operations(chance)

            def work(unit: WriteUnit, operations=operations) -> None:  # type: ignore[no-untyped-def]
                for operation in operations:
                    operation(unit)

            self.store.write(work)
            if chance.random() < 0.01:
                kept = chance.randint(0, 200)
                self.store.write(lambda unit, kept=kept: unit.log.compact(unit.revision - 1 - kept))  # type: ignore[misc]

    async def check_all(self, registry: Registry) -> None:
        """From wherever somebody once was: what was there, and a watch behind it, is what is there now."""
        self.store.write(Operations.delete_model("last"))
        head = self.store.read(lambda unit: unit.log.head()).revision
        async with asyncio.timeout(SECONDS):
            while registry.live.current.revision < head:
                await asyncio.sleep(0.005)
        whole = pb.GetRoutingSnapshotResponse.FromString(registry.live.current.whole)
        expected = RouterTable.of(whole.snapshot)
        loaded = {entry.name for entry in self.store.read(lambda unit: unit.routing_entries())}
        assert expected.rows.keys() == loaded
        once = [RouterTable(), *(table for router in self.routers for table in router.memory)]
        some = self.chance.sample(once, min(len(once), 200))
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(*(self.catch_up(registry, table.copy(), expected) for table in some))

    async def catch_up(self, registry: Registry, table: RouterTable, expected: RouterTable) -> None:
        """Watch until a bookmark says that this is all."""
        follower = Follower(table, self.ledger)

        async def send(octets: bytes) -> None:
            if follower.take(octets).WhichOneof("event") == "bookmark":
                task.cancel()

        task = asyncio.ensure_future(registry.watchers.watch(a_wish(table), send))
        with suppress(asyncio.CancelledError):
            await task
        follower.end()
        assert (table.revision, table.store_id) == (expected.revision, expected.store_id)
        assert table.rows == expected.rows


def test_a_router_has_what_is_there_whatever_happened(
    ticking_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "Ring", partial(Ring, max_messages=RING_MESSAGES))
    seed = random.randrange(1 << 32)
    story = Story(ticking_store, random.Random(seed))
    story.routers = [
        Router(number, random.Random(story.chance.random()), story.ledger) for number in range(ROUTERS)
    ]

    async def tell() -> None:
        with ThreadPoolExecutor(WRITERS) as writers, closing(Lane("following", 1)) as lane:
            lives = 0
            while lives < LIVES or not story.met >= MET:
                assert lives < MOST_LIVES, f"seed {seed}: met no more than {story.met}"
                await story.live_once(lane, writers)
                lives += 1

    asyncio.run(tell())
    story.ledger.check()
    assert story.log.getvalue() == ""
