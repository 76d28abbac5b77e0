"""Puts a backup of a SQLite database in the place of the one there is, whole or not at all."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from sqlalchemy import URL

from service.store import engines
from service.store.failures import StoreStartError
from service.store.ground import DatabaseLock
from service.store.migrating import migrate


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: the revision the registry goes on from, and where the previous database is kept."""

    revision: int
    kept: Path | None


def restore(url: str, backup: Path, *, now: datetime) -> Restored:
    """Make ``backup``, with the write-ahead log beside it if there is one, the registry's database.

    The copy is checked, brought to this program's schema and given a new store id, so that every router takes
    its table anew; only then the two files trade places. The previous database and its log are kept, renamed.

    Raises:
        StoreStartError: the registry runs, the database is not SQLite's, or the backup cannot be used. The
            database there is stays as it was.
    """
    database = engines.sqlite_path(engines.parse_url(url))
    if database is None:
        raise StoreStartError(
            "restore works on SQLite only: restore PostgreSQL with its own tools (pg_restore, a base backup)"
        )
    if not backup.is_file():
        raise StoreStartError(f"backup file {backup} not found")
    fresh = database.with_name(database.name + ".restoring")
    with ExitStack() as stack:
        if database.exists():
            stack.callback(DatabaseLock(database).release)
        _remove(fresh)
        stack.callback(_remove, fresh)
        try:
            engines.make_private(fresh)
            shutil.copyfile(backup, fresh)
            if _log(backup).exists():
                shutil.copyfile(_log(backup), _log(fresh))
        except OSError as error:
            raise StoreStartError(f"cannot copy {backup} to {fresh}: {error.strerror}") from error
        revision = _made_ready(fresh)
        kept = _put_aside(database, now)
        os.rename(fresh, database)
        _sync(database.parent)
    return Restored(revision, kept)


def _made_ready(fresh: Path) -> int:
    """Check and upgrade the copy, give it a store id of its own, and have all of it in one synced file."""
    try:
        with closing(sqlite3.connect(fresh)) as connection:
            sound = engines.pages_fit(connection)
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    except sqlite3.Error:
        sound, tables = False, set()
    if not sound:
        raise StoreStartError("the backup is damaged, or not a SQLite database: try an older one")
    if "revision_counter" not in tables:
        raise StoreStartError("the backup holds no registry: name the copy of a registry.db")
    migrate(URL.create("sqlite", database=str(fresh)).render_as_string())
    with closing(engines.connect_sqlite(fresh)) as connection, connection:
        [(revision,)] = connection.execute("SELECT revision FROM revision_counter").fetchall()
        connection.execute("UPDATE revision_counter SET store_id = ?", (str(uuid4()),))
    _sync(fresh)
    return int(revision)


def _put_aside(database: Path, now: datetime) -> Path | None:
    """Rename the previous database and its log: left there, the log would be read into the next database."""
    kept = database.with_name(f"{database.name}.replaced-{now:%Y%m%dT%H%M%SZ}")
    found = database.exists()
    if found:
        os.rename(database, kept)
    with suppress(FileNotFoundError):
        os.rename(_log(database), _log(kept))
    with suppress(FileNotFoundError):
        os.unlink(database.with_name(database.name + "-shm"))
    return kept if found else None


def _log(database: Path) -> Path:
    return database.with_name(database.name + "-wal")


def _remove(fresh: Path) -> None:
    for path in (fresh, _log(fresh), fresh.with_name(fresh.name + "-shm")):
        with suppress(FileNotFoundError):
            os.unlink(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
