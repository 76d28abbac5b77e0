"""The live read model: follows nudges and polls, waits for writers, and outlives what goes wrong."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import pytest

from runtime.logs import build_logger
from service.domain.errors import Reason, Unavailable
from service.domain.history import RevisionToken
from service.readmodel import live
from service.readmodel.live import LiveTable
from service.rpc.routing_codec import CODEC
from tests.support.doubles.hand_log import TWO, HandLog, change_set, commit_id

T = TypeVar("T")


async def run_here(work: Callable[[], T]) -> T:
    return work()


def following(table: HandLog, scenario: Callable[[LiveTable], Awaitable[None]]) -> list[dict[str, object]]:
    """Run a scenario beside a read model that follows the table. Returns what was logged."""
    stream = io.StringIO()

    async def main() -> None:
        model = LiveTable(table.source, CODEC, run_here, build_logger(stream, logging.DEBUG))
        task = asyncio.create_task(model.follow())
        try:
            async with asyncio.timeout(10):
                await scenario(model)
            assert not task.done()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    asyncio.run(main())
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_catches_up_before_it_follows() -> None:
    table = HandLog()

    async def main() -> None:
        model = LiveTable(table.source, CODEC, run_here, build_logger(io.StringIO(), logging.DEBUG))
        table.put("acme")
        await model.catch_up()
        assert list(model.current.providers) == ["providers/acme"]
        assert (model.ring.head, model.ring.end) == (1, 1)
        await model.catch_up()
        assert model.ring.end == 1

    asyncio.run(main())


class TestLiveTable:
    def test_holds_what_is_there_from_the_start(self) -> None:
        table = HandLog()
        table.put("acme")

        async def scenario(model: LiveTable) -> None:
            assert model.current.revision == 1
            assert list(model.current.providers) == ["providers/acme"]

        following(table, scenario)

    def test_looks_at_once_when_told_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 60)
        table = HandLog()

        async def scenario(model: LiveTable) -> None:
            revision = table.put("acme").revision
            model.look()
            await model.reached(revision)
            assert model.current.revision == revision
            assert list(model.current.providers) == ["providers/acme"]
            assert table.loads == 1

        following(table, scenario)

    def test_what_is_told_is_not_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In any order, and also what changed nothing for routers."""
        monkeypatch.setattr(live, "POLL_SECONDS", 60)
        table = HandLog(fails_with=[AssertionError("asked")])

        async def scenario(model: LiveTable) -> None:
            first, second, third = table.put("acme"), table.put("bolt"), table.commit()
            model.committed(third)
            model.committed(second)
            model.committed(first)
            await model.reached(3)
            assert list(model.current.providers) == ["providers/acme", "providers/bolt"]
            assert (model.ring.end - model.ring.begin, model.ring.head) == (2, 3)
            assert model.current.at.content_id == second.commit_id
            assert model.current.commit_id == third.commit_id
            assert table.fails_with

        following(table, scenario)

    def test_what_others_committed_in_between_is_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 60)
        table = HandLog()

        async def scenario(model: LiveTable) -> None:
            for provider_id in ("acme", "bolt", "corp"):
                table.put(provider_id)
            model.committed(table.sets[-1])
            await model.reached(3)
            assert list(model.current.providers) == ["providers/acme", "providers/bolt", "providers/corp"]
            model.committed(table.put("dove"))
            await model.reached(4)
            assert len(model.current.providers) == 4

        following(table, scenario)

    def test_what_nobody_told_is_found_by_a_poll(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 0.01)
        table = HandLog()

        async def scenario(model: LiveTable) -> None:
            await model.reached(table.put("acme").revision)
            assert list(model.current.providers) == ["providers/acme"]

        following(table, scenario)

    @pytest.mark.parametrize("cause", ["compacted", "another-store"])
    def test_where_changes_are_gone_the_table_is_loaded_anew(
        self, monkeypatch: pytest.MonkeyPatch, cause: str
    ) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 0.01)
        table = HandLog()

        async def scenario(model: LiveTable) -> None:
            revision = table.put("acme").revision
            if cause == "compacted":
                table.compact(revision)
            else:
                table.store_id = TWO
            await model.reached(revision)
            assert (model.current.revision, model.current.store_id) == (revision, table.store_id)

        following(table, scenario)
        assert table.loads > 1

    def test_a_commit_of_another_history_is_not_believed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its parent is not what this table has: the database was replaced in between."""
        monkeypatch.setattr(live, "POLL_SECONDS", 60)
        table = HandLog()

        async def scenario(model: LiveTable) -> None:
            model.committed(table.put("lost"))
            await model.reached(1)
            table.fork(0, "b")
            table.put("acme")
            model.committed(table.put("bolt"))
            while model.current.revision < 2:
                await asyncio.sleep(0)
            assert list(model.current.providers) == ["providers/acme", "providers/bolt"]

        [line] = following(table, scenario)
        assert (line["event"], line["revision"]) == ("history_changed", 1)

    @pytest.mark.parametrize(
        ("lost", "after"),
        [
            pytest.param(1, 0, id="the number is lower"),
            pytest.param(1, 1, id="the number is the same"),
            pytest.param(1, 4, id="the number is higher"),
            pytest.param(3, 9, id="several were lost"),
        ],
    )
    def test_a_fork_is_found_whatever_the_number(
        self, monkeypatch: pytest.MonkeyPatch, lost: int, after: int
    ) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 0.01)
        table = HandLog()
        table.put("kept")

        async def scenario(model: LiveTable) -> None:
            for number in range(lost):
                table.put(f"lost-{number}")
            await model.reached(1 + lost)
            ring = model.ring
            table.fork(1, "b")
            for number in range(after):
                table.put(f"after-{number}")
            while model.ring is ring:
                await asyncio.sleep(0.001)
            assert ring.history.broken
            assert model.current.at == table.load().at
            assert not any("lost" in name for name in model.current.providers)
            assert len(model.current.providers) == 1 + after

        assert [line["event"] for line in following(table, scenario)] == ["history_changed"]

    def test_a_writer_of_another_history_waits_for_its_table(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The number alone was reached before, by a commit that was lost."""
        monkeypatch.setattr(live, "POLL_SECONDS", 60)
        table = HandLog()

        async def scenario(model: LiveTable) -> None:
            for name in ("lost-1", "lost-2"):
                model.committed(table.put(name))
            await model.reached(2)
            table.fork(0, "b")
            written = table.put("acme")
            model.committed(written)
            await asyncio.sleep(0)
            token = await model.reached(1, written.commit_id)
            assert token == str(RevisionToken(table.store_id, written.commit_id, 1))
            assert list(model.current.providers) == ["providers/acme"]

        following(table, scenario)

    def test_a_writer_gets_no_token_while_it_is_not_known_which(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The database went back, took the write, and went away again."""
        monkeypatch.setattr(live, "POLL_SECONDS", 60)
        monkeypatch.setattr(live, "REACH_SECONDS", 0.01)
        table = HandLog()

        async def scenario(model: LiveTable) -> None:
            model.committed(table.put("lost"))
            await model.reached(1)
            table.fork(0, "b")
            written = table.put("acme")
            table.fails_with.append(Unavailable("away", reason=Reason.STORE_UNAVAILABLE))
            model.committed(written)
            await asyncio.sleep(0)
            assert await model.reached(1, written.commit_id) is None
            model.look()
            while model.current.commit_id != written.commit_id:
                await asyncio.sleep(0)
            assert await model.reached(1, written.commit_id) == str(model.current.at)

        following(table, scenario)

    def test_a_lost_write_never_gets_the_token_of_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It was lost before its writer was answered, and another has its number."""
        monkeypatch.setattr(live, "POLL_SECONDS", 60)
        table = HandLog()

        async def scenario(model: LiveTable) -> None:
            lost = table.put("lost")
            table.fork(0, "b")
            table.put("acme")
            model.look()
            await model.reached(1)
            model.committed(lost)
            await asyncio.sleep(0)
            assert await model.reached(1) == str(model.current.at)
            assert await model.reached(1, lost.commit_id) is None

        following(table, scenario)

    def test_nor_does_one_of_which_routers_see_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The table shows no commit at that number, and the next one is there already."""
        monkeypatch.setattr(live, "POLL_SECONDS", 60)
        table = HandLog()

        async def scenario(model: LiveTable) -> None:
            lost = table.commit()
            table.fork(0, "b")
            table.put("acme")
            table.put("bolt")
            model.look()
            await model.reached(2)
            model.committed(lost)
            await asyncio.sleep(0)
            assert await model.reached(1, lost.commit_id) is None

        following(table, scenario)

    def test_two_writers_of_one_number_get_each_his_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 60)
        table = HandLog()

        async def scenario(model: LiveTable) -> None:
            lost = table.put("lost")
            table.fork(0, "b")
            written = table.put("acme")
            for each in (lost, written):
                model.committed(each)
            await asyncio.sleep(0)
            tokens = [await model.reached(1, one.commit_id) for one in (written, lost)]
            assert tokens == [str(model.current.at), None]

        following(table, scenario)

    def test_a_write_that_routers_do_not_see_has_a_token_also_once_others_followed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 60)
        table = HandLog()

        async def scenario(model: LiveTable) -> None:
            unseen, seen = table.commit(), table.put("acme")
            model.committed(unseen)
            model.committed(seen)
            await model.reached(2)
            token = await model.reached(1, unseen.commit_id)
            assert token == str(RevisionToken(table.store_id, commit_id(0), 1))

        following(table, scenario)

    def test_writers_that_never_ask_are_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 60)
        monkeypatch.setattr(live, "MAX_PROVEN", 2)
        table = HandLog()

        async def scenario(model: LiveTable) -> None:
            made = [table.put(name) for name in ("acme", "bolt", "corp")]
            for one in made:
                model.committed(one)
            await model.reached(3)
            tokens = [await model.reached(one.revision, one.commit_id) for one in made]
            assert [token is None for token in tokens] == [True, False, False]

        following(table, scenario)

    def test_lost_revisions_that_changed_nothing_for_routers_are_no_other_table(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 0.01)
        table = HandLog()
        table.put("acme")

        async def scenario(model: LiveTable) -> None:
            table.commit()
            await model.reached(2)
            table.fork(1, "b")
            table.commit()
            table.put("bolt")
            await model.reached(3)
            assert list(model.current.providers) == ["providers/acme", "providers/bolt"]

        assert following(table, scenario) == []
        assert table.loads == 1

    @pytest.mark.parametrize(
        "error",
        [Unavailable("away", reason=Reason.STORE_UNAVAILABLE), ValueError("cAnArY")],
        ids=["store-away", "bug"],
    )
    def test_what_goes_wrong_is_logged_and_tried_again(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 0.01)
        table = HandLog(fails_with=[error])

        async def scenario(model: LiveTable) -> None:
            await model.reached(table.put("acme").revision)
            assert list(model.current.providers) == ["providers/acme"]

        lines = following(table, scenario)
        assert [line["event"] for line in lines] == ["snapshot_failed"]
        assert "cAnArY" not in str(lines)

    def test_a_writer_is_given_the_token_of_its_revision(self) -> None:
        table = HandLog()

        async def scenario(model: LiveTable) -> None:
            written = table.put("acme")
            table.commit()
            table.put("bolt")
            model.look()
            await model.reached(3)
            assert await model.reached(1) == str(RevisionToken(table.store_id, written.commit_id, 1))
            assert await model.reached(2) == str(RevisionToken(table.store_id, written.commit_id, 2))

        following(table, scenario)

    def test_a_writer_waits_a_second_at_most(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live, "REACH_SECONDS", 0.05)

        async def scenario(model: LiveTable) -> None:
            started = time.monotonic()
            assert await model.reached(99) is None
            assert time.monotonic() - started < 30

        following(HandLog(), scenario)

    def test_a_commit_after_the_loop_has_ended_is_ignored(self) -> None:
        kept: list[LiveTable] = []

        async def scenario(model: LiveTable) -> None:
            kept.append(model)

        following(HandLog(), scenario)
        kept[0].committed(change_set(5))
