"""The three-way merge of one provider model: as imported, as it is now, as the catalog has it.

A field is what an update writes, so a price list is one field: a mixture of an administrator's prices and a
catalog's would be a list that nobody chose. Kind and upstream ID never merge.

| field as it is now             | becomes       |
|--------------------------------|---------------|
| as imported                    | the catalog's |
| what the catalog has now       | the catalog's |
| anything else: an edit         | stays         |

``needs_review`` is about the price and follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from types import MappingProxyType
from typing import Any

from service.domain.json_forms import canonical_json
from service.domain.model import ModelFacts, Prices, Pricing, price_field, prices_of

FACT_FIELDS = (
    "display_name",
    "context_window",
    "max_output_tokens",
    "embedding_dimensions",
    "pricing",
    "capabilities",
    "retire_time",
)
"""The fields that both administrators and catalogs set, in the order of the API."""

REVIEW = "needs_review"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A value before and after, as text; None where it is unknown."""

    field: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class KeptField:
    """A value that stays because it was edited, with the imported value and the catalog's."""

    field: str
    value: str | None
    imported: str | None
    catalog: str | None


@dataclass(frozen=True, slots=True)
class Merge:
    """The result of a merge. ``overridden`` are the fields that still are edits, sorted.

    ``changed`` are field names; ``changes`` and ``kept`` have values, with one entry for each price.
    """

    facts: ModelFacts
    overridden: tuple[str, ...]
    changed: tuple[str, ...]
    changes: tuple[FieldChange, ...]
    kept: tuple[KeptField, ...]


def overridden_fields(facts: ModelFacts, imported: ModelFacts) -> tuple[str, ...]:
    """Return the fields that differ from what was imported, sorted."""
    return tuple(sorted(name for name in FACT_FIELDS if getattr(facts, name) != getattr(imported, name)))


def merge(local: ModelFacts, imported: ModelFacts, catalog: ModelFacts) -> Merge:
    """Merge ``catalog`` into ``local``; merging the same again changes nothing."""
    edited = [
        name
        for name in FACT_FIELDS
        if getattr(local, name) not in (getattr(imported, name), getattr(catalog, name))
    ]
    kept_names = [*edited, REVIEW] if "pricing" in edited else edited
    facts = replace(catalog, kind=local.kind, **{name: getattr(local, name) for name in kept_names})
    changed = tuple(name for name in (*FACT_FIELDS, REVIEW) if getattr(local, name) != getattr(facts, name))
    return Merge(
        facts=facts,
        overridden=tuple(sorted(edited)),
        changed=changed,
        changes=tuple(change for name in changed for change in _changes(name, local, facts)),
        kept=tuple(kept for name in edited for kept in _kept(name, local, imported, catalog)),
    )


def adopt(local: ModelFacts, catalog: ModelFacts) -> Merge:
    """Merge ``catalog`` into a model that was never imported: what is known of it stays, as edits."""
    unset = {name: getattr(local, name) for name in FACT_FIELDS if not getattr(local, name)}
    return merge(local, replace(catalog, **unset), catalog)


def kind_difference(local: ModelFacts, catalog: ModelFacts) -> KeptField:
    """Return the difference between a model and a catalog's entry of another kind."""
    ours, theirs = (f"MODEL_KIND_{facts.kind.name}" for facts in (local, catalog))
    return KeptField("kind", ours, ours, theirs)


def _changes(name: str, before: ModelFacts, after: ModelFacts) -> list[FieldChange]:
    old, new = _texts(name, before), _texts(name, after)
    return [
        FieldChange(field, old.get(field), new.get(field))
        for field in _fields(old, new)
        if old.get(field) != new.get(field)
    ]


def _kept(name: str, local: ModelFacts, imported: ModelFacts, catalog: ModelFacts) -> list[KeptField]:
    ours, base, theirs = (_texts(name, facts) for facts in (local, imported, catalog))
    return [
        KeptField(field, ours.get(field), base.get(field), theirs.get(field))
        for field in _fields(ours, theirs)
        if ours.get(field) != theirs.get(field)
    ]


def _fields(one: Mapping[str, str | None], other: Mapping[str, str | None]) -> list[str]:
    """Return the paths of both, in the order of the first and then of the second."""
    return list({**one, **other})


def _texts(name: str, facts: ModelFacts) -> dict[str, str | None]:
    """Return a field's value as text by path; only a price list has several paths."""
    value = getattr(facts, name)
    if name == "pricing":
        return {} if value is None else _pricing_texts(value)
    return {name: _TEXTS[name](value) if value or name == REVIEW else None}


_TEXTS: Mapping[str, Callable[[Any], str]] = MappingProxyType(
    {
        "display_name": str,
        "context_window": str,
        "max_output_tokens": str,
        "embedding_dimensions": str,
        "capabilities": lambda value: _json([f"MODEL_CAPABILITY_{one.name}" for one in value]),
        "retire_time": lambda value: value.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        REVIEW: lambda value: str(value).lower(),
    }
)


def _pricing_texts(pricing: Pricing) -> dict[str, str | None]:
    tiers = [
        {"above_input_tokens": tier.above_input_tokens}
        | {name: price for name, price in _named(tier).items() if price is not None}
        for tier in pricing.tiers
    ]
    texts = {"currency_code": pricing.currency_code, **_named(pricing)}
    texts["tiers"] = _json(tiers) if tiers else None
    return {f"pricing.{name}": text for name, text in texts.items()}


def _named(prices: Prices) -> dict[str, str | None]:
    return {price_field(name): price for name, price in prices_of(prices).items()}


def _json(value: object) -> str:
    return canonical_json(value).decode()
