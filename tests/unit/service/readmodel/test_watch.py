"""Watchers on a real ring and table, with a clock of the test's where time counts."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO

import pytest
from codevector.providers.v1 import routing_service_pb2 as pb

from runtime.logs import build_logger
from service.domain.errors import OutOfRange, Reason, RegistryError, ResourceExhausted, Unavailable
from service.domain.history import RevisionToken
from service.domain.routers import RouterKey
from service.readmodel import live, watch
from service.readmodel.live import LiveTable
from service.readmodel.ring import Ring
from service.readmodel.routers import Routers
from service.readmodel.watch import Watchers, WatchRequest
from service.rpc.routing_codec import CODEC
from tests.support.doubles.hand_log import ONE, TWO, HandLog, commit_id, token
from tests.support.values.registry_values import START, ManualClock

Scenario = Callable[["Desk"], Awaitable[None]]


async def run_here(work: Callable[[], live.T]) -> live.T:
    return work()


@dataclass
class Watching:
    """One watch: what it was sent so far. It reads nothing while ``flow`` is cleared."""

    got: list[pb.WatchRoutingResponse] = field(default_factory=list)
    flow: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def send(self, message: bytes) -> None:
        await self.flow.wait()
        self.got.append(pb.WatchRoutingResponse.FromString(message))
        self.arrived.set()

    async def until(self, count: int) -> list[pb.WatchRoutingResponse]:
        """Wait for that many messages."""
        while len(self.got) < count:
            self.arrived.clear()
            await self.arrived.wait()
        return self.got

    async def ended(self) -> RegistryError:
        """Wait for the end, which must be an error of the registry."""
        assert self.task is not None
        with pytest.raises(RegistryError) as caught:
            await self.task
        return caught.value


@dataclass
class Desk:
    """A log changed by hand, followed by a live table, watched."""

    log: HandLog = field(default_factory=HandLog)
    table: LiveTable = field(init=False)
    watchers: Watchers = field(init=False)
    routers: Routers = field(init=False)

    async def put(self, provider_id: str, *, seen: bool = True) -> int:
        """Put a provider in; unless ``seen``, nothing that routers see changes."""
        if seen:
            self.log.put(provider_id, labels={"n": str(self.log.revision + 1)})
        else:
            self.log.commit()
        self.table.look()
        await self.table.reached(self.log.revision)
        return self.log.revision

    def watch(
        self,
        resume: RevisionToken | None = None,
        *,
        unproven: bool = False,
        strict: bool = False,
        watcher_id: str = "",
        bookmark_seconds: float = 60.0,
        reads: bool = True,
    ) -> Watching:
        made = Watching()
        if reads:
            made.flow.set()
        wish = WatchRequest(
            resume=resume,
            unproven=unproven,
            bookmark_seconds=bookmark_seconds,
            strict=strict,
            router=RouterKey("dev:loopback", watcher_id, b"") if watcher_id else None,
            peer="ipv4:1.2.3.4:5",
        )
        made.task = asyncio.create_task(self.watchers.watch(wish, made.send))
        return made


def playing(scenario: Scenario, *, max_watchers: int = 100) -> None:
    """Run a scenario at a desk; whatever it left running is cancelled."""

    async def main() -> None:
        desk = Desk()
        desk.table = LiveTable(desk.log.source, CODEC, run_here, build_logger(sys.stderr, logging.DEBUG))
        desk.routers = Routers(ManualClock(), build_logger(StringIO(), logging.INFO))
        desk.watchers = Watchers(
            desk.table, CODEC, desk.routers, clock=ManualClock(), max_watchers=max_watchers
        )
        desk.table.on_advance = desk.watchers.wake
        tasks = [asyncio.create_task(desk.table.follow()), asyncio.create_task(desk.watchers.tick())]
        async with asyncio.timeout(60):
            await scenario(desk)
        tasks += [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError, RegistryError):
                await task

    asyncio.run(main())


def kinds(messages: list[pb.WatchRoutingResponse]) -> list[tuple[str | None, int]]:
    return [(one.WhichOneof("event"), one.revision) for one in messages]


def another_store(log: HandLog) -> None:
    log.store_id = TWO


def another_history(log: HandLog) -> None:
    log.fork(1, "b")
    for number in range(3):
        log.put(f"other-{number}")


def put_back(log: HandLog) -> None:
    log.fork(1, "b")


def compacted(log: HandLog) -> None:
    log.put("more")
    log.compact(log.revision)


class TestBeginning:
    def test_is_a_snapshot_and_then_each_revision(self) -> None:
        async def scenario(desk: Desk) -> None:
            await desk.put("acme")
            one = desk.watch()
            await one.until(1)
            await desk.put("bolt")
            await desk.put("corp")
            got = await one.until(3)
            assert kinds(got) == [("snapshot_chunk", 1), ("change_set", 2), ("change_set", 3)]
            chunk = got[0].snapshot_chunk
            assert (chunk.first, chunk.last, chunk.reason) == (True, True, pb.SnapshotChunk.REASON_INITIAL)
            assert [entry.name for entry in chunk.providers] == ["providers/acme"]
            assert [change.provider.name for change in got[1].change_set.changes] == ["providers/bolt"]
            assert got[1].change_set.commit_time.ToDatetime(START.tzinfo) == START

        playing(scenario)

    def test_by_resuming_is_what_came_since_and_a_bookmark_at_once(self) -> None:
        async def scenario(desk: Desk) -> None:
            for provider_id in ("acme", "bolt", "corp"):
                await desk.put(provider_id)
            got = await desk.watch(token(1)).until(3)
            assert kinds(got) == [("change_set", 2), ("change_set", 3), ("bookmark", 3)]
            assert kinds(await desk.watch(token(3)).until(1)) == [("bookmark", 3)]

        playing(scenario)

    def test_by_resuming_behind_what_this_process_has_seen_reads_the_log(self) -> None:
        async def scenario(desk: Desk) -> None:
            for provider_id in ("acme", "bolt", "corp"):
                await desk.put(provider_id)
            desk.table.ring = Ring(desk.table.current.at)  # as after a restart
            await desk.put("dove")
            got = await desk.watch(token(1)).until(4)
            assert kinds(got) == [("change_set", 2), ("change_set", 3), ("change_set", 4), ("bookmark", 4)]

        playing(scenario)

    @pytest.mark.parametrize(
        ("resume", "reason"),
        [
            pytest.param(token(1), Reason.REVISION_COMPACTED, id="compacted"),
            pytest.param(token(3, store_id=TWO), Reason.STORE_CHANGED, id="another store"),
            pytest.param(token(3, history="b"), Reason.STORE_CHANGED, id="another history"),
            pytest.param(token(2, history="b"), Reason.STORE_CHANGED, id="another history, not in the ring"),
            pytest.param(token(99), Reason.REVISION_AHEAD, id="ahead"),
        ],
    )
    def test_where_resuming_is_impossible_says_why(
        self, monkeypatch: pytest.MonkeyPatch, resume: RevisionToken, reason: Reason
    ) -> None:
        async def scenario(desk: Desk) -> None:
            for provider_id in ("acme", "bolt", "corp"):
                await desk.put(provider_id)
            desk.log.compact(2)
            desk.table.ring = Ring(token(3))
            monkeypatch.setattr(live, "REACH_SECONDS", 0.05)
            [first] = await desk.watch(resume).until(1)
            assert kinds([first]) == [("snapshot_chunk", 3)]
            said = pb.SnapshotChunk.Reason.Name(first.snapshot_chunk.reason)
            assert said == f"REASON_{reason.removeprefix('REVISION_') if 'COMP' in reason else reason}"
            error = await desk.watch(resume, strict=True).ended()
            assert isinstance(error, OutOfRange)
            assert error.reason is reason
            assert error.metadata == {"current_revision": "3", "compact_revision": "3"}

        playing(scenario)

    def test_by_a_number_alone_is_a_snapshot(self) -> None:
        """It may be of another history: nothing shows that it is not."""

        async def scenario(desk: Desk) -> None:
            await desk.put("acme")
            [first] = await desk.watch(unproven=True).until(1)
            assert first.snapshot_chunk.reason == pb.SnapshotChunk.REASON_INITIAL
            error = await desk.watch(unproven=True, strict=True).ended()
            assert error.reason is Reason.RESUME_TOKEN_REQUIRED

        playing(scenario)

    def test_each_message_has_the_token_to_resume_from(self) -> None:
        async def scenario(desk: Desk) -> None:
            await desk.put("acme")
            one = desk.watch()
            await desk.put("bolt")
            await desk.put("corp", seen=False)
            await one.until(1)
            while one.got[-1].revision < 2:
                await one.until(len(one.got) + 1)
            assert one.got[-1].token == str(token(2))
            [bookmark] = await desk.watch(token(2)).until(1)
            assert bookmark.token == str(RevisionToken(ONE, commit_id(2), 3))

        playing(scenario)

    def test_one_too_many_is_refused_until_another_has_gone(self) -> None:
        async def scenario(desk: Desk) -> None:
            first = desk.watch()
            await first.until(1)
            error = await desk.watch().ended()
            assert isinstance(error, ResourceExhausted)
            assert error.reason is Reason.TOO_MANY_WATCHERS
            assert first.task is not None
            first.task.cancel()
            with suppress(asyncio.CancelledError):
                await first.task
            await desk.watch().until(1)

        playing(scenario, max_watchers=1)

    def test_a_router_that_was_here_before_comes_in_where_a_new_one_does_not(self) -> None:
        async def scenario(desk: Desk) -> None:
            known = desk.watch(watcher_id="known")
            await known.until(1)
            assert known.task is not None
            known.task.cancel()
            with suppress(asyncio.CancelledError):
                await known.task
            await desk.watch(watcher_id="other").until(1)
            for refused in (desk.watch(watcher_id="new"), desk.watch(), desk.watch(watcher_id="other")):
                error = await refused.ended()
                assert error.reason is Reason.TOO_MANY_WATCHERS
            await desk.watch(watcher_id="known").until(1)
            error = await desk.watch(watcher_id="known").ended()
            assert error.reason is Reason.TOO_MANY_WATCHERS

        playing(scenario, max_watchers=1)


class TestGoingOn:
    def test_what_routers_do_not_see_comes_as_a_bookmark_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watch, "TICK_SECONDS", 0.01)

        async def scenario(desk: Desk) -> None:
            one = desk.watch(bookmark_seconds=0.1)
            await one.until(1)
            await desk.put("acme", seen=False)
            got = await one.until(4)
            assert [kind for kind, _ in kinds(got[1:])] == ["bookmark"] * 3
            assert got[-1].revision == 1
            assert got[-1].bookmark.server_time.ToDatetime(START.tzinfo) == START

        playing(scenario)

    def test_who_reads_slowly_is_sent_the_rest_when_it_reads(self) -> None:
        async def scenario(desk: Desk) -> None:
            slow, quick = desk.watch(reads=False), desk.watch()
            await quick.until(1)
            for number in range(5):
                await desk.put(f"p{number}")
            assert len(await quick.until(6)) == 6
            slow.flow.set()
            assert kinds(await slow.until(6)) == kinds(quick.got)

        playing(scenario)

    @pytest.mark.parametrize("strict", [False, True])
    def test_who_reads_too_slowly_begins_anew(self, strict: bool) -> None:
        async def scenario(desk: Desk) -> None:
            desk.table.ring = Ring(token(0), max_messages=3)
            slow = desk.watch(reads=False, strict=strict)
            await asyncio.sleep(0)
            for number in range(10):
                await desk.put(f"p{number}")
            slow.flow.set()
            if strict:
                error = await slow.ended()
                assert error.reason is Reason.REVISION_COMPACTED
                return
            got = await slow.until(2)
            assert got[1].snapshot_chunk.reason == pb.SnapshotChunk.REASON_SLOW_CONSUMER
            assert len(got[1].snapshot_chunk.providers) == 10
            await desk.put("next")
            assert kinds(await slow.until(3))[-1] == ("change_set", 11)

        playing(scenario)

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            pytest.param(another_store, "STORE_CHANGED", id="another store"),
            pytest.param(another_history, "STORE_CHANGED", id="another history"),
            pytest.param(compacted, "COMPACTED", id="compacted"),
            pytest.param(put_back, "REVISION_AHEAD", id="restored to an older revision"),
        ],
    )
    def test_a_table_that_was_loaded_anew_is_sent_as_a_whole(
        self, monkeypatch: pytest.MonkeyPatch, change: Callable[[HandLog], None], reason: str
    ) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 0.01)

        async def scenario(desk: Desk) -> None:
            await desk.put("acme")
            await desk.put("bolt")
            one = desk.watch()
            await one.until(1)
            change(desk.log)
            got = await one.until(2)
            assert got[1].token == str(desk.log.load().at)
            assert (got[1].store_id, got[1].revision) == (str(desk.log.store_id), desk.log.revision)
            assert pb.SnapshotChunk.Reason.Name(got[1].snapshot_chunk.reason) == f"REASON_{reason}"

        playing(scenario)

    def test_who_reads_nothing_at_all_is_cut_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watch, "TICK_SECONDS", 0.01)
        monkeypatch.setattr(watch, "STALLED_SECONDS", 0.05)

        async def scenario(desk: Desk) -> None:
            quick = desk.watch()
            error = await desk.watch(reads=False).ended()
            assert isinstance(error, ResourceExhausted)
            assert error.reason is Reason.WATCHER_STALLED
            await quick.until(1)
            assert len(desk.watchers) == 1

        playing(scenario)


class TestEnding:
    def test_a_goodbye_reaches_all_before_the_server_stops(self) -> None:
        async def scenario(desk: Desk) -> None:
            watching = [desk.watch() for _ in range(3)]
            for one in watching:
                await one.until(1)
            await desk.watchers.drain(60)
            for one in watching:
                assert one.got[-1].bookmark.draining
                error = await one.ended()
                assert isinstance(error, Unavailable)
                assert error.reason is Reason.SERVER_DRAINING
            assert (await desk.watch().ended()).reason is Reason.SERVER_DRAINING

        playing(scenario)

    def test_a_goodbye_does_not_wait_for_who_does_not_read(self) -> None:
        async def scenario(desk: Desk) -> None:
            desk.watch(reads=False)
            await asyncio.sleep(0)
            await desk.watchers.drain(0.05)
            assert len(desk.watchers) == 1

        playing(scenario)

    def test_who_goes_leaves_nothing(self) -> None:
        async def scenario(desk: Desk) -> None:
            for _ in range(3):
                one = desk.watch(watcher_id="gw-1")
                await one.until(1)
                assert [router.watching for router in desk.routers.all(desk.table.ring)] == [True]
                assert one.task is not None
                one.task.cancel()
                with suppress(asyncio.CancelledError):
                    await one.task
                assert len(desk.watchers) == 0
                assert [router.watching for router in desk.routers.all(desk.table.ring)] == [False]

        playing(scenario)

    def test_who_has_no_name_is_no_router(self) -> None:
        async def scenario(desk: Desk) -> None:
            await desk.watch().until(1)
            assert desk.routers.all(desk.table.ring) == []

        playing(scenario)
