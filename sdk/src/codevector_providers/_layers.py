"""A mapping that never changes and of which a changed copy costs little.

Two dicts: a base that many generations share, and what has changed since, which each generation has of its
own. When the changes grow past about the square root of the base they are folded in: a changed copy of n
entries takes about sqrt(n) steps on average instead of n, and a look-up at most two dict reads.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from enum import Enum
from math import isqrt
from typing import Any, Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V_co = TypeVar("V_co", covariant=True)

_LEAST_CHANGES = 64


class Gone(Enum):
    """What stands for an entry that is no more."""

    GONE = 0


GONE: Final = Gone.GONE


class Layered(Mapping[K, V_co], Generic[K, V_co]):
    """Safe to read from any thread."""

    __slots__ = ("_base", "_changes", "_length")

    def __init__(
        self,
        base: dict[K, V_co],
        changes: dict[K, V_co | Gone] | None = None,
        length: int | None = None,
    ) -> None:
        """``base`` is taken over: nobody may change it any more."""
        self._base = base
        self._changes = changes or {}
        self._length = len(base) if length is None else length

    def __getitem__(self, key: K) -> V_co:
        found = self._changes.get(key) if self._changes else None
        if found is None:
            return self._base[key]
        if found is GONE:
            raise KeyError(key)
        return found

    def __contains__(self, key: object) -> bool:
        changes: dict[Any, V_co | Gone] = self._changes
        found = changes.get(key)
        return key in self._base if found is None else found is not GONE

    def __iter__(self) -> Iterator[K]:
        for key in self._base:
            if key not in self._changes:
                yield key
        for key, value in self._changes.items():
            if value is not GONE:
                yield key

    def __len__(self) -> int:
        return self._length

    def changed(self, changes: Mapping[K, V_co | Gone]) -> Layered[K, V_co]:
        """A copy with these entries put in or taken out. No entry may be None."""
        length = self._length
        for key, value in changes.items():
            length += (value is not GONE) - (key in self)
        together = {**self._changes, **changes}
        if len(together) <= max(_LEAST_CHANGES, isqrt(2 * len(self._base))):
            return Layered(self._base, together, length)
        base = self._base.copy()
        for key, value in together.items():
            if value is GONE:
                base.pop(key, None)
            else:
                base[key] = value
        return Layered(base)
