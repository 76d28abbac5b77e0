"""Resuming after what this process has seen: the ring is extended from the store, for all who come after."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import pytest
from codevector.providers.v1 import routing_service_pb2 as pb

from runtime.logs import build_logger
from service.domain.routing import Change, ChangeSet, Entry, EntryKind, routing_provider
from service.readmodel import live
from service.readmodel.live import LiveTable, Source
from service.readmodel.ring import Ring
from service.readmodel.routers import Routers
from service.readmodel.watch import Watchers, WatchRequest
from service.rpc.routing_codec import CODEC
from tests.support.values.registry_values import START, a_provider

T = TypeVar("T")
U = TypeVar("U")
STORE = "one"


@dataclass
class Log:
    """A store of which each revision put one provider. ``ahead`` is committed and not yet seen here."""

    revision: int
    ahead: int = 0
    before_answering: Callable[[], None] = lambda: None
    reads: list[int] = field(default_factory=list)

    def load(self) -> tuple[int, str, list[Entry]]:
        entries = [change.entry for one in self.sets(0, self.revision) for change in one.changes]
        return self.revision, STORE, [entry for entry in entries if entry is not None]

    def changes(self, since: int, store_id: str) -> tuple[int, list[ChangeSet]] | None:
        head = self.revision + self.ahead
        self.reads.append(since)
        if store_id != STORE or since > head:
            return None
        return head, self.sets(since, head)

    def sets(self, since: int, head: int) -> list[ChangeSet]:
        return [one_set(revision) for revision in range(since + 1, head + 1)]


def one_set(revision: int) -> ChangeSet:
    entry = routing_provider(a_provider(f"p{revision:06}"))
    assert entry is not None
    return ChangeSet(revision, (Change(EntryKind.PROVIDER, entry.name, entry),), START)


def told(log: Log, scenario: Callable[[LiveTable, Log], Awaitable[T]]) -> T:
    """Run a scenario on a read model that has loaded the table, and that is moved on by hand."""

    async def run_here(work: Callable[[], U]) -> U:
        done = work()
        log.before_answering()
        return done

    async def main() -> T:
        source = Source(log.load, log.changes)
        table = LiveTable(source, CODEC, run_here, build_logger(io.StringIO(), logging.DEBUG))
        async with asyncio.timeout(10):
            return await scenario(table, log)

    return asyncio.run(main())


async def revisions_behind(table: LiveTable, revision: int) -> list[int] | None:
    position = await table.after(revision)
    if position is None:
        return None
    return [table.ring.reached(one + 1) for one in range(position, table.ring.end)]


@pytest.fixture(autouse=True)
def small_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "Ring", partial(Ring, max_messages=10))


def test_what_is_not_here_is_read_once_for_all() -> None:
    async def scenario(table: LiveTable, log: Log) -> None:
        found = await asyncio.gather(*(revisions_behind(table, revision) for revision in (95, 95, 97, 100)))
        assert found == [[96, 97, 98, 99, 100]] * 2 + [[98, 99, 100], []]
        assert log.reads == [95]

    told(Log(100), scenario)


def test_one_who_is_too_far_behind_does_not_spoil_it_for_others() -> None:
    async def scenario(table: LiveTable, log: Log) -> None:
        assert await revisions_behind(table, 50) is None
        assert await revisions_behind(table, 95) == [96, 97, 98, 99, 100]
        assert log.reads == [50, 95]

    told(Log(100), scenario)


def test_who_comes_from_even_further_is_not_looked_for() -> None:
    async def scenario(table: LiveTable, log: Log) -> None:
        assert await revisions_behind(table, 50) is None
        assert await revisions_behind(table, 50) is None
        assert await revisions_behind(table, 40) is None
        assert log.reads == [50]

    told(Log(100), scenario)


def test_what_the_ring_drops_meanwhile_leaves_no_gap() -> None:
    """Between reading what is older and putting it in front, newer changes may push out what lies between."""

    async def scenario(table: LiveTable, log: Log) -> None:
        def appends() -> None:
            for revision in range(101, 112):
                table.ring.append(revision, b"")

        log.before_answering = appends
        assert await revisions_behind(table, 99) is None
        assert table.ring.after(table.ring.floor) == table.ring.begin
        assert table.ring.reached(table.ring.begin + 1) == table.ring.floor + 1

    told(Log(100), scenario)


def test_a_message_larger_than_the_ring_can_be_resumed_behind() -> None:
    ring = Ring(7, max_bytes=3)
    ring.append(8, b"large")
    assert (ring.floor, ring.after(7), ring.message(ring.begin)) == (7, ring.begin, b"large")


def test_a_revision_of_another_replica_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an alarm: this process only has not looked yet."""
    monkeypatch.setattr(live, "POLL_SECONDS", 60)

    async def scenario(table: LiveTable, log: Log) -> list[pb.WatchRoutingResponse]:
        following = asyncio.ensure_future(table.follow())
        watchers = Watchers(table, CODEC, Routers(now), clock=now)
        table.on_advance = watchers.wake
        log.ahead = 2
        had: list[pb.WatchRoutingResponse] = []

        async def send(octets: bytes) -> None:
            had.append(pb.WatchRoutingResponse.FromString(octets))
            if had[-1].WhichOneof("event") == "bookmark":
                watch.cancel()

        watch = asyncio.ensure_future(watchers.watch(WatchRequest(101, STORE, 1.0, True, "", ""), send))
        await asyncio.wait([watch])
        following.cancel()
        return had

    [change_set, bookmark] = told(Log(100), scenario)
    assert (change_set.revision, change_set.WhichOneof("event")) == (102, "change_set")
    assert bookmark.revision == 102


def now() -> datetime:
    return datetime.now(UTC)
