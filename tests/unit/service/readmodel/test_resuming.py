"""Resuming after what this process has seen: the ring is extended from the store, for all who come after."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from typing import TypeVar

import pytest
from codevector.providers.v1 import routing_service_pb2 as pb

from runtime.logs import build_logger
from service.domain.errors import Reason, Unavailable
from service.readmodel import live
from service.readmodel.live import LiveTable
from service.readmodel.ring import Ring
from service.readmodel.routers import Routers
from service.readmodel.snapshot import SnapshotReason
from service.readmodel.watch import Watchers, WatchRequest
from service.rpc.routing_codec import CODEC
from tests.support.doubles.hand_log import HandLog, commit_id, token

T = TypeVar("T")
U = TypeVar("U")


def log_at(revision: int) -> HandLog:
    """A store of which each revision put one provider."""
    log = HandLog()
    for number in range(1, revision + 1):
        log.put(f"p{number:06}")
    return log


@dataclass
class Pauses:
    """Called after each read, before what was read is used."""

    before_answering: Callable[[], None] = lambda: None


def told(log: HandLog, scenario: Callable[[LiveTable, HandLog, Pauses], Awaitable[T]]) -> T:
    """Run a scenario on a read model that has loaded the table, and that is moved on by hand."""
    pauses = Pauses()

    async def run_here(work: Callable[[], U]) -> U:
        done = work()
        pauses.before_answering()
        return done

    async def main() -> T:
        table = LiveTable(log.source, CODEC, run_here, build_logger(io.StringIO(), logging.DEBUG))
        async with asyncio.timeout(60):
            return await scenario(table, log, pauses)

    return asyncio.run(main())


async def revisions_after(table: LiveTable, revision: int) -> list[int] | SnapshotReason:
    position = await table.place(token(revision))
    if isinstance(position, SnapshotReason):
        return position
    return [table.ring.reached(one + 1) for one in range(position, table.ring.end)]


@pytest.fixture(autouse=True)
def small_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "Ring", partial(Ring, max_messages=10))


def test_what_is_not_here_is_read_once_for_all() -> None:
    async def scenario(table: LiveTable, log: HandLog, pauses: Pauses) -> None:
        found = await asyncio.gather(*(revisions_after(table, revision) for revision in (95, 95, 97, 100)))
        assert found == [[96, 97, 98, 99, 100]] * 2 + [[98, 99, 100], []]
        assert log.reads == [95]

    told(log_at(100), scenario)


def test_one_who_is_too_far_behind_does_not_spoil_it_for_others() -> None:
    async def scenario(table: LiveTable, log: HandLog, pauses: Pauses) -> None:
        assert await revisions_after(table, 50) is SnapshotReason.COMPACTED
        assert await revisions_after(table, 95) == [96, 97, 98, 99, 100]
        assert log.reads == [50, 95]

    told(log_at(100), scenario)


def test_who_comes_from_even_further_is_not_looked_for() -> None:
    async def scenario(table: LiveTable, log: HandLog, pauses: Pauses) -> None:
        assert await revisions_after(table, 50) is SnapshotReason.COMPACTED
        assert await revisions_after(table, 50) is SnapshotReason.COMPACTED
        assert await revisions_after(table, 40) is SnapshotReason.COMPACTED
        assert log.reads == [50]

    told(log_at(100), scenario)


def test_who_comes_from_even_further_is_still_told_of_another_history() -> None:
    """Versions of credentials repeat there, and a router drops them for this reason alone."""

    async def scenario(table: LiveTable, log: HandLog, pauses: Pauses) -> None:
        assert await revisions_after(table, 50) is SnapshotReason.COMPACTED
        assert await table.place(token(40, history="b")) is SnapshotReason.STORE_CHANGED
        log.fork(98, "b")
        assert await table.place(token(40)) is SnapshotReason.STORE_CHANGED, "the table is of a lost history"

    told(log_at(100), scenario)


def test_a_table_that_is_loaded_anew_meanwhile_is_looked_at_again() -> None:
    async def scenario(table: LiveTable, log: HandLog, pauses: Pauses) -> None:
        def loads_anew() -> None:
            pauses.before_answering = lambda: None
            log.fork(90, "b")
            log.put("acme")
            table.look()
            following = table.follow()
            following.send(None)
            following.close()
            tasks.append(asyncio.ensure_future(table.follow()))

        tasks: list[asyncio.Task[None]] = []
        pauses.before_answering = loads_anew
        assert await table.place(token(95)) is SnapshotReason.REVISION_AHEAD
        tasks[0].cancel()

    told(log_at(100), scenario)


class TestAhead:
    """A router comes with a revision that this process has not seen."""

    def test_of_the_store_too_is_said_after_one_look(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 60)

        async def scenario(table: LiveTable, log: HandLog, pauses: Pauses) -> None:
            following = asyncio.ensure_future(table.follow())
            assert await table.place(token(101)) is SnapshotReason.REVISION_AHEAD
            following.cancel()

        told(log_at(100), scenario)

    def test_of_a_replica_that_lags_is_sent_elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Sent back, it would go on counting with the revision that it had."""
        monkeypatch.setattr(live, "POLL_SECONDS", 60)
        monkeypatch.setattr(live, "REACH_SECONDS", 0.05)

        async def scenario(table: LiveTable, log: HandLog, pauses: Pauses) -> None:
            log.fails_with.append(Unavailable("away", reason=Reason.STORE_UNAVAILABLE))
            following = asyncio.ensure_future(table.follow())
            with pytest.raises(Unavailable) as caught:
                await table.place(token(101))
            assert caught.value.reason is Reason.REVISION_NOT_REACHED
            assert caught.value.metadata == {"current_revision": "100", "min_revision": "101"}
            following.cancel()

        told(log_at(100), scenario)

    def test_is_looked_for_also_while_this_process_commits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What it is told shows nothing of what others have."""
        monkeypatch.setattr(live, "POLL_SECONDS", 60)

        async def scenario(table: LiveTable, log: HandLog, pauses: Pauses) -> None:
            following = asyncio.ensure_future(table.follow())
            table.committed(log.put("own"))
            assert await table.place(token(109)) is SnapshotReason.REVISION_AHEAD
            following.cancel()

        told(log_at(100), scenario)


def test_what_the_ring_drops_meanwhile_leaves_no_gap() -> None:
    """Between reading what is older and putting it in front, newer changes may push out what lies between."""

    async def scenario(table: LiveTable, log: HandLog, pauses: Pauses) -> None:
        def appends() -> None:
            for revision in range(101, 112):
                table.ring.append(revision, commit_id(revision), b"")

        pauses.before_answering = appends
        assert await revisions_after(table, 99) is SnapshotReason.COMPACTED
        assert table.ring.after(table.ring.floor) == table.ring.begin
        assert table.ring.reached(table.ring.begin + 1) == table.ring.floor + 1

    told(log_at(100), scenario)


def test_who_comes_from_another_history_does_not_spoil_it_for_others() -> None:
    async def scenario(table: LiveTable, log: HandLog, pauses: Pauses) -> None:
        assert await table.place(token(95, history="b")) is SnapshotReason.STORE_CHANGED
        assert await revisions_after(table, 95) == [96, 97, 98, 99, 100]
        assert await table.place(token(95, history="b")) is SnapshotReason.STORE_CHANGED

    told(log_at(100), scenario)


def test_a_table_that_is_itself_of_a_lost_history_extends_nothing() -> None:
    async def scenario(table: LiveTable, log: HandLog, pauses: Pauses) -> None:
        log.fork(98, "b")
        for number in range(5):
            log.put(f"other-{number}")
        assert await table.place(token(95)) is SnapshotReason.STORE_CHANGED
        assert (table.ring.floor, table.ring.begin) == (100, 0)

    told(log_at(100), scenario)


def test_a_message_larger_than_the_ring_can_be_resumed_behind() -> None:
    ring = Ring(token(7), max_bytes=3)
    ring.append(8, commit_id(8), b"large")
    assert (ring.floor, ring.after(7), ring.message(ring.begin)) == (7, ring.begin, b"large")


def test_a_revision_of_another_replica_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an alarm: this process only has not looked yet."""
    monkeypatch.setattr(live, "POLL_SECONDS", 60)

    async def scenario(table: LiveTable, log: HandLog, pauses: Pauses) -> list[pb.WatchRoutingResponse]:
        following = asyncio.ensure_future(table.follow())
        watchers = Watchers(table, CODEC, Routers(now, build_logger(StringIO(), logging.INFO)), clock=now)
        table.on_advance = watchers.wake
        for number in (101, 102):
            log.put(f"p{number:06}")
        had: list[pb.WatchRoutingResponse] = []

        async def send(octets: bytes) -> None:
            had.append(pb.WatchRoutingResponse.FromString(octets))
            if had[-1].WhichOneof("event") == "bookmark":
                watch.cancel()

        wish = WatchRequest(
            resume=token(101), unproven=False, bookmark_seconds=1.0, strict=True, router=None, peer=""
        )
        watch = asyncio.ensure_future(watchers.watch(wish, send))
        await asyncio.wait([watch])
        following.cancel()
        return had

    [change_set, bookmark] = told(log_at(100), scenario)
    assert (change_set.revision, change_set.WhichOneof("event")) == (102, "change_set")
    assert bookmark.revision == 102


def now() -> datetime:
    return datetime.now(UTC)
