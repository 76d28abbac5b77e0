"""The live read model: one task follows the store and swaps in each new snapshot by one assignment.

Local commits are pushed to it with their changes; a poll picks up the commits of other processes.
Readers never wait for it and never see half a revision. Beside the snapshot it keeps what each revision
changed, for those who have an older one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from structlog.typing import FilteringBoundLogger

from runtime.logs import bug_fields
from service.domain.errors import RegistryError
from service.domain.routing import ChangeSet, Entry
from service.readmodel.ring import Ring
from service.readmodel.snapshot import Codec, EncodedSet, Snapshot, advance, build, encoded_sets
from service.telemetry import SNAPSHOT_FAILED

T = TypeVar("T")

POLL_SECONDS = 0.5
REACH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Source:
    """How the table is read; handed in, since this room knows no SQL. Both are called off the event loop.

    ``load`` gives (revision, store_id, all entries) of one moment. ``changes`` gives (head revision, the
    change sets after the given revision), or None when they are no longer all there, or are more than a ring
    takes, and the table must be loaded anew.
    """

    load: Callable[[], tuple[int, str, list[Entry]]]
    changes: Callable[[int, str], tuple[int, list[ChangeSet]] | None]


class Run(Protocol):
    """Runs synchronous work off the event loop."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class _Step:
    """What following the store once has found; ``sets`` is None when the table was loaded anew."""

    snapshot: Snapshot
    sets: Sequence[EncodedSet] | None


def ignore_advance() -> None:
    """For a table that nobody watches."""


class LiveTable:
    """Holds the newest snapshot. Create it inside the event loop that will run ``follow``.

    ``ring`` has the change sets that lead to ``current``; it is another one after the table was loaded anew.
    ``on_advance`` is called in the event loop whenever there are new change sets or another ring.
    """

    def __init__(self, source: Source, codec: Codec, run: Run, log: FilteringBoundLogger) -> None:
        self.on_advance = ignore_advance
        self._log = log
        self._source = source
        self._codec = codec
        self._run = run
        self._loop = asyncio.get_running_loop()
        self._nudged = asyncio.Event()
        self._pending: dict[int, ChangeSet] = {}
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._extending = asyncio.Lock()
        self.current = self._load()
        self.ring = Ring(self.current.revision)

    def committed(self, change_set: ChangeSet) -> None:
        """Queue what a revision of this store changed. Safe from any thread, also when the loop has ended."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, change_set)

    def look(self) -> None:
        """Look at the store now, and not only at the next poll."""
        self._nudged.set()

    async def reached(self, revision: int) -> None:
        """Return once a snapshot of ``revision`` or newer is served, so that a writer can read its write.

        Gives up after a second: the write is done either way, and its answer says at which revision.
        """
        if self.current.revision >= revision:
            return
        waiter = (revision, self._loop.create_future())
        self._waiting.append(waiter)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REACH_SECONDS):
                    await waiter[1]
        finally:
            self._waiting.remove(waiter)

    async def after(self, revision: int) -> int | None:
        """The position in ``ring`` from which a table at ``revision`` of this store is brought up to date.

        What this process has not seen itself is read from the store once, for all that come after. None when
        not all changes after the revision are there any more, or when they are more than the ring takes.

        Raises:
            Unavailable: the store is away.
        """
        ring = self.ring
        if ring.out_of_reach < revision < ring.floor:
            async with self._extending:
                if ring.out_of_reach < revision < ring.floor and not await self._extend(ring, revision):
                    return None
        return ring.after(revision) if ring is self.ring and revision >= ring.floor else None

    async def follow(self) -> None:
        """Keep the snapshot current until cancelled. A store that is away is asked again at the next poll."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._nudged.wait()
            self._nudged.clear()
            told = self._next_pending()
            try:
                step = await self._run(partial(self._after, told) if told else self._newer)
            except RegistryError as error:
                self._log.warning(SNAPSHOT_FAILED, reason=error.reason.value)
                continue
            except Exception as error:
                # The top of a background task: were it to end here, routers would get this revision for ever.
                self._log.error(SNAPSHOT_FAILED, **bug_fields(error))
                continue
            if step.snapshot is not self.current:
                self._take(step)

    def _take(self, step: _Step) -> None:
        """Put a step to use. Nothing here waits, so nobody sees a snapshot without its change sets."""
        self.current = step.snapshot
        if step.sets is None:
            self.ring = Ring(step.snapshot.revision)
            self._pending.clear()  # they may belong to the time before a restore
        else:
            for one in step.sets:
                self.ring.append(one.revision, one.message)
            self.ring.head = step.snapshot.revision
        if step.sets != []:
            self.on_advance()
        for revision, reached in self._waiting:
            if revision <= self.current.revision and not reached.done():
                reached.set_result(None)

    def _note(self, change_set: ChangeSet) -> None:
        self._pending[change_set.revision] = change_set
        self._nudged.set()

    def _next_pending(self) -> list[ChangeSet]:
        """The revisions that follow the current one without a gap, as far as their commits were pushed here.

        Commits arrive in any order. What lies before the current revision was found in the store meanwhile.
        """
        revision = self.current.revision
        for known in [known for known in self._pending if known <= revision]:
            del self._pending[known]
        sets = []
        while (change_set := self._pending.pop(revision := revision + 1, None)) is not None:
            sets.append(change_set)
        return sets

    def _after(self, change_sets: Sequence[ChangeSet]) -> _Step:
        """The step that these revisions make, the last of which becomes the current one."""
        sets = encoded_sets(self._codec, self.current.store_id, [one for one in change_sets if one.changes])
        changes = [change for one in sets for change in one.changes]
        return _Step(advance(self._codec, self.current, changes, change_sets[-1].revision), sets)

    def _newer(self) -> _Step:
        current = self.current
        found = self._source.changes(current.revision, current.store_id)
        if found is None:
            return _Step(self._load(), None)
        head, change_sets = found
        if head == current.revision:
            return _Step(current, [])
        sets = encoded_sets(self._codec, current.store_id, change_sets)
        changes = [change for one in sets for change in one.changes]
        return _Step(advance(self._codec, current, changes, head), sets)

    def _load(self) -> Snapshot:
        revision, store_id, entries = self._source.load()
        return build(self._codec, revision, store_id, entries)

    async def _extend(self, ring: Ring, revision: int) -> bool:
        """Bring the ring's floor down to ``revision``, where the store still has what lies between."""
        store_id, floor = self.current.store_id, ring.floor

        def older() -> list[tuple[int, bytes]] | None:
            found = self._source.changes(revision, store_id)
            if found is None:
                return None
            wanted = [one for one in found[1] if one.revision <= floor]
            return [(one.revision, one.message) for one in encoded_sets(self._codec, store_id, wanted)]

        messages = await self._run(older)
        if messages is None or ring is not self.ring or ring.floor != floor:
            return False  # where newer messages have pushed out the oldest since, the two do not meet
        return ring.extend_back(revision, messages)
