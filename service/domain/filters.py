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
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum, StrEnum
from functools import partial
from typing import Any, TypeVar

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


Row = TypeVar("Row")
Values = Sequence[object]
Test = Callable[[Values], bool]


def compiled(expression: Expression, get_field: Callable[[Row, str], object]) -> Callable[[Row], bool]:
    """Return what tells of a row whether it satisfies the tree.

    ``get_field`` gives a row's field by its name: str, int, bool, aware datetime or enum member, for LABELS
    the whole mapping, for MEMBERS and PATHS a tuple, for PRESENCE anything, and None where it is absent.

    A filter of many words is tried on tens of thousands of rows: each field is read, and folded, once a row,
    and alternatives of one field are one test.
    """
    columns: dict[tuple[str, bool], int] = {}
    test = _test(expression, columns)
    reads = list(columns)

    def keeps(row: Row) -> bool:
        return test(
            [_folded(get_field(row, name)) if folded else get_field(row, name) for name, folded in reads]
        )

    return keeps


_TESTS: Mapping[Op, Callable[[Any, Any], bool]] = {
    Op.EQ: operator.eq,
    Op.NE: operator.ne,
    Op.LT: operator.lt,
    Op.LE: operator.le,
    Op.GT: operator.gt,
    Op.GE: operator.ge,
    Op.HAS: operator.contains,
}


def _folded(value: object) -> object:
    return None if value is None else fold(str(value))


def _column(columns: dict[tuple[str, bool], int], name: str, *, folded: bool = False) -> int:
    return columns.setdefault((name, folded), len(columns))


def _test(expression: Expression, columns: dict[tuple[str, bool], int]) -> Test:
    match expression:
        case Comparison():
            return _comparison(expression, columns)
        case Word(field, text):
            return _any_word(_column(columns, field.name, folded=True), [text])
        case Not(term):
            negated = _test(term, columns)
            return lambda values: not negated(values)
        case And(terms):
            required = [_test(each, columns) for each in terms]
            return partial(_all, required)
        case Or(terms):
            return _alternatives(terms, columns)


def _all(tests: Sequence[Test], values: Values) -> bool:
    for test in tests:  # noqa: SIM110 - a generator takes twice as long
        if not test(values):
            return False
    return True


def _any(tests: Sequence[Test], values: Values) -> bool:
    for test in tests:  # noqa: SIM110 - a generator takes twice as long
        if test(values):
            return True
    return False


def _alternatives(terms: Sequence[Expression], columns: dict[tuple[str, bool], int]) -> Test:
    words: defaultdict[int, list[str]] = defaultdict(list)
    equal: defaultdict[int, set[object]] = defaultdict(set)
    others: list[Test] = []
    for term in terms:
        match term:
            case Word(field, text):
                words[_column(columns, field.name, folded=True)].append(text)
            case Comparison(field, Op.EQ, value, prefix=False) if field.type in _SCALARS:
                equal[_column(columns, field.name, folded=field.type is FilterType.NAME)].add(value)
            case _:
                others.append(_test(term, columns))
    tests = [_one_of(column, values) for column, values in equal.items()]
    tests += [_any_word(column, texts) for column, texts in words.items()]
    tests += others
    if len(tests) == 1:
        return tests[0]
    return partial(_any, tests)


_SCALARS = frozenset(
    {FilterType.STRING, FilterType.NAME, FilterType.ENUM, FilterType.INT, FilterType.BOOL, FilterType.TIME}
)


def _one_of(column: int, wanted: set[object]) -> Test:
    return lambda values: values[column] in wanted


def _any_word(column: int, texts: Sequence[str]) -> Test:
    def found(values: Values) -> bool:
        value = str(values[column] or "")
        for text in texts:  # noqa: SIM110 - a generator takes twice as long
            if text in value:
                return True
        return False

    return found


def _comparison(comparison: Comparison, columns: dict[tuple[str, bool], int]) -> Test:
    field, op, wanted = comparison.field, comparison.op, comparison.value
    match field.type:
        case FilterType.LABELS:
            column, key = _column(columns, field.name), comparison.key
            test = _of_value(comparison)
            return lambda values: test(values[column].get(key))  # type: ignore[attr-defined]
        case FilterType.PATHS:
            column = _column(columns, field.name)
            return lambda values: any(_lies_at(name, wanted) for name in values[column])  # type: ignore[attr-defined]
        case FilterType.MEMBERS:
            column = _column(columns, field.name)
            if wanted is None:
                return lambda values: bool(values[column])
            return lambda values: wanted in values[column]  # type: ignore[operator]
        case _:
            folds = wanted is not None and (op is Op.HAS or field.type is FilterType.NAME)
            column = _column(columns, field.name, folded=folds)
            test = _of_value(comparison)
            return lambda values: test(values[column])


def _of_value(comparison: Comparison) -> Callable[[object], bool]:
    """The test of one value, which is folded where the comparison's is; None where it is absent."""
    op, wanted = comparison.op, comparison.value
    absent = op is Op.NE
    if wanted is None:
        return lambda actual: actual is not None or absent
    if comparison.prefix:
        beginning = str(wanted)
        return lambda actual: absent if actual is None else str(actual).startswith(beginning) is not absent
    compare = _TESTS[op]
    return lambda actual: absent if actual is None else compare(actual, wanted)


def _lies_at(name: str, place: object) -> bool:
    """Whether a resource is the one named, or a part of it; of None, every one is."""
    return place is None or name == place or name.startswith(f"{place}/")
