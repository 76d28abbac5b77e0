"""Engines for the two databases: connections, transactions and pools set up the way `Store` relies on.

SQLite: the driver's own idea of transactions is switched off and BEGIN is sent by us, IMMEDIATE for a unit
that writes, because a read that turns into a write fails with SQLITE_BUSY at once, whatever the timeout.
PostgreSQL: READ COMMITTED is enough for writes, since each takes the counter row first; a read unit asks
for REPEATABLE READ, so that all its statements see one revision.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import SQLITE_CONSTRAINT_CHECK, connect
from sqlite3 import Connection as SqliteConnection
from sqlite3 import Error as SqliteError
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError

from runtime.secret_files import read_secret_file
from service.store.columns import CheckBroken, Unreadable
from service.store.database_urls import mask, spread_hosts
from service.store.failures import READ_ONLY_TRANSACTION, Cause, StoreStartError, trouble_of

MAX_CONNECTIONS = 26
"""One for each thread of the lanes that use the store."""
KEPT_CONNECTIONS = 12
"""How many stay open while nothing needs them."""
POOL_TIMEOUT_SECONDS = 10
_NO_PASSWORD = "no password supplied: the password file cannot be read"  # noqa: S105 - words, not one
_MAX_APPLICATION_NAME = 63
"""Bytes that PostgreSQL keeps of it. Source: NAMEDATALEN."""

_WRITES = "codevector_writes"
WRITE: Mapping[str, Any] = MappingProxyType({_WRITES: True})
"""Execution options of a connection that will write."""
READ_POSTGRESQL: Mapping[str, Any] = MappingProxyType(
    {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
)
READ_SQLITE: Mapping[str, Any] = MappingProxyType({})

_BUSY_MILLISECONDS = 2000
_CACHE_KIBIBYTES = -65536
"""Of each connection to SQLite, which counts kibibytes below zero."""
_CACHE_KIBIBYTES_IN_PASSING = -8192
_SQLITE_PRAGMAS = (
    f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL may lose the last commits on power loss, a rotated key
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA trusted_schema = OFF",
    f"PRAGMA cache_size = {_CACHE_KIBIBYTES}",
    "PRAGMA wal_autocheckpoint = 0",  # `Ground` moves the log, and so knows who wrote the database file
)
_SQLITE_UNCHECKED = ("PRAGMA foreign_keys = OFF", "PRAGMA ignore_check_constraints = ON")
_POSTGRESQL_LIMITS: Mapping[str, str] = MappingProxyType(
    {"statement_timeout": "30s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "10s"}
)
_POSTGRESQL_SESSION = " ".join(
    f"-c {name}={value}" for name, value in {**_POSTGRESQL_LIMITS, "TimeZone": "UTC"}.items()
)
_POSTGRESQL_TRANSACTION = "SELECT " + ", ".join(
    f"set_config('{name}', '{value}', true)" for name, value in _POSTGRESQL_LIMITS.items()
)
"""The same limits for one transaction: behind PgBouncer the session belongs to somebody else afterwards."""
_CHECK_VIOLATION = "23514"
_UNREADABLE_SQLITE = ("Could not decode to UTF-8", "malformed JSON")
_UNREADABLE_POSTGRESQL = frozenset({"22P02", "22P05", "22030", "22032"})
"""A text that is no JSON, or JSON that PostgreSQL does not take."""

_POSTGRESQL_NETWORK: Mapping[str, str] = MappingProxyType(
    {
        "connect_timeout": "5",
        # A host that is gone without a word is noticed after 15 s, not after the kernel's 15 minutes.
        "keepalives_idle": "5",
        "keepalives_interval": "5",
        "keepalives_count": "2",
        "tcp_user_timeout": "15000",
    }
)
"""What libpq is asked for where the URL does not say otherwise."""


@dataclass(frozen=True, slots=True)
class Connecting:
    """How PostgreSQL is connected to; of SQLite only the pool's size counts.

    ``application_name`` is what an administrator sees in ``pg_stat_activity``; what is too long for it loses
    its middle. ``password_file`` is read for every new connection, so a password may change meanwhile.
    ``pgbouncer`` keeps to what PgBouncer allows in transaction mode: nothing belongs to a session.
    """

    application_name: str = "codevector"
    max_connections: int = MAX_CONNECTIONS
    pgbouncer: bool = False
    password_file: Path | None = None


AS_USUAL = Connecting()


def parse_url(url: str) -> URL:
    """Return the database's address.

    Raises:
        StoreStartError: not a URL, or neither SQLite (in a file) nor PostgreSQL (by psycopg). The message
            never repeats the URL, which may hold a password.
    """
    try:
        parsed = make_url(spread_hosts(url))
    except (ArgumentError, ValueError):
        raise StoreStartError("CODEVECTOR_DATABASE_URL is not a SQLAlchemy database URL") from None
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        if parsed.database in (None, "", ":memory:") or parsed.query:
            raise StoreStartError("CODEVECTOR_DATABASE_URL must name a plain database file for SQLite")
        return parsed.set(drivername="sqlite+pysqlite")
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    raise StoreStartError("CODEVECTOR_DATABASE_URL must begin with sqlite:// or postgresql://")


def masked_url(url: str) -> str:
    """Return the address with its secrets masked, for showing.

    Raises:
        StoreStartError: as `parse_url`.
    """
    return mask(parse_url(url))


def sqlite_path(url: URL) -> Path | None:
    """Return the database file behind all links, as SQLite opens it, or None for PostgreSQL."""
    return Path(str(url.database)).resolve() if url.drivername == "sqlite+pysqlite" else None


def sqlite_file(url: str) -> Path | None:
    """Return the database file of a URL, or None for PostgreSQL. Raises StoreStartError."""
    return sqlite_path(parse_url(url))


def create(url: URL, how: Connecting = AS_USUAL) -> Engine:
    """Return an engine. Connects to nothing yet.

    A statement that stumbles over a stored value raises `Unreadable`, as the column types do.

    Raises:
        StoreStartError: psycopg is not installed, or the URL's parts contradict each other.
    """
    path = sqlite_path(url)
    engine = _postgresql_engine(url, how) if path is None else _sqlite_engine(url, path, how)
    event.listen(engine, "handle_error", _name_unreadable)
    event.listen(engine, "handle_error", _leave_read_only)
    return engine


def leave_unchecked(engine: Engine) -> None:
    """Have SQLite check no constraint on connections to come, so that tables can be copied as they are.

    A copy of a table that others refer to needs that, and so does a copy with a row that a hand has edited.
    PostgreSQL changes tables where they are.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _uncheck_sqlite)


