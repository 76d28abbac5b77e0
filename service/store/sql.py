"""The two expressions that SQLite and PostgreSQL spell differently."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


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
