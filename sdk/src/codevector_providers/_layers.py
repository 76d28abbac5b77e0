"""An immutable mapping whose changed copies are cheap.

Two dicts: a base that many generations share, and the changes since, which each generation owns. Once the
changes exceed about the square root of the base they are merged into it: a changed copy of n entries takes
about sqrt(n) steps on average instead of n, and a look-up at most two dict reads.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from enum import Enum
from math import isqrt
from typing import Any, Final, Generic, TypeVar, overload

K = TypeVar("K", bound=Hashable)
V_co = TypeVar("V_co", covariant=True)
T = TypeVar("T")

_LEAST_CHANGES = 64


class Gone(Enum):
    """Marks a removed entry."""

    GONE = 0


GONE: Final = Gone.GONE


class Layered(Mapping[K, V_co], Generic[K, V_co]):
    """Safe to read from any thread."""

    __slots__ = ("_base", "_changes", "_length")

    def __init__(
        self, base: dict[K, V_co], changes: dict[K, V_co | Gone] | None = None, length: int | None = None
    ) -> None:
        """Take over ``base``: no one else may change it afterwards."""
        self._base = base
        self._changes = changes or {}
        self._length = len(base) if length is None else length

    def __getitem__(self, key: K) -> V_co:
        if self._changes:
            found = self._changes.get(key)
            if found is not None:
                if found is GONE:
                    raise KeyError(key)
                return found
        return self._base[key]

    @overload
    def get(self, key: K, /) -> V_co | None: ...

    @overload
    def get(self, key: K, /, default: V_co | T) -> V_co | T: ...

    def get(self, key: Any, /, default: Any = None) -> Any:
        """As in a dict. Mapping's own raises and catches; this is on the path of every request."""
        if self._changes:
            found = self._changes.get(key)
            if found is not None:
                return default if found is GONE else found
        return self._base.get(key, default)

    def __contains__(self, key: object) -> bool:
        unknown: Any = key
        return self.get(unknown) is not None

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
        """Return a copy with these entries inserted or removed. No entry may be None."""
        return Layered(*self._changed(changes))

    def _changed(self, changes: Mapping[K, V_co | Gone]) -> tuple[dict[K, V_co], dict[K, V_co | Gone], int]:
        """Return the parts of a changed copy."""
        length = self._length
        for key, value in changes.items():
            length += (value is not GONE) - (key in self)
        together = {**self._changes, **changes}
        if len(together) <= max(_LEAST_CHANGES, isqrt(2 * len(self._base))):
            return self._base, together, length
        base = self._base.copy()
        for key, value in together.items():
            if value is GONE:
                base.pop(key, None)
            else:
                base[key] = value
        return base, {}, len(base)
