"""A part of the routing table as short runs of rows, so that a change costs one run and not the table.

Segments never change. The next table shares all but those that a change falls into, and with them their
joined bytes, which are made when somebody asks for them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

from service.domain.routing import Entry

CUT_BYTES = 240 << 10
"""About how many bytes of rows a new segment has."""
SPLIT_BYTES = 2 * CUT_BYTES
"""The most that a segment has, unless one row alone is larger."""
MERGE_BYTES = CUT_BYTES // 4
"""What a segment has at least after a change in it, if its rows are small and there are others."""


@dataclass(frozen=True, slots=True)
class Row:
    """A routing entry and its message's bytes, with the length in front as a repeated field has it."""

    entry: Entry
    encoded: bytes


class Segment:
    """Rows next to each other, by name; at least one. ``size`` is the bytes of all."""

    __slots__ = ("_joined", "names", "rows", "size")

    def __init__(self, names: list[str], rows: list[Row], size: int) -> None:
        self.names = names
        self.rows = rows
        self.size = size
        self._joined: bytes | None = None

    def joined(self, join: Callable[[Sequence[Row]], bytes]) -> bytes:
        """Return ``join`` of the rows, made once."""
        if self._joined is None:
            self._joined = join(self.rows)
        return self._joined


class Table(Mapping[str, Row]):
    """Rows by name, and in its order."""

    __slots__ = ("_firsts", "_length", "segments")

    def __init__(self, segments: Sequence[Segment] = ()) -> None:
        self.segments = tuple(segments)
        self._firsts = [segment.names[0] for segment in segments]
        self._length = sum(len(segment.names) for segment in segments)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(segment.names for segment in self.segments)

    def __getitem__(self, name: str) -> Row:
        if self.segments:
            segment = self.segments[self._place(name)]
            index = bisect_left(segment.names, name)
            if index < len(segment.names) and segment.names[index] == name:
                return segment.rows[index]
        raise KeyError(name)

    def in_order(self) -> Iterator[Row]:
        """Return the rows by name."""
        return chain.from_iterable(segment.rows for segment in self.segments)

    def changed(self, rows: Mapping[str, Row | None]) -> Table:
        """Return the table with these rows put, or taken out where one is None."""
        if not rows:
            return self
        if not self.segments:
            put = {name: row for name, row in rows.items() if row is not None}
            names = sorted(put)
            return Table(_cut(names, [put[name] for name in names]))
        touched: defaultdict[int, list[str]] = defaultdict(list)
        for name in sorted(rows):
            touched[self._place(name)].append(name)
        segments: list[Segment] = []
        for place, segment in enumerate(self.segments):
            segments += _changed(segment, touched[place], rows) if place in touched else (segment,)
        return Table(_merged(segments))

    def _place(self, name: str) -> int:
        """Return which segment has a name or would get it."""
        return max(bisect_right(self._firsts, name) - 1, 0)


def _changed(segment: Segment, names: Sequence[str], changes: Mapping[str, Row | None]) -> list[Segment]:
    """Return what becomes of a segment, given the sorted names that change in it: none, one, or several."""
    kept, rows, size = list(segment.names), list(segment.rows), segment.size
    for name in names:
        row = changes[name]
        index = bisect_left(kept, name)
        found = index < len(kept) and kept[index] == name
        if found:
            size -= len(rows[index].encoded)
        if row is not None:
            size += len(row.encoded)
        if found and row is not None:
            rows[index] = row
        elif found:
            del kept[index], rows[index]
        elif row is not None:
            kept.insert(index, name)
            rows.insert(index, row)
    if size > SPLIT_BYTES:
        return _cut(kept, rows)
    return [Segment(kept, rows, size)] if rows else []


def _merged(segments: Sequence[Segment]) -> list[Segment]:
    """Return the segments, each that has become too small in one with a neighbour."""
    merged: list[Segment] = []
    for segment in segments:
        if merged and min(merged[-1].size, segment.size) < MERGE_BYTES:
            one = merged.pop()
            merged += _cut([*one.names, *segment.names], [*one.rows, *segment.rows])
        else:
            merged.append(segment)
    return merged


def _cut(names: list[str], rows: list[Row]) -> list[Segment]:
    """Return sorted rows in one segment, or in several of about the same size."""
    ends = list(accumulate(len(row.encoded) for row in rows))
    if not ends:
        return []
    left = 1 if ends[-1] <= SPLIT_BYTES else -(-ends[-1] // CUT_BYTES)
    segments: list[Segment] = []
    begin = base = 0
    while begin < len(rows):
        goal = base + (ends[-1] - base) / max(left, 1)
        end = bisect_left(ends, goal, begin) + 1
        if ends[end - 1] - base > SPLIT_BYTES and end - begin > 1:
            end -= 1
        segments.append(Segment(names[begin:end], rows[begin:end], ends[end - 1] - base))
        begin, base, left = end, ends[end - 1], left - 1
    return segments
