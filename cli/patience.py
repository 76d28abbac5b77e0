"""Retries with full jitter while a server is unavailable, until nothing has moved for too long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from runtime.calls import CallRefused

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0


@dataclass(slots=True)
class Patience:
    """How long to wait without progress. ``random`` returns 0 to 1."""

    seconds: float
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    random: Callable[[], float]
    _since: float | None = None
    _pauses: int = 0

    def rewarded(self) -> None:
        """Start over: something moved."""
        self._since = None
        self._pauses = 0

    def pause(self) -> bool:
        """Wait a moment and return True; return False at once if nothing has moved for too long.

        Source: full jitter, as in Brooker, "Exponential Backoff And Jitter".
        """
        now = self.monotonic()
        if self._since is None:
            self._since = now
        if now - self._since >= self.seconds:
            return False
        ceiling = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self._pauses, 10))
        self._pauses += 1
        self.sleep(self.random() * ceiling)
        return True

    def insist(self, work: Callable[[], T]) -> T:
        """Return the result of ``work``, retried while its server is unavailable.

        Raises:
            CallRefused: it refused for good, or was unavailable for too long.
        """
        while True:
            try:
                answer = work()
            except CallRefused as refused:
                if not refused.retryable or not self.pause():
                    raise
            else:
                self.rewarded()
                return answer
