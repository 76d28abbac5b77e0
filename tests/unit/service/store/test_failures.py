"""What a database error means for the unit of work that met it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.domain.errors import Reason
from service.store.failures import Cause, Failure, Trouble, trouble_of, unavailable


def of_postgresql(error: type[psycopg.Error], *, lost: bool = False) -> DBAPIError:
    return OperationalError("", {}, error(), connection_invalidated=lost)


def of_sqlite(code: int) -> DBAPIError:
    error = sqlite3.DatabaseError()
    error.sqlite_errorcode = code
    return DBAPIError("", {}, error)


class TestTroubleOf:
    @pytest.mark.parametrize(
        ("error", "failure", "cause"),
        [
            (of_postgresql(psycopg.errors.SerializationFailure), Failure.CONFLICT, Cause.CONTENTION),
            (of_postgresql(psycopg.errors.DeadlockDetected), Failure.CONFLICT, Cause.CONTENTION),
            (of_postgresql(psycopg.errors.AdminShutdown), Failure.LOST, Cause.STARTING),
            (of_postgresql(psycopg.errors.CannotConnectNow), Failure.LOST, Cause.STARTING),
            (of_postgresql(psycopg.errors.ConnectionFailure), Failure.LOST, Cause.CONNECTION),
            (of_postgresql(psycopg.errors.ReadOnlySqlTransaction), Failure.LOST, Cause.READ_ONLY),
            (of_postgresql(psycopg.errors.ReadOnlySqlTransaction, lost=True), Failure.LOST, Cause.READ_ONLY),
            (of_postgresql(psycopg.OperationalError, lost=True), Failure.LOST, Cause.CONNECTION),
            (of_postgresql(psycopg.OperationalError), Failure.AWAY, Cause.CONNECTION),
            (of_postgresql(psycopg.errors.LockNotAvailable), Failure.BUSY, Cause.LOCK),
            (of_postgresql(psycopg.errors.QueryCanceled), Failure.BUSY, Cause.SLOW),
            (of_postgresql(psycopg.errors.DiskFull), Failure.AWAY, Cause.DISK),
            (of_postgresql(psycopg.errors.TooManyConnections), Failure.AWAY, Cause.CONNECTIONS),
            (of_postgresql(psycopg.errors.OutOfMemory), Failure.AWAY, Cause.MEMORY),
            (of_postgresql(psycopg.errors.InvalidPassword), Failure.AWAY, Cause.LOGIN),
            (of_postgresql(psycopg.errors.InsufficientPrivilege), Failure.AWAY, Cause.RIGHTS),
            (of_postgresql(psycopg.errors.UndefinedTable), Failure.AWAY, Cause.SCHEMA),
            (of_postgresql(psycopg.errors.InvalidCatalogName), Failure.AWAY, Cause.NO_DATABASE),
            (of_postgresql(psycopg.errors.DataCorrupted), Failure.AWAY, Cause.DAMAGE),
            (InterfaceError("", {}, psycopg.InterfaceError()), Failure.AWAY, Cause.CONNECTION),
            (PoolTimeout(), Failure.BUSY, Cause.POOL),
            (of_sqlite(sqlite3.SQLITE_BUSY), Failure.BUSY, Cause.LOCK),
            (of_sqlite(sqlite3.SQLITE_IOERR_WRITE), Failure.AWAY, Cause.FILE),
            (of_sqlite(sqlite3.SQLITE_FULL), Failure.AWAY, Cause.DISK),
            (of_sqlite(sqlite3.SQLITE_CORRUPT), Failure.AWAY, Cause.DAMAGE),
            (of_sqlite(sqlite3.SQLITE_NOTADB), Failure.AWAY, Cause.DAMAGE),
            (of_sqlite(sqlite3.SQLITE_READONLY), Failure.AWAY, Cause.READ_ONLY),
        ],
        ids=lambda value: value.name.lower() if isinstance(value, Failure | Cause) else type(value).__name__,
    )
    def test_says_what_to_do_and_what_is_wrong(
        self, error: DBAPIError | PoolTimeout, failure: Failure, cause: Cause
    ) -> None:
        trouble = trouble_of(error)
        assert trouble is not None
        assert (trouble.failure, trouble.cause) == (failure, cause)

    @pytest.mark.parametrize(
        ("said", "cause", "sqlstate"),
        [
            ('FATAL:  password authentication failed for user "x"', Cause.LOGIN, "28P01"),
            ('FATAL:  no pg_hba.conf entry for host "::1", user "x", no encryption', Cause.LOGIN, "28000"),
            ('FATAL:  role "x" does not exist', Cause.LOGIN, "28000"),
            ('FATAL:  database "x" does not exist', Cause.NO_DATABASE, "3D000"),
            ("FATAL:  sorry, too many clients already", Cause.CONNECTIONS, "53300"),
            ("FATAL:  the database system is starting up", Cause.STARTING, "57P03"),
            ("FATAL:  unsupported startup parameter: options", Cause.POOLER, "08P01"),
            ("server does not support SSL, but SSL was required", Cause.TLS, ""),
            ("SSL error: certificate verify failed", Cause.TLS, ""),
            ("session is read-only", Cause.READ_ONLY, ""),
            ("Connection refused", Cause.CONNECTION, ""),
            ("FEHLER:  unbekannt", Cause.CONNECTION, ""),
        ],
    )
    def test_reads_what_a_refused_connection_says(self, said: str, cause: Cause, sqlstate: str) -> None:
        trouble = trouble_of(OperationalError("", {}, psycopg.OperationalError(said)))
        assert trouble == Trouble(Failure.AWAY, cause, sqlstate)

    @pytest.mark.parametrize(
        "error",
        [
            IntegrityError("", {}, psycopg.errors.UniqueViolation()),
            ProgrammingError("", {}, psycopg.errors.SyntaxError()),
        ],
        ids=["a row twice", "SQL that is none"],
    )
    def test_knows_a_bug(self, error: DBAPIError) -> None:
        assert trouble_of(error) is None

    def test_of_a_file_that_cannot_be_opened(self, tmp_path: Path) -> None:
        with pytest.raises(sqlite3.OperationalError) as missing:
            sqlite3.connect(tmp_path / "nowhere" / "x.db")
        trouble = trouble_of(OperationalError("", {}, missing.value))
        assert trouble == Trouble(Failure.AWAY, Cause.FILE)


class TestUnavailable:
    @pytest.mark.parametrize("cause", Cause, ids=str)
    def test_has_words_for_every_cause(self, cause: Cause) -> None:
        error = unavailable(Trouble(Failure.AWAY, cause, "53100"))
        assert error.message.startswith("the database ")
        assert error.metadata == {"cause": cause.value, "sqlstate": "53100"}
        assert error.reason is Reason.STORE_UNAVAILABLE

    @pytest.mark.parametrize("failure", [Failure.BUSY, Failure.CONFLICT])
    def test_says_when_it_is_only_busy(self, failure: Failure) -> None:
        assert unavailable(Trouble(failure, Cause.LOCK)).reason is Reason.STORE_BUSY
