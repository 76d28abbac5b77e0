"""How a unit of work is run again: as a whole, a bounded number of times, with growing random pauses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from service.domain.errors import Unavailable
from service.store import ReadUnit, Store, engines, migrate
from tests.support.values.registry_values import ManualClock


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that the store asked for, each the longest that its jitter allows."""
    return []


@pytest.fixture
def store(tmp_path: Path, pauses: list[float]) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/registry.db"
    migrate(url)
    engine = engines.create(engines.parse_url(url))
    store = Store(
        engine,
        clock=ManualClock(),
        sleep=pauses.append,
        jitter=lambda _low, high: high,
        close=engine.dispose,
    )
    yield store
    store.close()


class Fails:
    """A unit of work that fails the first times it is run."""

    def __init__(self, error: psycopg.Error, times: int) -> None:
        self.error = error
        self.times = times
        self.runs = 0

    def __call__(self, unit: ReadUnit) -> int:
        self.runs += 1
        if self.runs <= self.times:
            raise OperationalError("", {}, self.error)
        return unit.log.head().revision


class TestRetries:
    def test_after_conflicts(self, store: Store, pauses: list[float]) -> None:
        work = Fails(psycopg.errors.SerializationFailure(), times=4)
        assert store.read(work) == 0
        assert work.runs == 5
        assert pauses == [0.02, 0.04, 0.08, 0.16]

    def test_end_after_five_runs(self, store: Store, pauses: list[float]) -> None:
        work = Fails(psycopg.errors.DeadlockDetected(), times=9)
        with pytest.raises(Unavailable):
            store.write(work)
        assert (work.runs, len(pauses)) == (5, 4)

    def test_once_after_a_lost_connection(self, store: Store) -> None:
        once = Fails(psycopg.errors.AdminShutdown(), times=1)
        assert store.read(once) == 0
        twice = Fails(psycopg.errors.AdminShutdown(), times=2)
        with pytest.raises(Unavailable):
            store.read(twice)
        assert (once.runs, twice.runs) == (2, 2)

    def test_never_when_the_database_is_away(self, store: Store, pauses: list[float]) -> None:
        work = Fails(psycopg.errors.DiskFull(), times=1)
        with pytest.raises(Unavailable):
            store.write(work)
        assert (work.runs, pauses) == (1, [])

    def test_never_after_an_error_that_is_no_database_error(self, store: Store) -> None:
        runs = []

        def work(unit: ReadUnit) -> None:
            runs.append(unit)
            raise KeyError("bug")

        with pytest.raises(KeyError):
            store.write(work)
        assert len(runs) == 1
