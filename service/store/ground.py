"""The files a SQLite store stands on: one process per database, and no commit after they were taken away.

SQLite goes on writing into files that were deleted, and never notices one that was copied over. So the store
looks after each COMMIT, before the caller hears of it, and once a second: the database and its log are still
the files that were opened, and nothing but our own checkpoints has written the database. For the last point
SQLite's own checkpoints are off (``wal_autocheckpoint``): only `Ground.checkpoint` moves the log.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from service.store.engines import connect_sqlite, make_private, truncate_log
from service.store.failures import StoreStartError

CHECKPOINT_BYTES = 4 << 20
"""How large the write-ahead log may grow before it is moved into the database, readers permitting."""


class DatabaseLock:
    """An exclusive lock on the database file itself, so that no other name of it escapes.

    It is a ``flock``, which SQLite's own POSIX locks do not meet. Release it after the last connection is
    closed: closing any descriptor of a file drops all POSIX locks that the process holds on it. The kernel
    drops this one when the process ends, however it ends.

    Raises:
        StoreStartError: another process holds it, or the file cannot be opened.
    """

    def __init__(self, database: Path) -> None:
        make_private(database)
        self._descriptor = os.open(database, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            raise StoreStartError(f"another instance is running on {database}: stop it first") from error

    def release(self) -> None:
        """Let another process have the database. Calling it twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True, slots=True)
class Loss:
    """What happened to the files; ``kept`` is a copy of all that was committed, where one could be made."""

    what: str
    kept: Path | None


class Ground:
    """Watches the files of an open database. Used by one thread at a time: the store's writer lock is held.

    A connection of its own stays open, so that the log is not closed and made anew while the pool is empty,
    and so that what was committed can still be read when the files have lost their names.
    """

    def __init__(self, database: Path, now: Callable[[], datetime]) -> None:
        self._database = database
        self._log = database.with_name(database.name + "-wal")
        self._index = database.with_name(database.name + "-shm")
        self._now = now
        self._connection = connect_sqlite(database)
        self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # opens the log
        self._database_id, self._log_id = _identity(self._database), _identity(self._log)
        self._written = _written(self._database)
        self._log_bytes = os.stat(self._log).st_size
        self.loss: Loss | None = None

    def look(self) -> Loss | None:
        """Return what happened to the files, or None; found once, it stays."""
        if self.loss is None:
            try:
                database, log = os.stat(self._database), os.stat(self._log)
                intact = (
                    (database.st_dev, database.st_ino) == self._database_id
                    and (log.st_dev, log.st_ino) == self._log_id
                    and (database.st_size, database.st_mtime_ns) == self._written
                )
                self._log_bytes = log.st_size
            except OSError:
                intact = False
            if not intact:
                self.loss = self._save()
        return self.loss

    @property
    def log_is_long(self) -> bool:
        """Whether the log, as last looked at, is due to be moved into the database."""
        return self._log_bytes >= CHECKPOINT_BYTES

    def checkpoint(self, *, wait_milliseconds: int) -> bool:
        """Move the log into the database and empty it. False when readers were in the way for that long."""
        done = truncate_log(self._connection, wait_milliseconds)
        self._written = _written(self._database)
        if done:
            self._log_bytes = 0
        return done

    def close(self) -> None:
        """Close the connection; the last one that closes moves the log into the database."""
        self._connection.close()

    def _save(self) -> Loss:
        """Keep what was committed, and leave no log that the next start would read into another database."""
        stamp = self._now().strftime("%Y%m%dT%H%M%SZ")
        if _identity(self._database) != self._database_id:
            what, kept = "was deleted or replaced", self._rescued(stamp)
        elif _written(self._database) != self._written:
            what, kept = "was overwritten", None
        else:
            # Only the log lost its name: its content, still open here, goes where it belongs.
            what, kept = "lost its write-ahead log", None
            truncate_log(self._connection, wait_milliseconds=1000)
        with suppress(OSError):
            os.rename(self._log, self._log.with_name(f"{self._log.name}.aside-{stamp}"))
        with suppress(OSError):
            os.unlink(self._index)
        return Loss(what, kept)

    def _rescued(self, stamp: str) -> Path | None:
        """Return a copy of all that was committed, read from the files that have no name any more."""
        target = self._database.with_name(f"{self._database.name}.rescued-{stamp}")
        try:
            make_private(target)
            self._connection.execute("VACUUM INTO ?", (str(target),))
        except (sqlite3.Error, StoreStartError):
            return None
        return target


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _written(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
