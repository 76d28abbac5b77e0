"""Calls that were refused, counted: the first of a kind is told by itself, the others once a minute.

Whoever makes calls that are refused costs a process some lines a minute, and not a line each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K")

COUNT_SECONDS = 60.0


class Refusals(Generic[K]):
    """Counts by kind, of which there must be few. Safe for threads."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = Lock()
        self._counts: dict[K, int] = {}
        self._taken_at = monotonic()

    def is_first(self, kind: K) -> bool:
        """Return whether one like this is to be told by itself; if not, it has been counted.

        It is the first until a minute has passed in which there was none.
        """
        with self._lock:
            if kind in self._counts:
                self._counts[kind] += 1
                return False
            self._counts[kind] = 0
            return True

    def add(self, kind: K, count: int) -> None:
        """Count some that could not be told, for the next time."""
        with self._lock:
            self._counts[kind] = self._counts.get(kind, 0) + count

    def due(self) -> Mapping[K, int]:
        """Return what `take` does if a minute has passed since it did, else nothing."""
        return self.take() if self._monotonic() - self._taken_at >= COUNT_SECONDS else {}

    def take(self) -> Mapping[K, int]:
        """Return the counts since the last time, to be told now."""
        with self._lock:
            self._taken_at = self._monotonic()
            taken = {kind: count for kind, count in self._counts.items() if count}
            self._counts = dict.fromkeys(taken, 0)
            return taken
