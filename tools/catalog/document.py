"""Strict JSON documents that know the line of each value.

Stricter than JSON: no floating-point number, no number of more than 18 digits, no repeated key, no
byte-order mark, UTF-8 only. The fast C parser reads; only when something is refused is the text walked again
to find the line, so a good document costs no bookkeeping.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Generator, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

DECIMAL = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,12})?")
"""A price: the API's decimal rule."""

_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]|[eE])|-?Infinity|NaN")
_MAX_DIGITS = 18
"""No count has more, and Python refuses to read thousands of digits."""
_LONG = re.compile(rf"-?[0-9]{{{_MAX_DIGITS + 1}}}")
_SPACE = re.compile(r"[ \t\n\r]*")

Where = tuple[str | int, ...]
"""The keys and indexes that lead from the document's root to a value."""


class CatalogFileError(Exception):
    """A catalog file is refused. ``line`` is 1-based; 0 means the file as a whole."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}:{line}: {problem}" if line else f"{path}: {problem}")
        self.path = path
        self.line = line
        self.problem = problem


class _NotStrict(ValueError):
    """Valid JSON that a strict document does not allow."""


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed file. ``data`` is what was hashed, ``root`` its top-level object."""

    path: Path
    data: bytes
    text: str
    root: dict[str, Any]

    def refuse(self, where: Where, problem: str) -> CatalogFileError:
        """Return the error for the value at ``where``, or for its nearest existing parent."""
        line = 1
        for path, offset, _ in _walk(self.text):
            if path == where[: len(path)]:
                line = self.text.count("\n", 0, offset) + 1
        dotted = ".".join(str(step) for step in where)
        return CatalogFileError(self.path, line, f"{dotted}: {problem}" if dotted else problem)

    def fields(self) -> Fields:
        """Return the top-level object."""
        return Fields(self, (), self.root)


