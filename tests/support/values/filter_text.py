"""Filters spelt out: the inverse of the parser, for the tests that hold it to what it accepted."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum

from service.domain.filters import And, Comparison, Expression, Not, Or, Value, Word


def to_string(expression: Expression) -> str:
    """The canonical spelling of a tree; parsing it gives an equal tree."""
    match expression:
        case Comparison():
            return _comparison_to_string(expression)
        case Word(_, text):
            return _quote(text)
        case Not(Comparison() | Word() as term):
            return f"NOT {to_string(term)}"
        case Not(term):
            return f"NOT ({to_string(term)})"
        case And(terms):
            return " AND ".join(to_string(term) for term in terms)
        case Or(terms):
            return " OR ".join(f"({to_string(t)})" if isinstance(t, And) else to_string(t) for t in terms)


def _comparison_to_string(comparison: Comparison) -> str:
    name, value = comparison.field.name, comparison.value
    if comparison.key and value is None:
        return f"{name}:{comparison.key}"
    path = f"{name}.{comparison.key}" if comparison.key else name
    if comparison.prefix:
        return f'{path} {comparison.op} {_quote(str(value))[:-1]}*"'
    return f"{path}:*" if value is None else f"{path} {comparison.op} {_literal(value)}"


def _literal(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case IntEnum():
            return value.name
        case int():
            return str(value)
        case datetime():
            return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
        case str():
            return _quote(value)


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("*", "\\*") + '"'
