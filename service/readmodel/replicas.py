"""Which replicas are alive, and since when this process knows all that they had heard.

A call needs a view of the routers that is at least as new as itself. It takes the first reading of the
database that begins after it: what replica R had heard by then is stored with R's second flush after that
reading, since the first may have been gathered before. No clocks are compared: R is alive while its flushes
count on, and dead after ten seconds of looking without one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.domain.history import RevisionToken
from service.domain.routers import REMEMBERED_FOR, ReplicaRecord, Stamp
from service.readmodel.ring import Ring

DEAD_SECONDS = 10.0
SILENT_SECONDS = 3.0
LOOKED_SECONDS = 2.0
"""The most that counts between two looks: who was paused, or had no database, has not been looking."""


@dataclass(slots=True)
class _Replica:
    seq: int
    moved: float
    table: RevisionToken
    is_lost: bool = False
    """Whether its row went away with the database that it was in, and not because it left."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """One reading: its number, when it began, and the flushes of other live replicas that it found."""

    number: int
    began: datetime
    flushes: Mapping[str, int]


class Replicas:
    """The other replicas of this registry. Belongs to the event loop.

    Where there is none to be, ``shared`` is false: then memory is the view.
    """

    def __init__(
        self, own: str, *, shared: bool, monotonic: Callable[[], float], clock: Callable[[], datetime]
    ) -> None:
        self.own = own
        self.shared = shared
        self._monotonic = monotonic
        self._clock = clock
        self._looked = monotonic()
        self._others: dict[str, _Replica] = {}
        self._readings: deque[_Reading] = deque()
        self._begun = 0
        self._complete = 0
        self._complete_time = clock()
        self.observed = 0.0

    def begin(self) -> tuple[int, datetime]:
        """Note that a reading begins. Returns what `took` wants to know of it."""
        self._begun += 1
        return self._begun, self._clock()

    def took(
        self, reading: tuple[int, datetime], records: Sequence[ReplicaRecord], *, is_older: bool = False
    ) -> float:
        """Take in a reading. Returns the seconds that were observed since the one before.

        ``is_older`` says that it is of an older database than was read before, or may be.
        """
        now = self._monotonic()
        passed = min(now - self._looked, LOOKED_SECONDS)
        self._looked = now
        self.observed += passed
        stored = {one.stamp.replica_id: one for one in records if one.stamp.replica_id != self.own}
        for replica_id in self._others.keys() - stored.keys():
            # One that is missing in a database that was put back has not left: it is about to join again.
            self._others[replica_id].is_lost |= is_older
            if not self._others[replica_id].is_lost or self._quiet(replica_id, DEAD_SECONDS):
                del self._others[replica_id]
        for replica_id, record in stored.items():
            known, seq = self._others.get(replica_id), record.stamp.flush_seq
            if known is None or known.seq != seq:
                self._others[replica_id] = _Replica(seq, self.observed, record.table)
        flushes = {one: self._others[one].seq for one in self.alive}
        self._readings.append(_Reading(*reading, flushes))
        while self._readings and self._is_answered(self._readings[0]):
            done = self._readings.popleft()
            self._complete, self._complete_time = done.number, done.began
        return passed

    @property
    def alive(self) -> list[str]:
        """The other replicas that are alive."""
        return [one for one in self._others if not self._quiet(one, DEAD_SECONDS)]

    @property
    def silent(self) -> list[str]:
        """Those of them that have not written for some seconds: what they know is not known here."""
        return sorted(one for one in self.alive if self._quiet(one, SILENT_SECONDS))

    @property
    def dead(self) -> list[Stamp]:
        """Those that have been dead for so long that no router which they held counts any more."""
        kept = DEAD_SECONDS + REMEMBERED_FOR.total_seconds()
        return [Stamp(one, self._others[one].seq) for one in sorted(self._others) if self._quiet(one, kept)]

    @property
    def stored(self) -> list[str]:
        """All other replicas that are stored, dead or alive."""
        return list(self._others)

    @property
    def view_time(self) -> datetime:
        """What was open at this time, at any replica, is known."""
        return self._complete_time if self.shared else self._clock()

    def next_view(self) -> float:
        """Return what `has_view` has to be asked for a view that is at least as new as this moment."""
        return self._begun + 1 if self.shared else -math.inf

    def has_view(self, view: float) -> bool:
        """Return whether all that live replicas had heard at that moment is known."""
        return view <= self._complete

    def without(self, ring: Ring, wanted: int) -> list[str]:
        """Return the live replicas that whoever begins to watch may be given an older table by.

        A table of another history, or ahead of ``ring``, is not known to have the revision.
        """
        tables = {one: self._others[one].table for one in self.alive}
        return sorted(
            one for one, table in tables.items() if table.revision < wanted or not ring.holds(table)
        )

    def unanswered(self, view: float) -> list[str]:
        """Return the live replicas that this view waits for."""
        waited = next((one for one in self._readings if one.number >= view), None)
        if waited is None:
            return self.silent
        return sorted(one for one in self.alive if not self._has_flushed(one, waited))

    def rename(self, own: str) -> None:
        """Go on under another name. What was read of the others so far may be of another database."""
        self._others.pop(own, None)
        self.own = own
        self._readings.clear()

    def _is_answered(self, reading: _Reading) -> bool:
        return all(self._has_flushed(one, reading) for one in self.alive)

    def _has_flushed(self, replica_id: str, reading: _Reading) -> bool:
        """Whether a live replica has stored all that it had heard at a reading.

        One that appeared after it had heard nothing by then.
        """
        seq = reading.flushes.get(replica_id)
        return seq is None or self._others[replica_id].seq >= seq + 2

    def _quiet(self, replica_id: str, seconds: float) -> bool:
        return self.observed - self._others[replica_id].moved >= seconds
