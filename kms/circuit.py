"""A circuit breaker: while a backend does not answer, calls fail at once instead of each waiting for it.

Without it eight hung calls of two seconds would hold every thread of a role, and health would hang with them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 5.0


class Circuit:
    """Closed while calls succeed. Each failure opens it for a random part of a pause that doubles up to 5 s.

    After the pause one call goes through (half-open) and decides; the others still fail at once. The pause is
    drawn whole (full jitter), so that sidecars that lost one backend together do not come back together.
    """

    def __init__(self, *, monotonic: Callable[[], float], uniform: Callable[[float, float], float]) -> None:
        self._monotonic = monotonic
        self._uniform = uniform
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_from = 0.0

    def admits(self) -> bool:
        """Whether a call may be made now; a caller that is admitted must report how it went."""
        with self._lock:
            if not self._failures:
                return True
            now = self._monotonic()
            if now < self._closed_from:
                return False
            # The one probe: until it reports, or its longest time is over, nobody else goes.
            self._closed_from = now + _LONGEST_PAUSE_SECONDS
            return True

    def succeeded(self) -> None:
        """The backend answered, whatever it said."""
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        """The backend did not answer."""
        with self._lock:
            pause = min(_FIRST_PAUSE_SECONDS * 2**self._failures, _LONGEST_PAUSE_SECONDS)
            self._failures = min(self._failures + 1, 16)
            self._closed_from = self._monotonic() + self._uniform(0.0, pause)
