"""Column types that hold the same bytes and sort the same way on SQLite and on PostgreSQL.

| value    | column                          | why                                                           |
|----------|---------------------------------|---------------------------------------------------------------|
| text     | TEXT, byte order                | PostgreSQL's default collation would order pages differently  |
| time     | BIGINT, microseconds since 1970 | exact, no time zone to lose, one arithmetic everywhere        |
| UUID     | TEXT of 36 characters           | readable in either shell, equal to what logs and the API show |
| enum     | INTEGER, the API's number       | names may be reworded, numbers are for ever                   |
| JSON     | TEXT, canonical                 | equal values are equal bytes; decimals stay strings           |
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import BigInteger, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator

from service.domain.json_forms import canonical_json

E = TypeVar("E", bound=IntEnum)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

BYTEWISE = Text().with_variant(Text(collation="C"), "postgresql")
"""Text compared by its UTF-8 bytes, which is SQLite's default and PostgreSQL's "C"."""


def to_micros(moment: datetime) -> int:
    """Return microseconds since 1970 of an aware time, exact."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the UTC time of `to_micros`."""
    return _EPOCH + timedelta(microseconds=micros)


class UtcMicros(TypeDecorator[datetime]):
    """A time as microseconds since 1970, UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_micros(value)


class UuidText(TypeDecorator[UUID]):
    """A UUID in its 36-character form."""

    impl = BYTEWISE
    cache_ok = True

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> UUID | None:
        return None if value is None else UUID(value)


class Code(TypeDecorator[E], Generic[E]):
    """A member of one IntEnum, by its number."""

    impl = Integer
    cache_ok = True

    def __init__(self, enum: type[E]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: E | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> E | None:
        return None if value is None else self.enum(value)


class CanonicalJson(TypeDecorator[Any]):
    """A JSON value with sorted keys and no blanks; None is SQL NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else canonical_json(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)
