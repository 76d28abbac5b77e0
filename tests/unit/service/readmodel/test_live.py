"""The live read model: follows nudges and polls, waits for writers, and outlives what goes wrong."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from runtime.logs import build_logger
from service.domain.errors import Reason, Unavailable
from service.domain.routing import Change, ChangeSet, Entry, EntryKind, routing_provider
from service.readmodel import live
from service.readmodel.live import LiveTable, Source
from service.rpc.routing_codec import CODEC
from tests.support.values.registry_values import START, a_provider

T = TypeVar("T")


@dataclass
class Table:
    """A store's routing table, changed by hand. ``compacted`` makes it answer that changes are gone."""

    revision: int = 1
    store_id: str = "one"
    entries: list[Entry] = field(default_factory=list)
    sets: list[ChangeSet] = field(default_factory=list)
    compacted: bool = False
    loads: int = 0
    fails_with: list[Exception] = field(default_factory=list)

    def load(self) -> tuple[int, str, list[Entry]]:
        self.loads += 1
        return self.revision, self.store_id, list(self.entries)

    def changes(self, since: int, store_id: str) -> tuple[int, list[ChangeSet]] | None:
        if self.fails_with:
            raise self.fails_with.pop()
        if self.compacted or store_id != self.store_id:
            return None
        return self.revision, [one for one in self.sets if one.revision > since]

    def add(self, provider_id: str) -> int:
        entry = routing_provider(a_provider(provider_id))
        assert entry is not None
        self.revision += 1
        self.entries.append(entry)
        self.sets.append(ChangeSet(self.revision, (Change(EntryKind.PROVIDER, entry.name, entry),), START))
        return self.revision


async def run_here(work: Callable[[], T]) -> T:
    return work()


def following(table: Table, scenario: Callable[[LiveTable], Awaitable[None]]) -> list[dict[str, object]]:
    """Run a scenario beside a read model that follows the table. Returns what was logged."""
    stream = io.StringIO()

    async def main() -> None:
        model = LiveTable(
            Source(table.load, table.changes), CODEC, run_here, build_logger(stream, logging.DEBUG)
        )
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


class TestLiveTable:
    def test_holds_what_is_there_from_the_start(self) -> None:
        table = Table()
        table.add("acme")

        async def scenario(model: LiveTable) -> None:
            assert model.current.revision == 2
            assert list(model.current.providers) == ["providers/acme"]

        following(table, scenario)

    def test_looks_at_once_when_told_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 60)
        table = Table()

        async def scenario(model: LiveTable) -> None:
            revision = table.add("acme")
            model.look()
            await model.reached(revision)
            assert model.current.revision == revision
            assert list(model.current.providers) == ["providers/acme"]
            assert table.loads == 1

        following(table, scenario)

    def test_what_is_told_is_not_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In any order, and also what changed nothing for routers."""
        monkeypatch.setattr(live, "POLL_SECONDS", 60)
        table = Table(fails_with=[AssertionError("asked")])

        async def scenario(model: LiveTable) -> None:
            for provider_id in ("acme", "bolt"):
                table.add(provider_id)
            second, third = table.sets
            model.committed(ChangeSet(4, (), START))
            model.committed(third)
            model.committed(second)
            await model.reached(4)
            assert list(model.current.providers) == ["providers/acme", "providers/bolt"]
            assert (model.ring.end - model.ring.begin, model.ring.head) == (2, 4)
            assert table.fails_with

        following(table, scenario)

    def test_what_others_committed_in_between_is_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 60)
        table = Table()

        async def scenario(model: LiveTable) -> None:
            for provider_id in ("acme", "bolt", "corp"):
                table.add(provider_id)
            model.committed(table.sets[-1])
            await model.reached(4)
            assert list(model.current.providers) == ["providers/acme", "providers/bolt", "providers/corp"]
            table.add("dove")
            model.committed(table.sets[-1])
            await model.reached(5)
            assert len(model.current.providers) == 4

        following(table, scenario)

    def test_what_nobody_told_is_found_by_a_poll(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 0.01)
        table = Table()

        async def scenario(model: LiveTable) -> None:
            await model.reached(table.add("acme"))
            assert list(model.current.providers) == ["providers/acme"]

        following(table, scenario)

    @pytest.mark.parametrize("cause", ["compacted", "another-store"])
    def test_where_changes_are_gone_the_table_is_loaded_anew(
        self, monkeypatch: pytest.MonkeyPatch, cause: str
    ) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 0.01)
        table = Table()

        async def scenario(model: LiveTable) -> None:
            revision = table.add("acme")
            table.compacted = cause == "compacted"
            table.store_id = "two" if cause == "another-store" else "one"
            await model.reached(revision)
            assert (model.current.revision, model.current.store_id) == (revision, table.store_id)

        following(table, scenario)
        assert table.loads > 1

    @pytest.mark.parametrize(
        "error",
        [Unavailable("away", reason=Reason.STORE_UNAVAILABLE), ValueError("cAnArY")],
        ids=["store-away", "bug"],
    )
    def test_what_goes_wrong_is_logged_and_tried_again(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        monkeypatch.setattr(live, "POLL_SECONDS", 0.01)
        table = Table(fails_with=[error])

        async def scenario(model: LiveTable) -> None:
            await model.reached(table.add("acme"))
            assert list(model.current.providers) == ["providers/acme"]

        lines = following(table, scenario)
        assert [line["event"] for line in lines] == ["snapshot_failed"]
        assert "cAnArY" not in str(lines)

    def test_a_writer_waits_a_second_at_most(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live, "REACH_SECONDS", 0.05)

        async def scenario(model: LiveTable) -> None:
            started = time.monotonic()
            await model.reached(99)
            assert time.monotonic() - started < 5

        following(Table(), scenario)

    def test_a_commit_after_the_loop_has_ended_is_ignored(self) -> None:
        kept: list[LiveTable] = []

        async def scenario(model: LiveTable) -> None:
            kept.append(model)

        following(Table(), scenario)
        kept[0].committed(ChangeSet(5, (), START))
