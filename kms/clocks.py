"""Whether a time has come: the wall clock says what time it is, the monotonic clock how much has passed.

One wrong reading of a wall clock must destroy no key. So a time counts as come only if the two clocks agreed
all the way from before it, or if it was found past at two looks a day apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

SECOND_LOOK = timedelta(days=1)
"""How much later than the first look the second one must be."""

TOLERANCE = timedelta(minutes=10)
"""By how much the clocks may differ: what a time server corrects is not a jump."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at both clocks. They have agreed from ``since``, a wall time, until ``now``.

    ``jumped`` says that ``since`` is a jump of the wall clock, not the start of the process.
    """

    now: datetime
    since: datetime
    jumped: bool


class Clocks:
    """The two clocks of a process, which looks at them every few seconds. Called under a lock."""

    def __init__(self, clock: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._first: tuple[datetime, float] | None = None
        self._jumped = False

    def now(self) -> datetime:
        """Return the wall clock's time; a look as well."""
        return self.look().now

    def look(self) -> Look:
        """Compare the clocks with what they said at the first look, or after the last jump."""
        now, elapsed = self._clock(), self._monotonic()
        since, started = self._first or (now, elapsed)
        if abs(now - since - timedelta(seconds=elapsed - started)) > TOLERANCE:
            since, started, self._jumped = now, elapsed, True
        self._first = since, started
        return Look(now, since, self._jumped)
