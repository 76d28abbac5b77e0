"""Domain values as plain JSON values, and back: what the database, the change log and digests hold.

Decimal strings stay strings, so that no price ever passes through a float.
"""

from __future__ import annotations

import json
import re
from dataclasses import fields
from datetime import datetime
from typing import Any

from service.domain.model import (
    PRICES,
    ModelCapability,
    ModelFacts,
    ModelKind,
    Pricing,
    PricingTier,
    prices_of,
)

_FACTS = {field.name for field in fields(ModelFacts)}
_PRICE = re.compile(r"[0-9]+(?:\.[0-9]+)?")


class UnreadableForm(ValueError):
    """A JSON value is not what this program writes. Has nothing of the value."""


def canonical_json(value: object) -> bytes:
    """Sorted keys, no blanks, UTF-8: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def pricing_to_json(pricing: Pricing | None) -> dict[str, Any] | None:
    """Prices as plain JSON values; decimal strings stay strings."""
    if pricing is None:
        return None
    return {
        "currency_code": pricing.currency_code,
        **prices_of(pricing),
        "tiers": [
            {"above_input_tokens": tier.above_input_tokens, **prices_of(tier)} for tier in pricing.tiers
        ],
    }


def pricing_from_json(value: Any) -> Pricing | None:
    """The inverse of `pricing_to_json`. Raises UnreadableForm."""
    if value is None:
        return None
    tiers = tuple(
        PricingTier(
            above_input_tokens=count_from_json(member(tier, "above_input_tokens")), **_prices_from_json(tier)
        )
        for tier in list_from_json(member(value, "tiers"))
    )
    return Pricing(
        currency_code=text_from_json(member(value, "currency_code")), **_prices_from_json(value), tiers=tiers
    )


def _prices_from_json(value: Any) -> dict[str, str | None]:
    prices = {name: member(value, name) for name in PRICES}
    for price in prices.values():
        if price is not None and not (type(price) is str and _PRICE.fullmatch(price)):
            raise UnreadableForm
    return prices


def facts_to_json(facts: ModelFacts) -> dict[str, object]:
    """Model facts as plain JSON values (also how the imported base is stored)."""
    return {
        "upstream_model_id": facts.upstream_model_id,
        "display_name": facts.display_name,
        "kind": facts.kind,
        "context_window": facts.context_window,
        "max_output_tokens": facts.max_output_tokens,
        "embedding_dimensions": facts.embedding_dimensions,
        "pricing": pricing_to_json(facts.pricing),
        "capabilities": list(facts.capabilities),
        "retire_time": facts.retire_time.isoformat() if facts.retire_time else None,
        "needs_review": facts.needs_review,
    }


def facts_from_json(value: Any) -> ModelFacts:
    """The inverse of `facts_to_json`. Raises UnreadableForm."""
    retire_time, needs_review = member(value, "retire_time"), member(value, "needs_review")
    if value.keys() != _FACTS or type(needs_review) is not bool:
        raise UnreadableForm
    try:
        return ModelFacts(
            upstream_model_id=text_from_json(member(value, "upstream_model_id")),
            display_name=text_from_json(member(value, "display_name")),
            kind=ModelKind(count_from_json(member(value, "kind"))),
            context_window=count_from_json(member(value, "context_window")),
            max_output_tokens=count_from_json(member(value, "max_output_tokens")),
            embedding_dimensions=count_from_json(member(value, "embedding_dimensions")),
            pricing=pricing_from_json(member(value, "pricing")),
            capabilities=capabilities_from_json(member(value, "capabilities")),
            retire_time=None if retire_time is None else datetime.fromisoformat(text_from_json(retire_time)),
            needs_review=needs_review,
        )
    except ValueError:
        raise UnreadableForm from None  # the original message quotes the value


def capabilities_from_json(value: Any) -> tuple[ModelCapability, ...]:
    """Return capabilities by their numbers. Raises UnreadableForm, ValueError."""
    return tuple(ModelCapability(count_from_json(number)) for number in list_from_json(value))


def member(value: Any, name: str) -> Any:
    """Return a member of a JSON object. Raises UnreadableForm: no object, or it has none of that name."""
    if type(value) is not dict or name not in value:
        raise UnreadableForm
    return value[name]


def text_from_json(value: Any) -> str:
    """Return a text that UTF-8 can spell. Raises UnreadableForm."""
    if type(value) is not str:
        raise UnreadableForm
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UnreadableForm from None
    return value


def count_from_json(value: Any) -> int:
    """Return a number from 0 to the greatest that a message holds. Raises UnreadableForm."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise UnreadableForm
    return value


def list_from_json(value: Any) -> list[Any]:
    """Return a list. Raises UnreadableForm."""
    if type(value) is not list:
        raise UnreadableForm
    return value


def pairs_from_json(value: Any) -> dict[str, str]:
    """Return an object of texts. Raises UnreadableForm."""
    if type(value) is not dict:
        raise UnreadableForm
    return {text_from_json(key): text_from_json(text) for key, text in value.items()}
