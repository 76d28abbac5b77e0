"""What was served last is compared with the database at the next start."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from runtime.logs import build_logger
from service.background.seen import compare_seen, keep_seen
from service.readmodel import live
from service.readmodel.breaks import HistoryBreak, HistoryBreaks
from service.readmodel.live import LiveTable
from service.rpc.routing_codec import CODEC
from tests.support.doubles.hand_log import TWO, HandLog, token
from tests.support.values.registry_values import START

T = TypeVar("T")


async def run_here(work: Callable[[], T]) -> T:
    return work()


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "REACH_SECONDS", 0.01)


def start(file: Path, table: HandLog) -> tuple[HistoryBreaks, list[dict[str, object]]]:
    """Begin on this database, and note what is served. Returns what was noticed and logged."""
    stream, breaks = io.StringIO(), HistoryBreaks(lambda: START)

    async def main() -> None:
        log = build_logger(stream, logging.DEBUG)
        model = LiveTable(table.source, CODEC, run_here, log)
        await compare_seen(file, model, breaks, log)
        await keep_seen(file, model, run_here)

    asyncio.run(main())
    return breaks, [json.loads(line) for line in stream.getvalue().splitlines()]


def two_revisions() -> HandLog:
    table = HandLog()
    table.put("kept")
    table.put("lost")
    return table


def more(table: HandLog) -> None:
    table.put("acme")


def compacted(table: HandLog) -> None:
    table.put("acme")
    table.compact(3)


@pytest.mark.parametrize("change", [lambda table: None, more, compacted], ids=["same", "more", "compacted"])
def test_a_history_that_went_on_is_no_break(tmp_path: Path, change: Callable[[HandLog], None]) -> None:
    table = two_revisions()
    start(tmp_path / "seen", table)
    change(table)
    breaks, logged = start(tmp_path / "seen", table)
    assert (breaks.count, breaks.last, logged) == (0, None, [])


def fewer(table: HandLog) -> None:
    table.fork(1, "b")


def as_many(table: HandLog) -> None:
    table.fork(1, "b")
    table.put("acme")


def another(table: HandLog) -> None:
    table.store_id = TWO


@pytest.mark.parametrize("change", [fewer, as_many, another])
def test_a_history_that_was_lost_is_noticed_once(tmp_path: Path, change: Callable[[HandLog], None]) -> None:
    table = two_revisions()
    start(tmp_path / "seen", table)
    change(table)
    breaks, [line] = start(tmp_path / "seen", table)
    has = table.load().at
    assert (breaks.count, breaks.last) == (1, HistoryBreak(START, token(2), has))
    assert (line["event"], line["had"], line["has"]) == ("history_changed", str(token(2)), str(has))
    assert start(tmp_path / "seen", table)[0].count == 0


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"not a token\n"])
def test_without_a_readable_file_nothing_is_known(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "seen").write_bytes(content)
    breaks, logged = start(tmp_path / "seen", two_revisions())
    assert (breaks.count, logged) == (0, [])
    assert (tmp_path / "seen").read_text() == f"{token(2)}\n"
    assert [file.name for file in tmp_path.iterdir()] == ["seen"]
