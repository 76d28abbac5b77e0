"""The live read model: one task follows the store and swaps in each new snapshot by one assignment.

Local commits are pushed to it with their changes; a poll picks up the commits of other processes.
Readers never wait for it and never see half a revision. Beside the snapshot it keeps what each revision
changed, for those who have an older one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import partial
from typing import Protocol, TypeVar
from uuid import UUID

from structlog.typing import FilteringBoundLogger

from runtime.logs import bug_fields
from service.domain.errors import Reason, RegistryError, Unavailable
from service.domain.history import RevisionToken
from service.domain.routing import ChangeSet, Entry
from service.readmodel.ring import History, Ring
from service.readmodel.snapshot import (
    Codec,
    EncodedSet,
    Snapshot,
    SnapshotReason,
    advance,
    build,
    encoded_sets,
)
from service.telemetry import HISTORY_CHANGED, SNAPSHOT_FAILED

T = TypeVar("T")

POLL_SECONDS = 0.5
REACH_SECONDS = 1.0
MAX_PROVEN = 1_000
"""Of how many writes it is remembered that the table has them, until their writers ask."""


class Break(Enum):
    """Why a table cannot be brought up to date by changes, and is loaded anew."""

    HISTORY = "the store is another one, or no longer has a commit that this process has seen"
    UNREADABLE = "a change is not what was logged"
    TOO_FAR = "the changes are no longer all there, or more than a ring takes"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The whole table at one moment, and the id of the commit there."""

    at: RevisionToken
    commit_id: UUID
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Newer:
    """The change sets that lead to ``revision``, whose commit is ``commit_id``."""

    revision: int
    commit_id: UUID
    change_sets: Sequence[ChangeSet]


@dataclass(frozen=True, slots=True)
class Source:
    """How the table is read; handed in, since this room knows no SQL. All are called off the event loop.

    ``changes`` gives what follows a place whose commit has the given id. ``between`` gives the change sets
    after the first place up to the second, both of which must be of the store's history: None for the first
    means that only it is not. ``follows`` says whether both are of it, None where the first is too long ago
    to know.
    """

    load: Callable[[], Loaded]
    changes: Callable[[RevisionToken, UUID], Newer | Break]
    between: Callable[[RevisionToken, RevisionToken], Sequence[ChangeSet] | Break | None]
    follows: Callable[[RevisionToken, RevisionToken], bool | None]


