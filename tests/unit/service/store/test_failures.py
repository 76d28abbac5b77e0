"""What a database error means for the unit of work that met it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.store.failures import Failure, failure_of


def of_postgresql(error: type[psycopg.Error], *, lost: bool = False) -> DBAPIError:
    return OperationalError("", {}, error(), connection_invalidated=lost)


class TestFailureOf:
    @pytest.mark.parametrize(
        ("error", "failure"),
        [
            (of_postgresql(psycopg.errors.SerializationFailure), Failure.CONFLICT),
            (of_postgresql(psycopg.errors.DeadlockDetected), Failure.CONFLICT),
            (of_postgresql(psycopg.errors.AdminShutdown), Failure.LOST),
            (of_postgresql(psycopg.errors.CannotConnectNow), Failure.LOST),
            (of_postgresql(psycopg.errors.ConnectionFailure), Failure.LOST),
            (of_postgresql(psycopg.OperationalError, lost=True), Failure.LOST),
            (of_postgresql(psycopg.OperationalError), Failure.AWAY),
            (of_postgresql(psycopg.errors.LockNotAvailable), Failure.AWAY),
            (of_postgresql(psycopg.errors.QueryCanceled), Failure.AWAY),
            (of_postgresql(psycopg.errors.DiskFull), Failure.AWAY),
            (InterfaceError("", {}, psycopg.InterfaceError()), Failure.AWAY),
            (PoolTimeout(), Failure.AWAY),
            (IntegrityError("", {}, psycopg.errors.UniqueViolation()), Failure.BUG),
            (ProgrammingError("", {}, psycopg.errors.UndefinedTable()), Failure.BUG),
        ],
        ids=lambda value: value.name.lower() if isinstance(value, Failure) else type(value).__name__,
    )
    def test_on_postgresql(self, error: DBAPIError | PoolTimeout, failure: Failure) -> None:
        assert failure_of(error) is failure

    def test_on_a_busy_sqlite_is_a_conflict(self, tmp_path: Path) -> None:
        connections = [sqlite3.connect(tmp_path / "x.db", timeout=0, isolation_level=None) for _ in range(2)]
        connections[0].execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as busy:
            connections[1].execute("BEGIN IMMEDIATE")
        for connection in connections:
            connection.close()
        assert failure_of(OperationalError("", {}, busy.value)) is Failure.CONFLICT

    def test_on_an_unreadable_sqlite_is_an_outage(self, tmp_path: Path) -> None:
        with pytest.raises(sqlite3.OperationalError) as missing:
            sqlite3.connect(tmp_path / "nowhere" / "x.db")
        assert failure_of(OperationalError("", {}, missing.value)) is Failure.AWAY