def _uncheck_sqlite(connection: SqliteConnection, _record: object) -> None:
    for pragma in _SQLITE_UNCHECKED:
        connection.execute(pragma)


def _name_unreadable(context: ExceptionContext) -> Unreadable | None:
    original = context.original_exception
    if getattr(original, "sqlstate", None) in _UNREADABLE_POSTGRESQL:
        return Unreadable()
    if isinstance(original, SqliteError) and str(original).startswith(_UNREADABLE_SQLITE):
        return Unreadable()
    constraint = broken_check(original)
    return None if constraint is None else CheckBroken(constraint)


def broken_check(original: BaseException | None) -> str | None:
    """Return the name of the CHECK constraint that a driver's error is about, or None."""
    if getattr(original, "sqlstate", None) == _CHECK_VIOLATION:
        return str(cast(Any, original).diag.constraint_name)
    if getattr(original, "sqlite_errorcode", None) == SQLITE_CONSTRAINT_CHECK:
        return str(original).removeprefix("CHECK constraint failed: ")
    return None


def _leave_read_only(context: ExceptionContext) -> None:
    """Drop all connections to a server that takes no writes any more: the next may lead to one that does."""
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY_TRANSACTION:
        context.is_disconnect = True


def unusable(url: URL, error: DBAPIError | SqliteError) -> StoreStartError:
    """Return the error for a database that does not answer as one should."""
    path = sqlite_path(url)
    trouble = trouble_of(error) if isinstance(error, DBAPIError) else None
    if path is not None:
        if trouble is None or trouble.cause is Cause.DAMAGE:
            return _damaged(path)
        return StoreStartError(f"the database file {path} cannot be used: the database {trouble.words}")
    if trouble is None:
        return StoreStartError("CODEVECTOR_DATABASE_URL has a parameter that libpq does not take")
    words = "cannot be reached" if trouble.cause is Cause.CONNECTION else trouble.words
    code = f" (SQLSTATE {trouble.sqlstate})" if trouble.sqlstate else ""
    return StoreStartError(f"the database at CODEVECTOR_DATABASE_URL {words}{code}")


def _damaged(path: Path) -> StoreStartError:
    return StoreStartError(
        f"the database file {path} cannot be used: it is damaged, or not a SQLite database. Restore a backup "
        "with python -m service restore FILE"
    )


def check_pages(connection: Connection, path: Path) -> None:
    """Refuse a SQLite database whose pages do not fit together, before anything is written to it.

    A row that breaks a CHECK constraint is no damage of that kind: it costs its own resource alone.

    Raises:
        StoreStartError: it is damaged.
    """
    if not pages_fit(cast(SqliteConnection, connection.connection.dbapi_connection)):
        raise _damaged(path)


