"""How often the table's history was lost since the process started, as operators are shown it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from service.domain.history import RevisionToken


@dataclass(frozen=True, slots=True)
class HistoryBreak:
    """The database did not have the table ``had`` any more; the registry has gone on with ``has``."""

    time: datetime
    had: RevisionToken
    has: RevisionToken


class HistoryBreaks:
    """Belongs to the event loop. ``last`` is None where there was none."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.count = 0
        self.last: HistoryBreak | None = None

    def note(self, had: RevisionToken, has: RevisionToken) -> None:
        """Count one."""
        self.count += 1
        self.last = HistoryBreak(self._clock(), had, has)
