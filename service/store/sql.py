"""The expressions that SQLite and PostgreSQL spell differently."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from service.domain.json_forms import canonical_json

_Texts = ColumnElement[str] | InstrumentedAttribute[str]


class Contains(FunctionElement[bool]):
    """Whether the first text contains the second, byte for byte: no wildcards, no letter case."""

    type = Boolean()
    inherit_cache = True
    name = "contains"


@compiles(Contains, "sqlite")
def _contains_sqlite(element: Contains, compiler: SQLCompiler, **options: Any) -> str:
    return f"(instr({compiler.process(element.clauses, **options)}) > 0)"


@compiles(Contains, "postgresql")
def _contains_postgresql(element: Contains, compiler: SQLCompiler, **options: Any) -> str:
    return f"(strpos({compiler.process(element.clauses, **options)}) > 0)"


class Member(FunctionElement[str]):
    """The text under a key of a column's JSON object of texts, or NULL where it has no such key.

    The key is plain: letters, digits, ``-`` and ``_``, as label keys are.
    """

    type = Text()
    inherit_cache = True
    name = "member"


@compiles(Member, "sqlite")
def _member_sqlite(element: Member, compiler: SQLCompiler, **options: Any) -> str:
    column, key = (compiler.process(clause, **options) for clause in element.clauses)
    return f"""json_extract({column}, '$."' || {key} || '"')"""


@compiles(Member, "postgresql")
def _member_postgresql(element: Member, compiler: SQLCompiler, **options: Any) -> str:
    column, key = (compiler.process(clause, **options) for clause in element.clauses)
    return f"(CAST({column} AS JSON) ->> {key})"


def among(column: _Texts, values: Iterable[str]) -> ColumnElement[bool]:
    """Return whether the column is one of these texts, however many: they travel as one parameter.

    PostgreSQL takes 65,535 parameters in a statement, SQLite half of that.
    """
    return _Among(column, literal(canonical_json(sorted(values)).decode(), Text()))


def pair_among(one: _Texts, other: _Texts, values: Iterable[tuple[str, str]]) -> ColumnElement[bool]:
    """Return whether the two columns are one of these pairs of texts, which travel as one parameter too."""
    return _PairAmong(one, other, literal(canonical_json(sorted(values)).decode(), Text()))


class _Among(FunctionElement[bool]):
    type = Boolean()
    inherit_cache = True
    name = "among"


@compiles(_Among, "sqlite")
def _among_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({values})))"  # noqa: S608 - clauses that are compiled


@compiles(_Among, "postgresql")
def _among_postgresql(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({column} IN (SELECT json_array_elements_text(CAST({values} AS JSON))))"


class _PairAmong(FunctionElement[bool]):
    type = Boolean()
    inherit_cache = True
    name = "pair_among"


@compiles(_PairAmong, "sqlite")
def _pair_among_sqlite(element: _PairAmong, compiler: SQLCompiler, **options: Any) -> str:
    one, other, values = (compiler.process(clause, **options) for clause in element.clauses)
    pair = "json_extract(value, '$[0]'), json_extract(value, '$[1]')"
    return f"(({one}, {other}) IN (SELECT {pair} FROM json_each({values})))"  # noqa: S608 - clauses that are compiled


@compiles(_PairAmong, "postgresql")
def _pair_among_postgresql(element: _PairAmong, compiler: SQLCompiler, **options: Any) -> str:
    one, other, values = (compiler.process(clause, **options) for clause in element.clauses)
    pairs = f"json_array_elements(CAST({values} AS JSON)) AS pair"
    return f"(({one}, {other}) IN (SELECT pair ->> 0, pair ->> 1 FROM {pairs}))"  # noqa: S608 - clauses that are compiled
