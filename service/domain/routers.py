"""Routers as operators see them: who has which revision of the table, and for how long each counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from service.domain.history import RevisionToken

REMEMBERED_FOR = timedelta(minutes=10)
"""How long a router counts after its last sign of life.

By then it uses no credential any more: without a live watch the library keeps one for at most ten minutes.
"""


@dataclass(frozen=True, slots=True)
class Router:
    """A router that counts. Before a report of this store the revision is 0 and ``apply_time`` None."""

    watcher_id: str
    applied_revision: int
    apply_time: datetime | None
    watching: bool
    seen_time: datetime
    peer: str

    @property
    def forget_time(self) -> datetime | None:
        """When it stops to count; None while it is watching."""
        return None if self.watching else self.seen_time + REMEMBERED_FOR


@dataclass(frozen=True, slots=True)
class RouterRecord:
    """What is kept of a router over restarts of the registry: one that is cut off is not forgotten.

    ``applied`` is what it last reported, if that is of the store's own history as far as is known.
    """

    watcher_id: str
    applied: RevisionToken | None
    apply_time: datetime | None
    seen_time: datetime
    peer: str
