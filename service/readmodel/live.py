"""The live read model: one task follows the store and swaps in each new snapshot by one assignment.

A local commit nudges it at once; a poll finds what was not nudged, such as the commit of a call that was
cancelled while its process was under load, or another process's. Readers never wait for it and never see half
a revision.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from service.domain.errors import RegistryError
from service.domain.routing import ChangeSet, Entry
from service.readmodel.snapshot import Codec, Snapshot, advance, build
from service.telemetry import SNAPSHOT_FAILED, bug_fields

POLL_SECONDS = 0.5
REACH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Source:
    """How the table is read; handed in, since this room knows no SQL. Both are called off the event loop.

    ``load`` gives (revision, store_id, all entries) of one moment. ``changes`` gives (head revision, the
    change sets behind the given revision), or None when they are no longer all there and the table must be
    loaded anew.
    """

    load: Callable[[], tuple[int, str, list[Entry]]]
    changes: Callable[[int, str], tuple[int, list[ChangeSet]] | None]


class LiveSnapshot:
    """Holds the newest snapshot. Create it inside the event loop that will run ``follow``."""

    def __init__(
        self,
        source: Source,
        codec: Codec,
        run: Callable[[Callable[[], Snapshot]], Awaitable[Snapshot]],
        log: FilteringBoundLogger,
    ) -> None:
        self._log = log
        self._source = source
        self._codec = codec
        self._run = run
        self._loop = asyncio.get_running_loop()
        self._nudged = asyncio.Event()
        self._advanced = asyncio.Condition()
        self.current = self._load()

    def nudge(self, revision: int) -> None:
        """Tell that ``revision`` is committed. Safe from any thread, also when the loop has ended."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._nudged.set)

    async def reached(self, revision: int) -> None:
        """Return once a snapshot of ``revision`` or newer is served, so that a writer can read its write.

        Gives up after a second: the write is done either way, and its answer says at which revision.
        """
        if self.current.revision >= revision:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REACH_SECONDS), self._advanced:
                await self._advanced.wait_for(lambda: self.current.revision >= revision)

    async def follow(self) -> None:
        """Keep the snapshot current until cancelled. A store that is away is asked again at the next poll."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._nudged.wait()
            self._nudged.clear()
            try:
                snapshot = await self._run(self._newer)
            except RegistryError as error:
                self._log.warning(SNAPSHOT_FAILED, reason=error.reason.value)
                continue
            except Exception as error:
                # The top of a background task: were it to end here, routers would get this revision for ever.
                self._log.error(SNAPSHOT_FAILED, **bug_fields(error))
                continue
            if snapshot is not self.current:
                async with self._advanced:
                    self.current = snapshot
                    self._advanced.notify_all()

    def _newer(self) -> Snapshot:
        current = self.current
        found = self._source.changes(current.revision, current.store_id)
        if found is None:
            return self._load()
        head, change_sets = found
        if head == current.revision:
            return current
        return advance(self._codec, current, change_sets, head)

    def _load(self) -> Snapshot:
        revision, store_id, entries = self._source.load()
        return build(self._codec, revision, store_id, entries)