class Fields:
    """One object of a document. Each reader of a field raises CatalogFileError with file and line."""

    __slots__ = ("_document", "_values", "_where")

    def __init__(self, document: Document, where: Where, values: object) -> None:
        self._document = document
        self._where = where
        if type(values) is not dict:
            raise document.refuse(where, "must be an object")
        self._values: dict[str, Any] = values

    def refuse(self, problem: str, *where: str | int) -> NoReturn:
        """Raise for the value at ``where`` below this object.

        Raises:
            CatalogFileError: always.
        """
        raise self._document.refuse((*self._where, *where), problem)

    def allow(self, required: frozenset[str], optional: frozenset[str] = frozenset()) -> Fields:
        """Return self if its keys are exactly the required ones and any of the optional ones."""
        if missing := required - self._values.keys():
            self.refuse(f"lacks {', '.join(sorted(missing))}")
        if unknown := self._values.keys() - required - optional:
            name = min(unknown)
            self.refuse("is not a known field", name)
        return self

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def names(self) -> Iterable[str]:
        """Return the keys in the file's order."""
        return self._values.keys()

    def text(self, key: str, *, max_length: int = 2048) -> str:
        """Return a non-empty string of printable characters."""
        value = self._values[key]
        if type(value) is not str or not 0 < len(value) <= max_length or not value.isprintable():
            self.refuse(f"must be a string of 1 to {max_length} printable characters", key)
        return value

    def text_or_none(self, key: str) -> str | None:
        """Like ``text``; None when the field is null or absent."""
        return None if self._values.get(key) is None else self.text(key)

    def matching(self, key: str, pattern: re.Pattern[str], meaning: str) -> str:
        """Return a string that matches the whole ``pattern``; ``meaning`` completes "must be ..."."""
        value = self._values[key]
        if type(value) is not str or pattern.fullmatch(value) is None:
            self.refuse(f"must be {meaning}", key)
        return value

    def one_of(self, key: str, allowed: Collection[str]) -> str:
        """Return one of the ``allowed`` strings."""
        value = self._values[key]
        if type(value) is not str or value not in allowed:
            self.refuse(f"must be one of {', '.join(sorted(allowed))}", key)
        return value

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self._values[key]
        if type(value) is not bool:
            self.refuse("must be true or false", key)
        return value

    def integer(self, key: str, *, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``."""
        value = self._values[key]
        if type(value) is not int or not low <= value <= high:
            self.refuse(f"must be a whole number from {low} to {high}", key)
        return value

    def count_or_none(self, key: str, *, high: int) -> int | None:
        """Return a whole number from 1 to ``high``, or None for null. Unknown is null, so zero is refused."""
        value = self._values[key]
        if value is None:
            return None
        if type(value) is not int or not 1 <= value <= high:
            self.refuse(f"must be null (unknown) or a whole number from 1 to {high}", key)
        return value

    def price_or_none(self, key: str) -> str | None:
        """Return a decimal string, or None when the field is null or absent."""
        value = self._values.get(key)
        if value is None:
            return None
        if type(value) is not str or DECIMAL.fullmatch(value) is None:
            self.refuse("must be a decimal string such as 0.25, or null (unknown)", key)
        return value

    def day(self, key: str) -> date:
        """Return a calendar day, YYYY-MM-DD."""
        value = self._values[key]
        if type(value) is not str or len(value) != len("YYYY-MM-DD"):
            self.refuse("must be a date, YYYY-MM-DD", key)
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.refuse("is not a day of the calendar", key)

    def day_or_none(self, key: str) -> date | None:
        """Like ``day``; None for null."""
        return None if self._values[key] is None else self.day(key)

    def month_or_day_or_none(self, key: str) -> str | None:
        """Return YYYY-MM or YYYY-MM-DD as written, since some vendors name no day; None for null."""
        value = self._values[key]
        if value is None:
            return None
        if type(value) is not str or len(value) not in (len("YYYY-MM"), len("YYYY-MM-DD")):
            self.refuse("must be YYYY-MM or YYYY-MM-DD", key)
        try:
            date.fromisoformat(value if len(value) > len("YYYY-MM") else f"{value}-01")
        except ValueError:
            self.refuse("is not a day or month of the calendar", key)
        return value

    def nested(self, key: str) -> Fields:
        """Return a nested object."""
        return Fields(self._document, (*self._where, key), self._values[key])

    def nested_or_none(self, key: str) -> Fields | None:
        """Return a nested object; None when the field is null or absent."""
        return None if self._values.get(key) is None else self.nested(key)

    def objects(self, key: str) -> list[Fields]:
        """Return a list of objects."""
        values = self._list(key)
        return [Fields(self._document, (*self._where, key, at), value) for at, value in enumerate(values)]

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of different, non-empty, printable strings, in the file's order."""
        values = self._list(key)
        seen: set[str] = set()
        for index, value in enumerate(values):
            if type(value) is not str or not value or not value.isprintable():
                self.refuse("must be a string of printable characters", key, index)
            if value in seen:
                self.refuse("occurs twice", key, index)
            seen.add(value)
        return tuple(values)

    def _list(self, key: str) -> list[Any]:
        values = self._values[key]
        if type(values) is not list:
            self.refuse("must be a list", key)
        return values


def read_document(path: Path) -> Document:
    """Return the document at ``path``.

    Raises:
        CatalogFileError: it cannot be read, or is not a strict JSON object.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CatalogFileError(path, 0, f"cannot be read: {error.strerror}") from error
    return parse_document(path, data)


def parse_document(path: Path, data: bytes) -> Document:
    """Return the document in ``data``; ``path`` is for messages.

    Raises:
        CatalogFileError: it is not a strict JSON object.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CatalogFileError(path, data.count(b"\n", 0, error.start) + 1, "is not UTF-8") from error
    try:
        root = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_refuse_float,
            parse_constant=_refuse_float,
        )
    except json.JSONDecodeError as error:
        raise CatalogFileError(path, error.lineno, f"is not JSON: {error.msg}") from error
    except _NotStrict as error:
        raise CatalogFileError(path, _line_not_strict(text), str(error)) from error
    except RecursionError as error:
        raise CatalogFileError(path, 1, "is nested too deeply") from error
    if type(root) is not dict:
        raise CatalogFileError(path, 1, "must be an object")
    return Document(path, data, text, root)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _NotStrict("an object has the same key twice")
    return values


def _integer(literal: str) -> int:
    if len(literal.removeprefix("-")) > _MAX_DIGITS:
        raise _NotStrict(f"a number has more than {_MAX_DIGITS} digits")
    return int(literal)


def _refuse_float(literal: str) -> NoReturn:
    raise _NotStrict(
        f"{literal} is a floating-point number; prices are decimal strings, counts whole numbers"
    )


def _line_not_strict(text: str) -> int:
    for _, offset, repeated in _walk(text):
        if repeated or _FLOAT.match(text, offset) or _LONG.match(text, offset):
            return text.count("\n", 0, offset) + 1
    return 1


def _walk(text: str) -> Generator[tuple[Where, int, bool], None, None]:
    """Yield each value's path, its offset, and whether its key occurred before in the same object."""
    yield from _walk_value(text, _skip_space(text, 0), (), repeated=False)


def _walk_value(
    text: str, at: int, where: Where, *, repeated: bool
) -> Generator[tuple[Where, int, bool], None, int]:
    yield where, at, repeated
    opening = text[at]
    if opening not in "{[":
        return json.JSONDecoder().raw_decode(text, at)[1]
    seen: set[str | int] = set()
    step: str | int = -1
    at = _skip_space(text, at + 1)
    while text[at] not in "}]":
        if opening == "{":
            step, at = json.JSONDecoder().raw_decode(text, at)
            at = _skip_space(text, _skip_space(text, at) + 1)
        else:
            step = len(seen)
        at = yield from _walk_value(text, at, (*where, step), repeated=step in seen)
        seen.add(step)
        at = _skip_space(text, at)
        if text[at] == ",":
            at = _skip_space(text, at + 1)
    return at + 1


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()
