"""Domain values as plain JSON values, and back: what the database, the change log and digests hold.

Decimal strings stay strings, so that no price ever passes through a float.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from service.domain.model import ModelCapability, ModelFacts, ModelKind, Pricing, PricingTier, prices_of


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


def pricing_from_json(value: Mapping[str, Any] | None) -> Pricing | None:
    """The inverse of `pricing_to_json`."""
    if value is None:
        return None
    tiers = tuple(PricingTier(**tier) for tier in value["tiers"])
    return Pricing(**{**value, "tiers": tiers})


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


def facts_from_json(value: Mapping[str, Any]) -> ModelFacts:
    """The inverse of `facts_to_json`."""
    retire_time = value["retire_time"]
    return ModelFacts(
        **{
            **value,
            "kind": ModelKind(value["kind"]),
            "pricing": pricing_from_json(value["pricing"]),
            "capabilities": tuple(ModelCapability(number) for number in value["capabilities"]),
            "retire_time": None if retire_time is None else datetime.fromisoformat(retire_time),
        }
    )
