"""A circuit breaker: while a callee does not answer, calls fail at once instead of each waiting for it.

| state     | what happens                                                               |
|-----------|----------------------------------------------------------------------------|
| closed    | every call goes through                                                    |
| open      | every call is refused, with the seconds after which to come back           |
| half-open | one call goes through to find out, the others are refused until it reports |
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import final

LONGEST_PAUSE_SECONDS = 5.0


def whole(_: float, pause: float) -> float:
    """Return the whole pause: no jitter."""
    return pause


@final
class Circuit:
    """One per callee; safe to share between threads. ``monotonic`` is a clock in seconds.

    ``failures_to_open`` failures in a row open it. The pause starts at ``first_pause_seconds`` and doubles
    with each further failure, up to five seconds; ``uniform`` draws the actual pause from all of it. With
    ``random.uniform`` (full jitter), callers that lost one callee together do not come back together.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        uniform: Callable[[float, float], float] = whole,
        failures_to_open: int = 1,
        first_pause_seconds: float = 0.25,
        longest_probe_seconds: float = LONGEST_PAUSE_SECONDS,
    ) -> None:
        self._monotonic = monotonic
        self._uniform = uniform
        self._failures_to_open = failures_to_open
        self._first_pause = first_pause_seconds
        self._longest_probe = longest_probe_seconds
        self._lock = threading.Lock()
        self._failures = 0
        self._next_pause = first_pause_seconds
        self._open_until: float | None = None
        """When one call may go through again; None while all may."""

    def admit(self) -> float | None:
        """Return None if the caller may go on, who must then report; else the seconds until it may try."""
        with self._lock:
            if self._open_until is None:
                return None
            now = self._monotonic()
            if now < self._open_until:
                return self._open_until - now
            # Half-open: until this caller reports, or must have died, no other call goes.
            self._open_until = now + self._longest_probe
            return None

    def succeeded(self) -> None:
        """Close the circuit: the callee answered, whatever it said."""
        with self._lock:
            self._failures = 0
            self._next_pause = self._first_pause
            self._open_until = None

    def failed(self) -> None:
        """Count a call that the callee did not answer."""
        with self._lock:
            self._failures += 1
            if self._failures < self._failures_to_open:
                return
            self._open_until = self._monotonic() + self._uniform(0.0, self._next_pause)
            self._next_pause = min(self._next_pause * 2, LONGEST_PAUSE_SECONDS)
