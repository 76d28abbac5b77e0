"""The expressions that SQLite and PostgreSQL spell differently."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    ColumnElement,
    Subquery,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from service.domain.ids import MODEL_ID, PROVIDER_ID
from service.domain.json_forms import canonical_json
from service.store.columns import LossyText

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


def listed(dialect: str, **columns: TypeEngine[Any]) -> Subquery:
    """Return rows that travel as one parameter, ``rows``: a JSON array of arrays, each in this order."""
    rows = bindparam("rows", type_=Text())
    if dialect == "sqlite":
        each = func.json_each(rows).table_valued("value")
        parts = [
            func.json_extract(each.c.value, f"$[{index}]", type_=type_).label(name)
            for index, (name, type_) in enumerate(columns.items())
        ]
    else:
        each = func.json_array_elements(cast(rows, JSON)).table_valued(column("value", JSON))
        parts = [
            cast(each.c.value.op("->>")(literal_column(str(index))), type_).label(name)
            for index, (name, type_) in enumerate(columns.items())
        ]
    found = select(*parts)
    # OFFSET 0 has PostgreSQL take each row apart once, and not at every mention of a part.
    return (found if dialect == "sqlite" else found.offset(literal_column("0"))).subquery("listed")


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


class Printable(FunctionElement[bool]):
    """Whether a column holds a text of printable ASCII: SQLite also keeps other things in one of texts."""

    type = Boolean()
    inherit_cache = True
    name = "printable"


@compiles(Printable, "sqlite")
def _printable_sqlite(element: Printable, compiler: SQLCompiler, **options: Any) -> str:
    column = _operand(element, compiler, **options)
    return f"(typeof({column}) = 'text' AND {column} NOT GLOB '*[^ -~]*')"


@compiles(Printable, "postgresql")
def _printable_postgresql(element: Printable, compiler: SQLCompiler, **options: Any) -> str:
    return f"({_operand(element, compiler, **options)} ~ '^[ -~]*$')"


class Lossy(FunctionElement[str]):
    """A column's text, with question marks for what is not UTF-8: a bad row must not fail a read of many."""

    type = LossyText()
    inherit_cache = True
    name = "lossy"


@compiles(Lossy, "sqlite")
def _lossy_sqlite(element: Lossy, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({_operand(element, compiler, **options)} AS BLOB)"


@compiles(Lossy, "postgresql")
def _lossy_postgresql(element: Lossy, compiler: SQLCompiler, **options: Any) -> str:
    return _operand(element, compiler, **options)


def _operand(element: FunctionElement[Any], compiler: SQLCompiler, **options: Any) -> str:
    [clause] = element.clauses
    return compiler.process(clause, **options)


class ProviderIdShaped(FunctionElement[bool]):
    """Whether a text can be a provider's id, as `service.domain.ids` spells it."""

    type = Boolean()
    inherit_cache = True
    name = "provider_id_shaped"


class ModelIdShaped(FunctionElement[bool]):
    """Whether a text can be the id of a model or a provider model, as `service.domain.ids` spells it."""

    type = Boolean()
    inherit_cache = True
    name = "model_id_shaped"


@compiles(ProviderIdShaped, "sqlite")
def _provider_id_sqlite(element: ProviderIdShaped, compiler: SQLCompiler, **options: Any) -> str:
    return _glob(_operand(element, compiler, **options), "[a-z]", "a-z0-9-", 63)


@compiles(ModelIdShaped, "sqlite")
def _model_id_sqlite(element: ModelIdShaped, compiler: SQLCompiler, **options: Any) -> str:
    return _glob(_operand(element, compiler, **options), "[a-z0-9]", "a-z0-9.-", 128)


def _glob(column: str, first: str, others: str, length: int) -> str:
    return (
        f"(typeof({column}) = 'text' AND length({column}) <= {length} AND instr({column}, char(0)) = 0 "
        f"AND {column} GLOB '{first}*' AND {column} GLOB '*[a-z0-9]' AND {column} NOT GLOB '*[^{others}]*')"
    )


@compiles(ProviderIdShaped, "postgresql")
def _provider_id_postgresql(element: ProviderIdShaped, compiler: SQLCompiler, **options: Any) -> str:
    return f"({_operand(element, compiler, **options)} ~ '^{PROVIDER_ID}$')"


@compiles(ModelIdShaped, "postgresql")
def _model_id_postgresql(element: ModelIdShaped, compiler: SQLCompiler, **options: Any) -> str:
    return f"({_operand(element, compiler, **options)} ~ '^{MODEL_ID}$')"
