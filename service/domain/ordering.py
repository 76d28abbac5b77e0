"""The order of a list: ``order_by`` as AIP-132 has it, comma-separated fields with an optional `` desc``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from service.domain.errors import invalid_field


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One field to sort by. Whoever sorts adds the resource name behind the last one, to make order total."""

    field: str
    descending: bool = False


def parse_order_by(text: str, allowed: Collection[str], *, default: str) -> tuple[OrderTerm, ...]:
    """The fields to sort by, most significant first; ``default`` ascending when ``text`` is blank.

    Raises:
        InvalidArgument: a field that is not allowed or comes twice, or another direction.
    """
    if not text.strip(" "):
        return (OrderTerm(default),)
    terms = tuple(_term(part, allowed) for part in text.split(","))
    if len({term.field for term in terms}) < len(terms):
        raise invalid_field("order_by", "must name each field once", rule="order_by.unique")
    return terms


def _term(part: str, allowed: Collection[str]) -> OrderTerm:
    words = part.strip(" ").split(" ")
    name, directions = words[0], [word for word in words[1:] if word]
    if name not in allowed or directions not in ([], ["asc"], ["desc"]):
        description = f'must be fields, each with an optional " desc", out of: {", ".join(allowed)}'
        raise invalid_field("order_by", description, rule="order_by.form")
    return OrderTerm(name, directions == ["desc"])
