"""Rows and facts as aligned text. What identifies a thing is never cut: other columns give way to it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

_GAP = "  "
_SHORTEST = 8
"""How far a column may be cut before columns are left out instead."""


class Tone(Enum):
    """What a word means, so that colour never says anything that the word does not: SGR parameters."""

    PLAIN = ""
    GOOD = "32"
    WARNING = "33"
    BAD = "1;31"
    QUIET = "2"
    TITLE = "1"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text with a tone."""

    text: str
    tone: Tone = Tone.PLAIN


Value = str | int | Cell


@dataclass(frozen=True, slots=True)
class Column:
    """``whole`` columns, such as ids, are never cut or left out."""

    name: str
    whole: bool = False


def text(value: Value) -> str:
    """Return what is printed of a value."""
    return printable(value.text if isinstance(value, Cell) else str(value))


def printable(words: str) -> str:
    """Return the text with control and format characters as escapes, so that none acts on the terminal."""
    if words.isascii() and words.isprintable():
        return words
    return "".join(
        each.encode("unicode_escape").decode() if unicodedata.category(each)[0] == "C" else each
        for each in words
    )


def painted(words: str, tone: Tone, *, colour: bool) -> str:
    """Return the text in its colour."""
    return f"\x1b[{tone.value}m{words}\x1b[0m" if colour and tone.value and words else words


def facts(pairs: Sequence[tuple[str, Value]], *, colour: bool) -> list[str]:
    """Return a line for each name and value, the values aligned."""
    column = max((cells(name) for name, _ in pairs), default=0)
    return [
        f"{painted(_padded(name, column), Tone.QUIET, colour=colour)}{_GAP}"
        f"{painted(text(value), _tone(value), colour=colour)}"
        for name, value in pairs
    ]


def rows(
    columns: Sequence[Column], values: Sequence[Sequence[Value]], *, width: int | None, colour: bool
) -> list[str]:
    """Return a heading and a line for each row, at most ``width`` cells wide unless whole columns need
    more."""
    shown = [[text(value) for value in row] for row in values]
    natural = [
        max((cells(column.name), *(cells(row[index]) for row in shown)))
        for index, column in enumerate(columns)
    ]
    if width is not None:
        # A column without a word in it would only take room from the others.
        empty = {index for index in range(len(columns)) if shown and not any(row[index] for row in shown)}
        natural = [0 if index in empty else each for index, each in enumerate(natural)]
    widths = natural if width is None else _fitted(columns, natural, width)
    numeric = [
        bool(values) and all(isinstance(row[index], int) for row in values) for index in range(len(columns))
    ]
    heading = _line(
        [column.name for column in columns], widths, numeric, [Tone.QUIET] * len(columns), colour=colour
    )
    return [
        heading,
        *(
            _line(row, widths, numeric, [_tone(value) for value in original], colour=colour)
            for row, original in zip(shown, values, strict=True)
        ),
    ]


def cells(words: str) -> int:
    """Return how many cells of a terminal the text takes."""
    if words.isascii():
        return len(words)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in words
    )


def _fitted(columns: Sequence[Column], natural: Sequence[int], width: int) -> list[int]:
    """Return each column's width, 0 for one that is left out: long ones are cut first, then the last ones
    go."""
    widths = list(natural)

    def total() -> int:
        present = [each for each in widths if each]
        return sum(present) + len(_GAP) * (len(present) - 1)

    def longest() -> int | None:
        cuttable = [
            index for index, column in enumerate(columns) if not column.whole and widths[index] > _SHORTEST
        ]
        return max(cuttable, key=lambda index: widths[index], default=None)

    for index in reversed(range(len(columns))):
        while total() > width and (cut := longest()) is not None:
            widths[cut] -= 1
        if total() <= width:
            break
        if not columns[index].whole:
            widths[index] = 0
    return widths


def _line(
    row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool], tones: Sequence[Tone], *, colour: bool
) -> str:
    parts = []
    for words, width, number, tone in zip(row, widths, numeric, tones, strict=True):
        if not width:
            continue
        kept = _cut(words, width)
        space = " " * (width - cells(kept))
        shown = painted(kept, tone, colour=colour)
        parts.append(f"{space}{shown}" if number else f"{shown}{space}")
    return _GAP.join(parts).rstrip()


def _cut(words: str, width: int) -> str:
    if cells(words) <= width:
        return words
    kept = ""
    for each in words:
        if cells(kept + each) >= width:
            break
        kept += each
    return f"{kept}…"


def _padded(words: str, width: int) -> str:
    return words + " " * (width - cells(words))


def _tone(value: Value) -> Tone:
    return value.tone if isinstance(value, Cell) else Tone.PLAIN