def pages_fit(connection: SqliteConnection) -> bool:
    """Return whether the pages of a SQLite database fit together, whatever its CHECK constraints say."""
    [(before,)] = connection.execute("PRAGMA ignore_check_constraints").fetchall()
    connection.execute("PRAGMA ignore_check_constraints = ON")
    [(found,)] = connection.execute("PRAGMA quick_check(1)").fetchall()
    connection.execute(f"PRAGMA ignore_check_constraints = {before}")
    return bool(found == "ok")


@contextmanager
def in_passing(connection: Connection) -> Iterator[None]:
    """Read a whole table and keep little of it: SQLite would hold 64 MB for each connection that did so."""
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql(f"PRAGMA cache_size = {_CACHE_KIBIBYTES_IN_PASSING}")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA cache_size = {_CACHE_KIBIBYTES}")


def connect_sqlite(path: Path) -> SqliteConnection:
    """Return a connection outside the pool, set up as those in it; threads may use it in turn."""
    connection = connect(path, check_same_thread=False)
    _set_up_sqlite(connection, None)
    return connection


def truncate_log(connection: SqliteConnection, wait_milliseconds: int) -> bool:
    """Move SQLite's write-ahead log into the database and empty it. False when readers are in the way."""
    try:
        connection.execute(f"PRAGMA busy_timeout = {wait_milliseconds}")
        [(busy, *_)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except SqliteError:
        return False
    return not busy


def _postgresql_engine(url: URL, how: Connecting) -> Engine:
    try:
        import psycopg
    except ModuleNotFoundError:
        raise StoreStartError("PostgreSQL needs the extra: codevector-provider-service[postgres]") from None
    asked = url.query.get("options", "")
    options = " ".join([asked] if isinstance(asked, str) else asked)
    usual = {**_POSTGRESQL_NETWORK, "application_name": _shortened(how.application_name)}
    arguments: dict[str, Any] = {each: value for each, value in usual.items() if each not in url.query}
    if how.pgbouncer:
        # The next transaction may run in another session, which knows no statement that this one prepared.
        arguments["prepare_threshold"] = None
    else:
        arguments["options"] = f"{_POSTGRESQL_SESSION} {options}".strip()
        url = url.difference_update_query(["options"])
    try:
        engine = create_engine(
            url,
            hide_parameters=True,
            pool_timeout=POOL_TIMEOUT_SECONDS,
            isolation_level="READ COMMITTED",
            connect_args=arguments,
            # No ping before each use, a trip for every write: a unit on a broken connection runs again.
            **_pool(how),
        )
    except ArgumentError:
        raise StoreStartError(
            "CODEVECTOR_DATABASE_URL names hosts in two ways: use postgresql://user@h1:5432,h2:5432/database"
        ) from None
    if how.pgbouncer:
        event.listen(engine, "begin", _limit_transaction)
    if how.password_file is not None:
        file = how.password_file

        def add_password(
            _dialect: object, _record: object, _args: object, parameters: dict[str, Any]
        ) -> None:
            try:
                parameters["password"] = read_secret_file(file)
            except ValueError:
                raise psycopg.OperationalError(_NO_PASSWORD) from None

        event.listen(engine, "do_connect", add_password)
    return engine


def _pool(how: Connecting) -> dict[str, int]:
    kept = min(KEPT_CONNECTIONS, how.max_connections)
    return {"pool_size": kept, "max_overflow": how.max_connections - kept}


def _shortened(name: str) -> str:
    """Return an application name that PostgreSQL does not cut: its end tells processes apart."""
    half = _MAX_APPLICATION_NAME // 2
    return name if len(name) <= _MAX_APPLICATION_NAME else f"{name[:half]}~{name[-half:]}"


def _limit_transaction(connection: Connection) -> None:
    connection.exec_driver_sql(_POSTGRESQL_TRANSACTION)


def _sqlite_engine(url: URL, path: Path, how: Connecting) -> Engine:
    make_private(path)
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        connect_args={"check_same_thread": False},  # the pool hands a connection to one thread at a time
        **_pool(how),
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: SqliteConnection, _record: object) -> None:
    connection.isolation_level = None
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(pragma)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def make_private(path: Path) -> None:
    """Make sure that a file exists and that only its owner may open it: 0600, in a folder made 0700.

    SQLite gives the files beside a database the same permissions. Not to be called while this process has the
    database open: closing any descriptor of a file drops all POSIX locks that the process holds on it.

    Raises:
        StoreStartError: it cannot be created or opened.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreStartError(f"cannot open the database file {path}: {error.strerror}") from error
