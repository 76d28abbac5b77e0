"""Whether the database works, by what it answered when: on a clock that only the test moves."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest

from runtime.logs import build_logger
from service.background import store_health
from service.background.store_health import AWAY_AFTER, StoreHealth
from service.domain.errors import Reason, Unavailable

AWAY = Unavailable("away", reason=Reason.STORE_UNAVAILABLE, metadata={"cause": "DISK", "sqlstate": "53100"})
LOGIN = Unavailable("away", reason=Reason.STORE_UNAVAILABLE, metadata={"cause": "LOGIN"})
BUSY = Unavailable("busy", reason=Reason.STORE_BUSY)


class Desk:
    """A database that does as told, a clock, and all that was reported."""

    def __init__(self) -> None:
        self.now = 0.0
        self.fails_with: Exception | None = None
        self.asked = 0
        self.reports: list[bool] = []
        self.log = StringIO()

    def probe(self) -> None:
        self.asked += 1
        if self.fails_with is not None:
            raise self.fails_with

    async def run(self, work: Callable[[], Any]) -> Any:
        return work()

    async def report(self, works: bool) -> None:
        self.reports.append(works)

    async def asked_again(self, times: int = 1) -> None:
        """Wait until the database was asked so often again, and its last answer taken in."""
        until = self.asked + times
        while self.asked < until:
            await asyncio.sleep(0)
        before = len(asyncio.all_tasks())
        while len(asyncio.all_tasks()) == before:
            await asyncio.sleep(0)


def watched(work: Callable[[Desk], Any], monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(store_health, "ASK_SECONDS", 0)

    async def scene() -> Desk:
        desk = Desk()
        health = StoreHealth(
            desk.probe, desk.run, desk.report, build_logger(desk.log, 10), monotonic=lambda: desk.now
        )
        following = asyncio.create_task(health.follow())
        await work(desk)
        following.cancel()
        await asyncio.wait([following])
        return desk

    return asyncio.run(scene())


def test_what_works_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(desk: Desk) -> None:
        await desk.asked_again(3)

    assert watched(work, monkeypatch).reports == [True]


def test_what_fails_in_a_row_is_away_and_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(desk: Desk) -> None:
        await desk.asked_again()
        desk.fails_with, desk.now = AWAY, 3.5
        await desk.asked_again(AWAY_AFTER - 1)
        assert desk.reports == [True]
        await desk.asked_again()
        assert desk.reports == [True, False]
        desk.now = 70.0
        await desk.asked_again(3)
        desk.fails_with = None
        await desk.asked_again()

    desk = watched(work, monkeypatch)
    assert desk.reports == [True, False, True]
    lines = [json.loads(line) for line in desk.log.getvalue().splitlines()]
    assert [(line["event"], line.get("table_age_seconds"), line.get("sqlstate")) for line in lines] == [
        ("store_away", 3.5, "53100"),
        ("store_away", 70.0, "53100"),
        ("store_back", None, None),
    ]


def test_another_cause_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(desk: Desk) -> None:
        desk.fails_with = AWAY
        await desk.asked_again(AWAY_AFTER)
        desk.fails_with = LOGIN
        await desk.asked_again(3)

    desk = watched(work, monkeypatch)
    assert [json.loads(line)["cause"] for line in desk.log.getvalue().splitlines()] == ["DISK", "LOGIN"]


def test_what_is_busy_works(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(desk: Desk) -> None:
        desk.fails_with = BUSY
        await desk.asked_again(2 * AWAY_AFTER)

    assert watched(work, monkeypatch).reports == [True]


def test_a_bug_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(desk: Desk) -> None:
        desk.fails_with = ValueError("canary")
        await desk.asked_again(2)
        desk.fails_with = None
        await desk.asked_again()

    desk = watched(work, monkeypatch)
    assert desk.reports == [True]
    assert "canary" not in desk.log.getvalue()


def test_what_does_not_answer_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()

    async def scene() -> list[bool]:
        desk = Desk()

        def probe() -> None:
            goes_on.wait(60)

        health = StoreHealth(probe, asyncio.to_thread, desk.report, build_logger(desk.log, 10))
        following = asyncio.create_task(health.follow())
        while desk.reports != [False]:
            await asyncio.sleep(0)
        goes_on.set()
        while desk.reports != [False, True]:
            await asyncio.sleep(0)
        following.cancel()
        await asyncio.wait([following])
        return desk.reports

    monkeypatch.setattr(store_health, "ASK_SECONDS", 0)
    assert asyncio.run(scene()) == [False, True]