class Run(Protocol):
    """Runs synchronous work off the event loop."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class _Step:
    """What following the store once has found; ``sets`` is why the table was loaded anew, where it was."""

    snapshot: Snapshot
    sets: Sequence[EncodedSet] | Break


@dataclass(slots=True, eq=False)
class _Waiter:
    """Who waits for a revision, or until a look at the store has shown that it is not there.

    ``look`` is the number of the first look that can show it; None for those who have committed the revision.
    """

    revision: int
    look: int | None
    done: asyncio.Future[None]


def load(source: Source, codec: Codec) -> Snapshot:
    """Read the whole table: off the event loop, as it takes seconds if it is large."""
    loaded = source.load()
    return build(codec, loaded.at, loaded.commit_id, loaded.entries)


def ignore_advance() -> None:
    """Do nothing: for a table without watchers."""


def ignore_break(_had: RevisionToken, _has: RevisionToken, /) -> None:
    """Do nothing: for a table whose breaks nobody counts."""


class LiveTable:
    """Holds the newest snapshot. Create it inside the event loop that will run ``follow``.

    ``ring`` has the change sets that lead to ``current``; it is another one after the table was loaded anew.
    ``on_advance`` is called in the event loop whenever there are new change sets or another ring, and
    ``on_break`` with the table before and after when the store has lost the history of the first.
    """

    def __init__(
        self,
        source: Source,
        codec: Codec,
        run: Run,
        log: FilteringBoundLogger,
        *,
        loaded: Snapshot | None = None,
    ) -> None:
        """Begin with the snapshot that was ``loaded``; without one, load it now."""
        self.on_advance = ignore_advance
        self.on_break: Callable[[RevisionToken, RevisionToken], None] = ignore_break
        self._log = log
        self._source = source
        self._codec = codec
        self._run = run
        self._loop = asyncio.get_running_loop()
        self._nudged = asyncio.Event()
        self._pending: dict[int, ChangeSet] = {}
        self._waiting: list[_Waiter] = []
        self._looks = self._looked = 0
        self._extending = asyncio.Lock()
        self._told: list[ChangeSet] = []
        self._proven: dict[UUID, History] = {}
        self.current = load(source, codec) if loaded is None else loaded
        self._compared = self._loop.time()
        self.ring = Ring(self.current.at)

    @property
    def age(self) -> timedelta:
        """How long ago the table was last compared with the store."""
        return timedelta(seconds=round(self._loop.time() - self._compared, 3))

    def committed(self, change_set: ChangeSet) -> None:
        """Queue what a revision of this store changed. Safe from any thread, also when the loop has ended."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, change_set)

    def look(self) -> None:
        """Look at the store now, and not only at the next poll."""
        self._nudged.set()

    async def reached(self, revision: int, commit_id: UUID | None = None) -> str | None:
        """Return once a snapshot of ``revision`` or newer is served, so that a writer can read its write.

        Gives up after a second: the write is done either way, and its answer says at which revision. Returns
        the revision's token, where this table has come to know it. ``commit_id`` is that of a write of this
        process: its token is returned only if the table is known to have that very commit, once.
        """
        if self._in_doubt() or self.current.revision < revision:
            await self._wait(_Waiter(revision, None, self._loop.create_future()), REACH_SECONDS)
        ring, known = self.ring, not self._in_doubt()
        if commit_id is not None:
            known = self._proven.pop(commit_id, None) is ring.history or self._has(commit_id)
        return str(ring.token(revision)) if known and ring.floor <= revision <= ring.head else None

    async def place(self, token: RevisionToken, seconds: float | None = None) -> int | SnapshotReason:
        """Return the position in ``ring`` that brings a table at ``token`` up to date, or why there is none.

        What this process has not seen itself is read from the store once, for all that come after. A revision
        is ahead only if the store does not have it. While this replica merely lags, nobody is sent back by
        it: a router's report of a newer table would go on counting.

        Raises:
            Unavailable: STORE_UNAVAILABLE; REVISION_NOT_REACHED, another replica has that revision, and this
                one has not come to it within so many ``seconds``, by default one.
        """
        if token.store_id == self.current.store_id and token.revision > self.current.revision:
            waiter = _Waiter(token.revision, self._looks + 1, self._loop.create_future())
            await self._wait_or_refuse(waiter, REACH_SECONDS if seconds is None else seconds)
        ring = self.ring
        if token.store_id != self.current.store_id:
            return SnapshotReason.STORE_CHANGED
        if token.revision > ring.head:
            return SnapshotReason.REVISION_AHEAD
        missing = None
        if token.revision < ring.floor:
            async with self._extending:
                if ring.out_of_reach < token.revision < ring.floor:
                    missing = await self._extend(ring, token)
            if token.revision <= ring.out_of_reach and missing is None:
                missing = await self._too_old(token)
        if ring is not self.ring:
            return await self.place(token, seconds)  # the table was loaded anew meanwhile
        if missing is not None:
            return missing
        if ring.content_id(token.revision) != token.content_id:
            return SnapshotReason.STORE_CHANGED
        return ring.after(token.revision)

    async def at_least(self, revision: int, seconds: float) -> None:
        """Return once this table has a revision, whoever has committed it.

        Raises:
            Unavailable: REVISION_NOT_REACHED, it has not within so many seconds.
        """
        if self.current.revision < revision:
            await self._wait_or_refuse(_Waiter(revision, None, self._loop.create_future()), seconds)

    async def catch_up(self) -> None:
        """Bring the snapshot up to date now, before `follow` does.

        Raises:
            Unavailable: the store is away.
        """
        step = await self._run(self._newer)
        if step.snapshot is not self.current:
            self._take(step)

    async def follow(self) -> None:
        """Keep the snapshot current until cancelled. A store that is away is asked again at the next poll."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._nudged.wait()
            self._nudged.clear()
            asked = self._loop.time()
            told, pending = len(self._told), [] if self._in_doubt() else self._next_pending()
            self._looks += not pending
            look = self._looks
            try:
                step = await self._run(partial(self._after, pending) if pending else self._newer)
            except RegistryError as error:
                self._log.warning(SNAPSHOT_FAILED, **error.log_fields)
                continue
            except Exception as error:
                # The top of a background task: were it to end here, routers would get this revision for ever.
                self._log.error(SNAPSHOT_FAILED, **bug_fields(error))
                continue
            self._compared = asked
            if step.snapshot is not self.current:
                self._take(step)
            self._settle(told, {one.commit_id for one in pending})
            if not pending:
                self._looked = look
            self._let_go()

    def _take(self, step: _Step) -> None:
        """Put a step to use. Nothing here awaits, so no reader sees a snapshot without its change sets."""
        before, self.current = self.current, step.snapshot
        if isinstance(step.sets, Break):
            history: History | None = self.ring.history
            if step.sets is Break.HISTORY:
                self.ring.history.broken, history = True, None
                self._log.warning(
                    HISTORY_CHANGED, had=before.token, has=step.snapshot.token, revision=before.revision
                )
                self.on_break(before.at, step.snapshot.at)
            self.ring = Ring(step.snapshot.at, history=history)
            self._pending.clear()  # they may belong to the time before a restore
        else:
            for one in step.sets:
                self.ring.append(one.at.revision, one.at.content_id, one.message)
            self.ring.head = step.snapshot.revision
        if step.sets:
            self.on_advance()

    async def _wait(
        self, waiter: _Waiter, seconds: float, begin: Callable[[], None] = ignore_advance
    ) -> bool:
        """Wait for so long, having called ``begin``, and return whether what is waited for has come."""
        self._waiting.append(waiter)
        begin()
        try:
            async with asyncio.timeout(seconds):
                await waiter.done
        except TimeoutError:
            return False
        finally:
            self._waiting.remove(waiter)
        return True

    async def _wait_or_refuse(self, waiter: _Waiter, seconds: float) -> None:
        if not await self._wait(waiter, seconds, self.look):
            raise Unavailable(
                f"this replica is at revision {self.current.revision}, and {waiter.revision} is asked for: "
                "retry, here or at another replica",
                reason=Reason.REVISION_NOT_REACHED,
                metadata={
                    "current_revision": str(self.current.revision),
                    "min_revision": str(waiter.revision),
                },
            )

    def _let_go(self) -> None:
        """Wake who has what he waits for. The others go on, and whoever needs a look is given one."""
        for waiter in self._waiting:
            if waiter.done.done():
                continue
            is_here = waiter.revision <= self.current.revision and not self._in_doubt()
            if is_here or (waiter.look is not None and waiter.look <= self._looked):
                waiter.done.set_result(None)
            elif waiter.look is not None:
                self._nudged.set()

    def _note(self, change_set: ChangeSet) -> None:
        self._pending[change_set.revision] = change_set
        self._told.append(change_set)
        self._nudged.set()

    def _in_doubt(self) -> bool:
        """Whether this table may have a revision otherwise than this process has committed it.

        Until the store was asked, the writer must not be told that the table shows it.
        """
        return not all(self._shows(one) for one in self._told)

    def _has(self, commit_id: UUID) -> bool:
        """Whether a commit that was told and not judged yet is seen to be in this table's history."""
        revision = self.current.revision
        found = (one for one in self._told if one.commit_id == commit_id and one.revision <= revision)
        return any(map(self._shows, found))

    def _settle(self, told: int, taken: Collection[UUID]) -> None:
        """Judge the first ``told`` commits, which were there before the store was asked.

        Those that were ``taken`` in are proven to be in the table, or that it shows. One that the table has
        otherwise was lost, and of one that changed nothing for routers nothing may be left to see: their
        writers must not get the token of another write.
        """
        revision = self.current.revision
        for one in self._told[:told]:
            if one.revision <= revision and (one.commit_id in taken or self._shows(one)):
                self._proven[one.commit_id] = self.ring.history
        while len(self._proven) > MAX_PROVEN:  # nobody asks for those of a caller that has gone
            del self._proven[next(iter(self._proven))]
        self._told[:told] = [one for one in self._told[:told] if one.revision > revision]

    def _shows(self, change_set: ChangeSet) -> bool | None:
        """Whether a commit is after this table, or in its history; None where that cannot be seen here."""
        revision, current = change_set.revision, self.current
        if revision > current.revision:
            return True
        if change_set.changes and revision >= self.ring.floor:
            return self.ring.content_id(revision) == change_set.commit_id
        return current.commit_id == change_set.commit_id if revision == current.revision else None

    def _next_pending(self) -> list[ChangeSet]:
        """Return the pushed revisions that follow the current one without a gap.

        Commits arrive in any order. What lies before the current revision was found in the store meanwhile.
        """
        revision, commit_id = self.current.revision, self.current.commit_id
        for known in [known for known in self._pending if known <= revision]:
            del self._pending[known]
        sets = []
        while (change_set := self._pending.pop(revision := revision + 1, None)) is not None:
            if change_set.parent_id != commit_id:
                self._pending.clear()  # of another history than this table: the next poll finds it
                return []
            commit_id = change_set.commit_id
            sets.append(change_set)
        return sets

    def _after(self, change_sets: Sequence[ChangeSet]) -> _Step:
        """Return the step that these revisions make, the last of which becomes the current one."""
        last = change_sets[-1]
        logged = [one for one in change_sets if one.changes]
        return self._step(self.current, Newer(last.revision, last.commit_id, logged))

    def _newer(self) -> _Step:
        current = self.current
        found = self._source.changes(current.at, current.commit_id)
        if isinstance(found, Break):
            return _Step(load(self._source, self._codec), found)
        if found.commit_id == current.commit_id and found.revision == current.revision:
            return _Step(current, [])
        return self._step(current, found)

    def _step(self, current: Snapshot, found: Newer) -> _Step:
        sets = encoded_sets(self._codec, current.store_id, found.change_sets)
        content_id = sets[-1].at.content_id if sets else current.at.content_id
        at = RevisionToken(current.store_id, content_id, found.revision)
        changes = [change for one in sets for change in one.changes]
        return _Step(advance(self._codec, current, changes, at, found.commit_id), sets)

    async def _extend(self, ring: Ring, token: RevisionToken) -> SnapshotReason | None:
        """Bring the ring's floor down to ``token``, or say why that cannot be."""
        floor = ring.token(ring.floor)

        def older() -> list[tuple[int, UUID, bytes]] | Break | None:
            found = self._source.between(token, floor)
            if found is None or isinstance(found, Break):
                return found
            sets = encoded_sets(self._codec, floor.store_id, found)
            return [(one.at.revision, one.at.content_id, one.message) for one in sets]

        messages = await self._run(older)
        if messages is None:
            return SnapshotReason.STORE_CHANGED
        if messages is Break.HISTORY:
            self.look()  # this table is of the past itself
            return SnapshotReason.STORE_CHANGED
        # Where newer messages have pushed out the oldest since, the two do not meet.
        if isinstance(messages, Break) or ring.floor != floor.revision:
            return SnapshotReason.COMPACTED
        extended = ring.extend_back(token.revision, token.content_id, messages)
        return None if extended else SnapshotReason.COMPACTED

    async def _too_old(self, token: RevisionToken) -> SnapshotReason:
        """Say why a table from before the ring's reach cannot be resumed from.

        A router drops its credentials only if the history is another one, so that must not be left open.
        """
        follows = await self._run(partial(self._source.follows, token, self.current.at))
        return SnapshotReason.STORE_CHANGED if follows is False else SnapshotReason.COMPACTED
