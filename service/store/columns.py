"""Column types that hold the same bytes and sort the same way on SQLite and on PostgreSQL.

| value    | column                          | why                                                           |
|----------|---------------------------------|---------------------------------------------------------------|
| text     | TEXT, byte order                | PostgreSQL's default collation would order pages differently  |
| time     | BIGINT, microseconds since 1970 | exact, no time zone to lose, one arithmetic everywhere        |
| UUID     | TEXT of 36 characters           | readable in either shell, equal to what logs and the API show |
| enum     | INTEGER, the API's number       | names may be reworded, numbers are for ever                   |
| JSON     | TEXT, canonical                 | equal values are equal bytes; decimals stay strings           |

Each type reads what the program can have written and raises `Unreadable` for anything else: whoever has the
file, or a damaged page, can put whatever they like into a column. SQLite keeps any type in any of them.
Each also has the condition of its CHECK constraints, which never refuse a value that can be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Integer,
    Label,
    LargeBinary,
    Text,
    type_coerce,
)
from sqlalchemy.types import NullType, TypeDecorator

from service.domain.json_forms import canonical_json

T = TypeVar("T")
E = TypeVar("E", bound=IntEnum)

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)

BYTEWISE = Text().with_variant(Text(collation="C"), "postgresql")
"""Text compared by its UTF-8 bytes, which is SQLite's default and PostgreSQL's "C"."""


def to_micros(moment: datetime) -> int:
    """Return microseconds since 1970 of an aware time, exact."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the UTC time of `to_micros`."""
    return _EPOCH + timedelta(microseconds=micros)


class Unreadable(ValueError):
    """A column holds what this program never writes there. Has nothing of the value: it may be a secret.

    ``columns`` are at fault, each as ``table.column``; empty where only the type of one is known.
    """

    def __init__(self, *columns: str) -> None:
        super().__init__("a stored value cannot be read" + (f": {', '.join(columns)}" if columns else ""))
        self.columns = columns


class CheckBroken(Unreadable):
    """A statement would leave a row that breaks a CHECK constraint.

    PostgreSQL checks all of a row that is updated, also what was left as it is: a row that cannot be read is
    the likely reason.
    """

    def __init__(self, constraint: str) -> None:
        super().__init__()
        self.args = (f"CHECK constraint {constraint} failed",)
        self.constraint = constraint


def as_stored(columns: Iterable[Column[Any]]) -> list[Label[Any]]:
    """Return columns whose values come as the database has them: no type converts or refuses any."""
    return [type_coerce(column, NullType()).label(column.name) for column in columns]


class _Checked(TypeDecorator[T], Generic[T]):
    """A type whose ``read`` turns what is stored into a value, or raises `Unreadable`.

    One function per value: this is on the way of every row that is loaded.
    """

    cache_ok = True
    storage_class = "text"
    """What SQLite calls the type of what is stored."""

    def condition(self, column: str, dialect: str) -> str:
        """Return SQL that holds for all that can be read, as far as its type does not say it; or nothing."""
        return ""

    def read(self, stored: Any) -> T:
        """Return the value of what is stored, which is not NULL."""
        raise NotImplementedError

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], T | None]:
        read = self.read
        return lambda stored: None if stored is None else read(stored)


class PlainText(_Checked[str]):
    """Any text that UTF-8 can spell."""

    impl = BYTEWISE
    cache_ok = True

    def read(self, stored: Any) -> str:
        return readable_text(stored)


class LossyText(_Checked[str]):
    """A text that is shown and compared with nothing: what is not UTF-8 in it is replaced."""

    impl = BYTEWISE
    cache_ok = True

    def read(self, stored: Any) -> str:
        return stored.decode(errors="replace") if isinstance(stored, bytes) else str(stored)


class FilledText(_Checked[str]):
    """A text that is never empty."""

    impl = BYTEWISE
    cache_ok = True

    def condition(self, column: str, dialect: str) -> str:
        return f"{column} <> ''"

    def read(self, stored: Any) -> str:
        if not stored:
            raise Unreadable
        return readable_text(stored)


class Word(_Checked[str]):
    """One of a few words."""

    impl = BYTEWISE
    cache_ok = True

    def __init__(self, *words: str) -> None:
        super().__init__()
        self.words = words

    def condition(self, column: str, dialect: str) -> str:
        return f"{column} IN ({', '.join(repr(word) for word in self.words)})"

    def read(self, stored: Any) -> str:
        if type(stored) is not str or stored not in self.words:
            raise Unreadable
        return stored


class IdText(_Checked[str]):
    """An id, as resource names are made of: ``least`` to ``most`` of these ``characters`` in a pattern."""

    impl = BYTEWISE
    cache_ok = True

    def __init__(self, pattern: str, characters: str, least: int, most: int) -> None:
        super().__init__()
        self.pattern = pattern
        self.characters = characters
        self.least = least
        self.most = most
        self._match = re.compile(pattern).fullmatch

    def condition(self, column: str, dialect: str) -> str:
        return (
            f"length({column}) BETWEEN {self.least} AND {self.most} "
            f"AND rtrim({column}, '{self.characters}') = ''"
        )

    def read(self, stored: Any) -> str:
        if type(stored) is not str or self._match(stored) is None:
            raise Unreadable
        return stored


