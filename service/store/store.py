"""The store: units of work on SQLite or PostgreSQL, each one transaction, run again where that is safe.

The counter row, taken first by every write unit, makes writes serial; so a unit reads, checks and writes as
if it were alone, and must be short: sealing and the KMS stay outside.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import UTC, datetime
from enum import Enum
from sqlite3 import Error as SqliteError
from typing import TypeVar
from uuid import UUID, uuid4

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from service.domain.calls import OWN, Call
from service.domain.routers import Flush, Shared
from service.domain.routing import ChangeSet
from service.store import engines, migrating
from service.store.columns import CheckBroken, Unreadable
from service.store.failures import (
    CommitInDoubt,
    Failure,
    StoreStartError,
    commit_in_doubt,
    database_lost,
    trouble_of,
    unavailable,
    unreadable,
)
from service.store.ground import DatabaseLock, Ground, Loss
from service.store.notices import Notices
from service.store.rows import RegistryInfoRow, RevisionCounterRow
from service.store.units.log import KEPT_BYTES
from service.store.units.rewraps import RewrapUnit
from service.store.units.routers import flush_routers, read_shared
from service.store.units.unit import Outcome, ReadUnit, WriteUnit
from service.store.units.writing import Savepoints
from service.store.unsound import NOTHING_UNSOUND, Unsound, faults_of, find, find_presence

T = TypeVar("T")

MAX_TRIES = 5
_FIRST_PAUSE_SECONDS = 0.01
_SHREDDING_WAIT_MILLISECONDS = 200
_LOG_SLACK = 8
"""A log is at most this part longer than its limit, times the number of replicas."""
_SINGLE_ROWS = (RevisionCounterRow, RegistryInfoRow)
_READ_PROBE = text("SELECT revision FROM revision_counter")
_WRITE_PROBE = text("UPDATE revision_counter SET revision = revision WHERE id <> id")
"""Touches no row and waits for none, and is refused by a standby and where the right is missing."""


class Storage(Enum):
    """A kind of database."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


def ignore_commit(_change_set: ChangeSet) -> None:
    """Do nothing: for a store without watchers."""


def ignore_corrupt(_found: Mapping[str, Sequence[str]]) -> None:
    """Do nothing: for a store that nobody operates."""


def ignore_loss(_loss: Loss) -> None:
    """Do nothing: for a store whose process ends soon anyway."""


def ignore_growth() -> None:
    """Do nothing: for a store that is not open for long."""


