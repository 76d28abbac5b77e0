"""Which router has which revision: reported by routers, asked by operators who wait for a change.

Kept in memory, since reports come in waves; what has changed is handed out to be stored now and then, so that
a registry that starts again still waits for a router that it no longer hears.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.domain.history import RevisionToken
from service.domain.routers import REMEMBERED_FOR, Router, RouterRecord
from service.readmodel.ring import History, Ring

NOTED_EVERY = timedelta(minutes=1)


@dataclass(slots=True)
class _Known:
    """A router, and how many watches of it are open: the next may begin before one is seen to end.

    ``history`` is the one that ``record.applied`` was found to be of; None before that.
    """

    record: RouterRecord
    watches: int = 0
    history: History | None = None


class Routers:
    """The routers that count. Belongs to the event loop."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        stored: Iterable[RouterRecord] = (),
        history: History | None = None,
    ) -> None:
        self._clock = clock
        self._known = {record.watcher_id: _Known(record, history=history) for record in stored}
        self._changed: set[str] = set()

    def opened(self, watcher_id: str, peer: str) -> Callable[[], None]:
        """Note that a watch of this router has begun. Returns what to call when it ends."""
        known = self._seen(watcher_id, peer)
        known.watches += 1

        def closed() -> None:
            known.watches -= 1
            # Unless the router said in between that it stops, and perhaps began anew under its name.
            if self._known.get(watcher_id) is known:
                self._seen(watcher_id, known.record.peer)

        return closed

    def reported(self, watcher_id: str, applied: RevisionToken | None, ring: Ring, peer: str) -> None:
        """This router says that it routes by that table; None while it has none, or cannot prove which.

        A table that ``ring`` does not know yet is kept until it does. One of another history never counts.
        """
        known = self._seen(watcher_id, peer)
        ahead = applied is not None and applied.store_id == ring.store_id and applied.revision > ring.head
        if applied is not None and not ahead and not ring.holds(applied):
            applied = None
        if applied != known.record.applied:
            known.record = replace(known.record, applied=applied, apply_time=known.record.seen_time)
        known.history = None if ahead else ring.history

    def stopping(self, watcher_id: str) -> None:
        """This router says that it stops and has dropped its credentials: it counts no more."""
        if self._known.pop(watcher_id, None) is not None:
            self._changed.add(watcher_id)

    def all(self, ring: Ring) -> list[Router]:
        """Return the routers that count, by watcher_id; revisions of other histories read as 0."""
        self._forget_silent()
        now = self._clock()
        return [_router(self._known[watcher_id], ring, now) for watcher_id in sorted(self._known)]

    def all_have(self, ring: Ring, revision: int) -> bool:
        """Return whether all routers that count have applied a revision, without listing them."""
        self._forget_silent()
        return all(_applied(known, ring) >= revision for known in self._known.values())

    def drain_changes(self) -> tuple[list[RouterRecord], list[str]]:
        """Return what is to be stored since the last time: new and changed records, and the ids that went.

        A router that has been watching since then shows life by that alone, once a minute.
        """
        self._forget_silent()
        stale = self._clock() - NOTED_EVERY
        for watcher_id, known in self._known.items():
            if known.watches and known.record.seen_time < stale:
                self._seen(watcher_id, known.record.peer)
        changed, self._changed = self._changed, set()
        put = [self._known[one].record for one in sorted(changed) if one in self._known]
        return put, sorted(changed - self._known.keys())

    def requeue(self, watcher_ids: Iterable[str]) -> None:
        """Drain these again the next time: they could not be stored."""
        self._changed.update(watcher_ids)

    def merge_stored(self, stored: Iterable[RouterRecord], history: History | None) -> None:
        """Take in what is stored, also by other replicas, but of routers that do not watch here.

        The store gives what was applied only where it is of the ``history`` that it had then.
        """
        found = {record.watcher_id: record for record in stored}
        for watcher_id in found.keys() | self._known.keys():
            known, record = self._known.get(watcher_id), found.get(watcher_id)
            if watcher_id in self._changed or (known is not None and known.watches):
                continue
            if record is None:
                del self._known[watcher_id]
            elif known is None or record.seen_time > known.record.seen_time:
                self._known[watcher_id] = _Known(record, history=history)

    def _forget_silent(self) -> None:
        """Drop routers that have not reported for too long."""
        oldest = self._clock() - REMEMBERED_FOR
        silent = [
            watcher_id
            for watcher_id, known in self._known.items()
            if not known.watches and known.record.seen_time < oldest
        ]
        for watcher_id in silent:
            self.stopping(watcher_id)

    def _seen(self, watcher_id: str, peer: str) -> _Known:
        now = self._clock()
        known = self._known.get(watcher_id)
        if known is None:
            known = self._known[watcher_id] = _Known(RouterRecord(watcher_id, None, None, now, peer))
        else:
            known.record = replace(known.record, seen_time=now, peer=peer)
        self._changed.add(watcher_id)
        return known


def _router(known: _Known, ring: Ring, now: datetime) -> Router:
    record, watching = known.record, known.watches > 0
    applied = _applied(known, ring)
    return Router(
        watcher_id=record.watcher_id,
        applied_revision=applied,
        apply_time=record.apply_time if applied else None,
        watching=watching,
        seen_time=now if watching else record.seen_time,
        peer=record.peer,
    )


def _applied(known: _Known, ring: Ring) -> int:
    """Return the revision a router has applied, 0 if its report is not of the history of ``ring``."""
    applied = known.record.applied
    if applied is None:
        return 0
    if known.history is not ring.history:
        if not ring.holds(applied):
            return 0
        known.history = ring.history
    return applied.revision