class Count(_Checked[int]):
    """A whole number from ``least`` to ``most``."""

    impl = BigInteger
    cache_ok = True
    storage_class = "integer"

    def __init__(self, least: int = 0, most: int = INT64_MAX) -> None:
        super().__init__()
        self.least = least
        self.most = most

    def condition(self, column: str, dialect: str) -> str:
        return f"{column} BETWEEN {self.least} AND {self.most}"

    def read(self, stored: Any) -> int:
        if type(stored) is not int or not self.least <= stored <= self.most:
            raise Unreadable
        return stored


class Flag(_Checked[bool]):
    """True or false; SQLite stores 1 or 0."""

    impl = Boolean
    cache_ok = True
    storage_class = "integer"

    def condition(self, column: str, dialect: str) -> str:
        return f"{column} IN (0, 1)" if dialect == "sqlite" else ""

    def read(self, stored: Any) -> bool:
        if type(stored) not in (bool, int) or stored not in (0, 1):
            raise Unreadable
        return bool(stored)


class Octets(_Checked[bytes]):
    """Bytes: ``size`` of them, or any number."""

    impl = LargeBinary
    cache_ok = True
    storage_class = "blob"

    def __init__(self, size: int | None = None) -> None:
        super().__init__()
        self.size = size

    def condition(self, column: str, dialect: str) -> str:
        return f"length({column}) = {self.size}" if self.size else ""

    def read(self, stored: Any) -> bytes:
        if not isinstance(stored, bytes | memoryview) or self.size not in (None, len(stored)):
            raise Unreadable
        return bytes(stored)


class UtcMicros(_Checked[datetime]):
    """A time as microseconds since 1970, UTC."""

    impl = BigInteger
    cache_ok = True
    storage_class = "integer"

    def condition(self, column: str, dialect: str) -> str:
        return f"{column} BETWEEN {to_micros(_FIRST)} AND {to_micros(_LAST)}"

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_micros(value)

    def read(self, stored: Any) -> datetime:
        try:
            if type(stored) is int:
                return from_micros(stored)
        except OverflowError:
            pass
        raise Unreadable


class UuidText(_Checked[UUID]):
    """A UUID in its 36-character form; in other forms of it too where a hand has put one."""

    impl = BYTEWISE
    cache_ok = True

    def condition(self, column: str, dialect: str) -> str:
        return f"length({column}) >= 32"

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def read(self, stored: Any) -> UUID:
        try:
            if type(stored) is str:
                return UUID(stored)
        except ValueError:
            pass
        raise Unreadable


class Code(_Checked[E], Generic[E]):
    """A member of one IntEnum, by its number; ``stored`` are those that are ever written."""

    impl = Integer
    cache_ok = True
    storage_class = "integer"

    def __init__(self, enum: type[E], stored: Collection[E] | None = None) -> None:
        super().__init__()
        self.enum = enum
        self.stored = tuple(enum if stored is None else stored)
        self._members = {int(member): member for member in self.stored}

    def condition(self, column: str, dialect: str) -> str:
        """Leave room for the members of a newer program: an enum grows without a migration."""
        return f"{column} > 0"

    def process_bind_param(self, value: E | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)

    def read(self, stored: Any) -> E:
        member = self._members.get(stored) if type(stored) is int else None
        if member is None:
            raise Unreadable
        return member


class CanonicalJson(_Checked[Any]):
    """A JSON value with sorted keys and no blanks; None is SQL NULL."""

    impl = Text
    cache_ok = True
    brackets = ("{", "}")
    """What a value has at least."""

    def condition(self, column: str, dialect: str) -> str:
        return f"{column} LIKE '%{'%'.join(self.brackets)}%'"

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else canonical_json(value).decode()

    def read(self, stored: Any) -> Any:
        if type(stored) is not str:
            raise Unreadable
        try:
            return json.loads(stored)
        except (ValueError, RecursionError):
            raise Unreadable from None  # the original message quotes the value


class JsonObject(CanonicalJson):
    """A JSON object of anything; what it is made of checks the rest."""

    cache_ok = True

    def read(self, stored: Any) -> dict[str, Any]:
        value = super().read(stored)
        if type(value) is not dict:
            raise Unreadable
        return value


class JsonPairs(CanonicalJson):
    """A JSON object of texts."""

    cache_ok = True

    def read(self, stored: Any) -> dict[str, str]:
        if stored == "{}":
            return {}
        value = super().read(stored)
        if type(value) is not dict:
            raise Unreadable
        for key, text in value.items():
            readable_text(key)
            readable_text(text)
        return value


class JsonTexts(CanonicalJson):
    """A JSON list of texts."""

    cache_ok = True
    brackets = ("[", "]")

    def read(self, stored: Any) -> list[str]:
        value = super().read(stored)
        if type(value) is not list:
            raise Unreadable
        return [readable_text(text) for text in value]


class JsonCodes(CanonicalJson, Generic[E]):
    """A JSON list of members of one IntEnum, by their numbers."""

    cache_ok = True
    brackets = ("[", "]")

    def __init__(self, enum: type[E]) -> None:
        super().__init__()
        self.enum = enum
        self._members = {int(member): member for member in enum}

    def read(self, stored: Any) -> list[E]:
        value = super().read(stored)
        if type(value) is not list or not all(type(number) is int for number in value):
            raise Unreadable
        try:
            return [self._members[number] for number in value]
        except KeyError:
            raise Unreadable from None


def readable_text(stored: Any) -> str:
    """Return a text that UTF-8 can spell. Raises Unreadable."""
    if type(stored) is not str:
        raise Unreadable
    if not stored.isascii():
        try:
            stored.encode()
        except UnicodeEncodeError:
            raise Unreadable from None
    return stored