class Store:
    """Runs units of work. Safe to use from several threads; a unit belongs to the thread that runs it.

    ``on_commit`` is called after each commit that used a revision, in the thread that committed, with what
    that revision changed for routers, which may be nothing. It must not raise: the write has taken place.

    ``on_corrupt`` is called, in the thread that found them, with the resources that cannot be read and were
    not known before: the columns at fault by the resource's name.

    ``on_loss`` is called once, in the thread that found it, when the files of a SQLite database were taken
    away. From then on nothing is read or written: the process should end, and start again on what is there.

    ``log_limit`` is how many bytes of change sets are kept at most. ``on_log_grown`` is called, in the thread
    that committed, each time this process has added an eighth of that: then `compact` is due.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], datetime],
        on_commit: Callable[[ChangeSet], None] = ignore_commit,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[float, float], float] = random.uniform,
        new_commit_id: Callable[[], UUID] = uuid4,
        ground: Ground | None = None,
        log_limit: int = KEPT_BYTES,
        close: Callable[[], object],
    ) -> None:
        self.on_commit = on_commit
        self.on_corrupt: Callable[[Mapping[str, Sequence[str]]], None] = ignore_corrupt
        self.on_loss: Callable[[Loss], None] = ignore_loss
        self.on_log_grown: Callable[[], None] = ignore_growth
        self._log_limit = log_limit
        self._log_growth = 0
        self._unsound = NOTHING_UNSOUND
        self._looking = threading.Lock()
        self._ground = ground
        self._engine = engine
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._new_commit_id = new_commit_id
        self._close = close
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._read_options = engines.READ_SQLITE if self._is_sqlite else engines.READ_POSTGRESQL
        # SQLite's busy handler sleeps in growing steps: threads of this process queue here instead.
        self._writers: AbstractContextManager[object] = threading.Lock() if self._is_sqlite else nullcontext()
        self._shredding_due = False
        self._shred_at_look = True

    @property
    def storage(self) -> Storage:
        """The kind of database that the store is in."""
        return Storage(self._engine.dialect.name)

    def notices(self) -> Notices | None:
        """Return what replicas tell each other by; None on SQLite, which has no replicas."""
        return None if self._is_sqlite else Notices(self._engine)

    @property
    def unreadable_rows(self) -> Mapping[str, Sequence[str]]:
        """The columns at fault of rows without a resource, by table, as of the last time all were read."""
        return self._unsound.tables()

    def write(self, work: Callable[[WriteUnit], T], call: Call = OWN) -> T:
        """Run ``work`` in one transaction, and commit what it changed under one new revision.

        ``work`` may run several times. It must not call the store, and whatever it raises rolls back. In a
        dry run, ``call.validate_only``, all of it happens and then is rolled back. A unit that changes
        nothing takes no revision; one that changes only the KMS record or kept requests commits without one.

        Raises:
            Unavailable: STORE_BUSY, others were in the way; STORE_UNAVAILABLE. Nothing was written, unless
                the message says that it is not known.
        """
        result, change_set = self._committing(lambda: self._write_once(work, call))
        if change_set is not None:
            self.on_commit(change_set)
        return result

    def read(self, work: Callable[[ReadUnit], T]) -> T:
        """Run ``work`` in one transaction that sees one revision throughout, however long it takes.

        Raises:
            Unavailable: STORE_UNAVAILABLE.
        """
        return self._retrying(lambda: self._read_once(work))

    def rewrap(self, work: Callable[[RewrapUnit], T]) -> T:
        """Run ``work`` in one short transaction that does not take the counter row: creates go on beside it.

        ``work`` may run several times, must not call the store, and whatever it raises rolls back.

        Raises:
            Unavailable: as `write`.
        """
        return self._committing(lambda: self._rewrap_once(work))

    def flush_routers(self, flush: Flush) -> bool:
        """Write what this process has heard of routers, in one short transaction.

        Returns whether its own row was as it left it; if not, nothing was written.

        Raises:
            Unavailable: as `write`.
        """

        def once() -> bool:
            with self._writers, Session(self._engine, autoflush=False) as session:
                connection = session.connection(execution_options=engines.WRITE)
                if not flush_routers(connection, flush, shared=not self._is_sqlite):
                    session.rollback()
                    return False
                self._commit(session)
                return True

        return self._committing(once)

    def shared_routers(self, seen: Mapping[str, int]) -> Shared:
        """Return all replicas, and the routers of which flushes wrote that are not ``seen``, by replica.

        Raises:
            Unavailable: STORE_UNAVAILABLE.
        """

        def once() -> Shared:
            with self._engine.connect().execution_options(**self._read_options) as connection:
                return read_shared(connection, seen)

        return self._retrying(once)

    def compact(self) -> int:
        """Forget old change sets: 24 hours and 10,000 revisions stay if they fit into ``log_limit``.

        To be called hourly, and when `on_log_grown` is. Returns the head's ``compact_revision``.
        """
        self._log_growth = 0
        # Outside the writes, which wait for each other: it reads the whole log.
        until = self.read(lambda unit: max(unit.log.outdated(), unit.log.overlong(self._log_limit)))
        while True:
            compaction = self.write(lambda unit: unit.log.compact(until))
            if compaction.is_done:
                return compaction.compact_revision

    def check_rows(self) -> Unsound:
        """Read every row, and return the resources that cannot be read. Routers are told to drop these.

        What cannot be read of routers is deleted: both they and replicas report again.

        Raises:
            Unavailable: STORE_UNAVAILABLE; a row that the registry cannot do without cannot be read either.
        """
        self._committing(lambda: (self._learn(), self._drop_presence()))
        if self._unsound:
            self.write(lambda unit: unit.withdraw())
        return self._unsound

    def look(self) -> None:
        """Find out whether the database's files are still there and ours; to be called every second.

        Also destroys what is left of old credentials and wrapped keys in SQLite's log, if a reader was in the
        way before, a sweep has moved some, or the process before this one ended too early.

        Raises:
            Unavailable: STORE_UNAVAILABLE, they are not.
        """
        if self._ground is None:
            return
        with self._writers:
            self._check_ground(self._ground)
            if self._shredding_due or self._shred_at_look:
                self._shred_at_look = False
                self._shredding_due = not self._ground.checkpoint(wait_milliseconds=0)

    def probe(self) -> None:
        """Find out whether the database can be read and, where several processes write it, written.

        Raises:
            Unavailable: STORE_BUSY, STORE_UNAVAILABLE.
        """

        def once() -> None:
            with self._engine.connect() as connection:
                connection.execute(_READ_PROBE if self._is_sqlite else _WRITE_PROBE)

        self._retrying(once)

    def close(self) -> None:
        """Close all connections and let another process have the database file."""
        self._checkpoint()
        self._close()

    def _write_once(self, work: Callable[[WriteUnit], T], call: Call) -> tuple[T, ChangeSet | None]:
        """Run a unit without savepoints, which would cost each write two trips under the counter row.

        A violated constraint ends that transaction. Another one, with savepoints, asks who is in the way.
        """
        try:
            return self._write_in_one(work, call, Savepoints.NONE)
        except IntegrityError:
            return self._write_in_one(work, call, Savepoints.EACH)

    def _write_in_one(
        self, work: Callable[[WriteUnit], T], call: Call, savepoints: Savepoints
    ) -> tuple[T, ChangeSet | None]:
        with self._writers, Session(self._engine, autoflush=False) as session:
            session.connection(execution_options=engines.WRITE)
            unsound = self._unsound_now(session)
            unit = WriteUnit(session, self._now, call, self._new_commit_id(), unsound, savepoints)
            result = work(unit)
            outcome = unit.finish()
            if call.validate_only or outcome is Outcome.NOTHING:
                session.rollback()
                return result, None
            self._commit(session)
            self._shredding_due |= unit.shredded
            self._note_growth(unit.log.appended_bytes)
            return result, unit.change_set

    def _read_once(self, work: Callable[[ReadUnit], T]) -> T:
        with Session(self._engine, autoflush=False) as session:
            session.connection(execution_options=self._read_options)
            return work(ReadUnit(session, self._now(), self._unsound_now(session)))

    def _rewrap_once(self, work: Callable[[RewrapUnit], T]) -> T:
        with self._writers, Session(self._engine, autoflush=False) as session:
            connection = session.connection(execution_options=engines.WRITE)
            unit = RewrapUnit(connection, self._now())
            result = work(unit)
            self._commit(session)
            self._shred_at_look |= unit.shredded
            return result

    def _unsound_now(self, session: Session) -> Unsound:
        """Return which of the unsound resources still are: one may have been deleted, or mended by hand."""
        known = self._unsound
        if not known:
            return known
        found = find(session, known)
        if found != known:
            self._unsound = found
        return found

    def _learn(self, known: Unsound | None = None) -> bool:
        """Read every resource anew, and return whether other ones are unsound than were ``known`` to be."""
        with self._looking:
            if known is not None and self._unsound is not known:
                return True
            with Session(self._engine, autoflush=False) as session:
                connection = session.connection(execution_options=self._read_options)
                with engines.in_passing(connection):
                    found = find(session)
            before, after = self._unsound.findings(), found.findings()
            new = {name: columns for name, columns in after.items() if before.get(name) != columns}
            self._unsound = found
        if new:
            self.on_corrupt(new)
        return bool(new)

    def _cannot_go_on(self, error: Unreadable) -> Exception:
        """Return what is raised where no row is found that a unit can leave out."""
        columns: Sequence[str] = error.columns
        if not columns:
            with Session(self._engine) as session:
                columns = _single_row_faults(session)
        if isinstance(error, CheckBroken) and not columns:
            return CheckBroken(error.constraint)  # without the database's error, which shows the whole row
        return unreadable(columns)

    def _found_more(self, known: Unsound) -> bool:
        """Look for rows that cannot be read, and return whether it is worth trying again."""
        return self._learn(known) or self._drop_presence()

    def _drop_presence(self) -> bool:
        """Delete what cannot be read of routers, which report it again. Return whether anything was."""
        with Session(self._engine, autoflush=False) as session:
            session.connection(execution_options=self._read_options)
            if not find_presence(session, drop=False):
                return False
        with self._writers, Session(self._engine, autoflush=False) as session:
            session.connection(execution_options=engines.WRITE)
            dropped = find_presence(session, drop=True)
            self._commit(session)
        self.on_corrupt({f"table {name}": columns for name, columns in dropped.items()})
        return True

    def _now(self) -> datetime:
        return self._clock().astimezone(UTC)

    def _commit(self, session: Session) -> None:
        """Commit, and be sure that it went where it can be found again."""
        try:
            session.commit()
        except DBAPIError as error:
            trouble = trouble_of(error)
            if trouble is not None and trouble.failure is Failure.LOST:
                raise CommitInDoubt from error
            raise
        if self._ground is not None:
            self._check_ground(self._ground)

    def _note_growth(self, appended: int) -> None:
        # Not exact where threads commit at once, which only puts the next compaction off.
        self._log_growth += appended
        if self._log_growth > self._log_limit // _LOG_SLACK:
            self._log_growth = 0
            self.on_log_grown()

    def _check_ground(self, ground: Ground) -> None:
        known = ground.loss
        loss = ground.look()
        if loss is not None:
            if known is None:
                self.on_loss(loss)
            raise database_lost(loss.what)

    def _committing(self, once: Callable[[], T]) -> T:
        """Run a unit of work that commits, and keep SQLite's log short: nothing else does."""
        result = self._retrying(once)
        self._checkpoint()
        return result

    def _retrying(self, once: Callable[[], T]) -> T:
        """Run a unit of work as a whole, again after a conflict and once after a lost connection.

        Never again after a connection lost in COMMIT: it may have taken place, and running it twice would,
        for one, refuse a name as taken by the very request that took it.
        """
        if self._ground is not None and self._ground.loss is not None:
            raise database_lost(self._ground.loss.what)
        lost = False
        for attempt in range(1, MAX_TRIES + 1):
            try:
                unsound = self._unsound
                try:
                    return once()
                except Unreadable as error:
                    if attempt == MAX_TRIES or not self._found_more(unsound):
                        raise self._cannot_go_on(error) from None
                    continue
            except CommitInDoubt as error:
                raise commit_in_doubt() from error
            except (DBAPIError, PoolTimeout) as error:
                trouble = trouble_of(error)
                if trouble is None:
                    raise
                is_lost = trouble.failure is Failure.LOST
                again = trouble.failure is Failure.CONFLICT or (is_lost and not lost)
                if attempt == MAX_TRIES or not again:
                    raise unavailable(trouble) from error
                lost = is_lost
            self._sleep(self._jitter(0, _FIRST_PAUSE_SECONDS * 2**attempt))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _checkpoint(self) -> None:
        """Move SQLite's log into the database where that is due. Outside any transaction.

        It is due when the log has grown long, and after a credential was destroyed: old pages of the log hold
        what was deleted. It never blocks: while a read is open, it waits for the next commit.
        """
        ground = self._ground
        if ground is None or ground.loss is not None:
            return
        if self._shredding_due:
            with self._writers:
                self._shredding_due = not ground.checkpoint(wait_milliseconds=_SHREDDING_WAIT_MILLISECONDS)
        elif ground.log_is_long:
            with self._writers:
                ground.checkpoint(wait_milliseconds=0)


