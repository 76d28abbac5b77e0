"""Filters of the list RPCs as a typed tree: what may be filtered by, and which rows a tree keeps.

| type     | operators     | literal                      | meaning                                         |
|----------|---------------|------------------------------|-------------------------------------------------|
| STRING   | all           | text                         | exact, by code point; ``:`` contains, caseless  |
| NAME     | all           | text                         | as STRING, but both sides folded (`ids.fold`)   |
| ENUM     | = !=          | ACTIVE, STATE_ACTIVE, active |                                                 |
| INT      | all but ``:`` | decimal, signed 64 bits      |                                                 |
| BOOL     | = !=          | true, false                  |                                                 |
| TIME     | all           | RFC 3339, microseconds       | ``:*`` is set                                   |
| PRESENCE | ``:``         | ``*``                        | is set                                          |
| MEMBERS  | ``:``         | as ENUM                      | one of them is it; ``:*`` any                   |
| PATHS    | ``:``         | resource name                | one of them is it, or lies below it; ``:*`` any |
| LABELS   | = != ``:``    | text                         | ``labels:k`` and ``labels.k:*`` has key k;      |
|          |               |                              | ``labels.k:v`` is ``labels.k = v``              |

A STRING or NAME literal that ends in ``*`` matches the beginning, with ``=``, ``!=`` and ``:`` alike; with
``:`` regardless of case.

Logic is two-valued. What is absent (a label, an unset time) equals nothing and is neither less nor greater:
``!=`` is true of it, every other operator false, and NOT negates that. A SQL translation has to do the same
(``IS NOT NULL AND …``), and to compare strings by code point.

The grammar is `filter_parser`'s. Source: https://google.aip.dev/160
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum, StrEnum

from service.domain.ids import fold


class FilterType(Enum):
    """What a field holds, and so which operators and literals it takes."""

    STRING = "string"
    NAME = "name"
    ENUM = "enum"
    INT = "int"
    BOOL = "bool"
    TIME = "time"
    PRESENCE = "presence"
    MEMBERS = "members"
    PATHS = "paths"
    LABELS = "labels"


class Op(StrEnum):
    """The operators, spelt as in a filter."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    HAS = ":"


OPERATORS: Mapping[FilterType, frozenset[Op]] = {
    FilterType.STRING: frozenset(Op),
    FilterType.NAME: frozenset(Op),
    FilterType.ENUM: frozenset({Op.EQ, Op.NE}),
    FilterType.INT: frozenset(Op) - {Op.HAS},
    FilterType.BOOL: frozenset({Op.EQ, Op.NE}),
    FilterType.TIME: frozenset(Op),
    FilterType.PRESENCE: frozenset({Op.HAS}),
    FilterType.MEMBERS: frozenset({Op.HAS}),
    FilterType.PATHS: frozenset({Op.HAS}),
    FilterType.LABELS: frozenset({Op.EQ, Op.NE, Op.HAS}),
}


@dataclass(frozen=True, slots=True)
class FilterField:
    """A field that a list may be filtered by.

    ENUM and MEMBERS have ``members`` (the class), and the ``prefix`` that these carry in the API, such as
    ``STATE_``.
    """

    name: str
    type: FilterType
    members: Iterable[IntEnum] = ()
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class FilterSchema:
    """The fields of one list; ``word_field`` (a STRING or a NAME) is where bare words are looked for."""

    fields: tuple[FilterField, ...]
    word_field: FilterField

    @classmethod
    def of(cls, fields: Sequence[FilterField], *, words_in: str) -> FilterSchema:
        """A schema of these fields; bare words are looked for in the field of that name."""
        return cls(tuple(fields), next(field for field in fields if field.name == words_in))

    def find(self, name: str) -> FilterField | None:
        """The field of that name."""
        return next((field for field in self.fields if field.name == name), None)


Value = str | int | bool | datetime | IntEnum


@dataclass(frozen=True, slots=True)
class Comparison:
    """One restriction, typed.

    ``value`` is folded for NAME fields and for ``:``; None only with ``:``, which then asks for presence.
    ``key`` is the label's key, and empty for every other type. With ``prefix`` the value is a beginning.
    """

    field: FilterField
    op: Op
    value: Value | None
    key: str = ""
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """A bare word: ``text``, which is folded, is part of the folded ``field``."""

    field: FilterField
    text: str


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of ``term``."""

    term: Expression


@dataclass(frozen=True, slots=True)
class And:
    """All of at least two terms, none of which is an And."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of at least two terms, none of which is an Or."""

    terms: tuple[Expression, ...]


Expression = Comparison | Word | Not | And | Or


def matches(expression: Expression, get_field: Callable[[str], object]) -> bool:
    """Whether a row satisfies the tree.

    ``get_field`` gives a field's value by its name: str, int, bool, aware datetime or enum member, for LABELS
    the whole mapping, for MEMBERS and PATHS a tuple, for PRESENCE anything, and None where it is absent.
    """
    match expression:
        case Comparison():
            return _compare(expression, get_field(expression.field.name))
        case Word(field, text):
            return text in fold(str(get_field(field.name) or ""))
        case Not(term):
            return not matches(term, get_field)
        case And(terms):
            return all(matches(term, get_field) for term in terms)
        case Or(terms):
            return any(matches(term, get_field) for term in terms)


_TESTS: Mapping[Op, Callable[..., object]] = {
    Op.EQ: operator.eq,
    Op.NE: operator.ne,
    Op.LT: operator.lt,
    Op.LE: operator.le,
    Op.GT: operator.gt,
    Op.GE: operator.ge,
    Op.HAS: operator.contains,
}


def _compare(comparison: Comparison, actual: object) -> bool:
    if isinstance(actual, Mapping):
        actual = actual.get(comparison.key)
    if isinstance(actual, tuple):
        if comparison.field.type is FilterType.PATHS:
            return any(_lies_at(name, comparison.value) for name in actual)
        return bool(actual) if comparison.value is None else comparison.value in actual
    if actual is None:
        return comparison.op is Op.NE
    if comparison.value is None:
        return True
    if comparison.op is Op.HAS or comparison.field.type is FilterType.NAME:
        actual = fold(str(actual))
    if comparison.prefix:
        return str(actual).startswith(str(comparison.value)) is not (comparison.op is Op.NE)
    return bool(_TESTS[comparison.op](actual, comparison.value))


def _lies_at(name: str, place: object) -> bool:
    """Whether a resource is the one named, or a part of it; of None, every one is."""
    return place is None or name == place or name.startswith(f"{place}/")
