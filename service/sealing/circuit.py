"""A circuit breaker: after calls failed in a row, callers are refused at once for a while, not made to wait.

| state     | what happens                                                                        |
|-----------|-------------------------------------------------------------------------------------|
| closed    | every call goes through                                                             |
| open      | every call is refused, with the time after which to come back                       |
| half-open | one call goes through to find out, the others are refused until it is back          |
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import final

FAILURES_TO_OPEN = 5
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
LONGEST_PROBE_SECONDS = 30.0


@final
class Circuit:
    """One per callee; safe to share between threads. ``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = FIRST_PAUSE_SECONDS
        self._opens_at: float | None = None
        """When one call may go through again; None while closed."""

    def admit(self) -> float | None:
        """None if the caller may go on, who must then report; else the seconds after which to come back."""
        with self._lock:
            if self._opens_at is None:
                return None
            left = self._opens_at - self._clock()
            if left > 0:
                return left
            # Half-open: whoever comes next waits for this caller's report, or until it must have died.
            self._opens_at = self._clock() + LONGEST_PROBE_SECONDS
            return None

    def succeeded(self) -> None:
        """The callee works."""
        with self._lock:
            self._failures = 0
            self._pause = FIRST_PAUSE_SECONDS
            self._opens_at = None

    def failed(self) -> None:
        """The callee does not answer."""
        with self._lock:
            self._failures += 1
            if self._failures < FAILURES_TO_OPEN:
                return
            if self._opens_at is not None:
                self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
            self._opens_at = self._clock() + self._pause