def open_store(
    url: str,
    *,
    clock: Callable[[], datetime],
    on_commit: Callable[[ChangeSet], None] = ignore_commit,
    how: engines.Connecting = engines.AS_USUAL,
    log_limit: int = KEPT_BYTES,
) -> Store:
    """Return the store at a SQLAlchemy URL, which has been migrated; ``clock`` gives aware times.

    Raises:
        StoreStartError: another instance runs on the database file, the database cannot be used, or its
            schema is not the one this program knows.
    """
    parsed = engines.parse_url(url)
    path = engines.sqlite_path(parsed)
    with ExitStack() as stack:
        if path is not None:
            if not path.exists():
                raise StoreStartError(migrating.EMPTY)
            stack.callback(DatabaseLock(path).release)
        engine = engines.create(parsed, how)
        stack.callback(engine.dispose)
        ground = None
        try:
            with engine.connect() as connection:
                if path is not None:
                    engines.check_pages(connection, path)
                migrating.check_current(connection)
            with Session(engine) as session:
                _check_single_rows(session)
            if path is not None:
                ground = Ground(path, clock)
                stack.callback(ground.close)
        except (DBAPIError, SqliteError) as error:
            raise engines.unusable(parsed, error) from error
        return Store(
            engine,
            clock=clock,
            on_commit=on_commit,
            ground=ground,
            log_limit=log_limit,
            close=stack.pop_all().close,
        )


def _single_row_faults(session: Session) -> list[str]:
    """Return the columns at fault of the rows that the registry cannot do without."""
    return [fault for row in _SINGLE_ROWS for fault in faults_of(session, row)]


def _check_single_rows(session: Session) -> None:
    """Refuse a database without a row that nothing works without.

    Raises:
        StoreStartError: it is gone, or cannot be read.
    """
    faults = _single_row_faults(session)
    if faults:
        raise StoreStartError(
            f"the database holds what the registry cannot read and cannot do without: {', '.join(faults)}. "
            "Restore a backup with python -m service restore FILE, or mend it: docs/runbooks/corrupt-rows.md"
        )
