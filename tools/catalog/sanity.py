"""Rules on what a model's facts mean: swapped prices have the right shape and are still wrong."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from service.domain.model import ModelFacts, ModelKind, Pricing

MAX_PRICE = {ModelKind.CHAT: Decimal(2000), ModelKind.EMBEDDING: Decimal(100)}
"""Per million tokens, in the catalog's currency: three times the most expensive model when this was set."""

MIN_PRICE = Decimal("0.0005")
"""A lower non-zero price is per token or per thousand tokens, entered as if it were per million."""

MAX_OUTPUT_TO_INPUT = Decimal(100)
"""Vendors charge up to ten times the input price for output; a hundred times is a slipped decimal point."""


class SanityRule(StrEnum):
    """What is checked of each model. A release may exempt a model from a rule, by ID and with a reason."""

    CACHED_ABOVE_INPUT = "cached-above-input"
    OUTPUT_BELOW_INPUT = "output-below-input"
    OUTPUT_FAR_ABOVE_INPUT = "output-far-above-input"
    PRICE_OUT_OF_RANGE = "price-out-of-range"
    OUTPUT_ABOVE_WINDOW = "output-above-window"


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """One rule that a model breaks. ``field`` is the path in the model, e.g. ``("pricing", "output")``."""

    rule: SanityRule
    field: tuple[str | int, ...]
    problem: str


def broken_rules(model: ModelFacts) -> tuple[BrokenRule, ...]:
    """Return every rule that ``model`` breaks: by its base prices first, then tier by tier."""
    broken: list[BrokenRule] = []
    if model.context_window and model.max_output_tokens > model.context_window:
        problem = f"{model.max_output_tokens} output tokens do not fit a window of {model.context_window}"
        broken.append(BrokenRule(SanityRule.OUTPUT_ABOVE_WINDOW, ("max_output_tokens",), problem))
    if model.pricing is not None:
        for index, prices in enumerate(_price_levels(model.pricing)):
            at: tuple[str | int, ...] = ("pricing",) if index == 0 else ("pricing", "tiers", index - 1)
            broken.extend(_broken_price_rules(model.kind, prices, at))
    return tuple(broken)


def _price_levels(pricing: Pricing) -> list[dict[str, Decimal]]:
    base = _known_prices(pricing.input, pricing.output, pricing.cached_input, pricing.cache_write)
    return [base] + [
        base | _known_prices(tier.input, tier.output, tier.cached_input, tier.cache_write)
        for tier in pricing.tiers
    ]


def _known_prices(
    input_: str | None, output: str | None, cached: str | None, write: str | None
) -> dict[str, Decimal]:
    prices = {"input": input_, "output": output, "cached_input": cached, "cache_write": write}
    return {name: Decimal(price) for name, price in prices.items() if price is not None}


def _broken_price_rules(
    kind: ModelKind, prices: dict[str, Decimal], at: tuple[str | int, ...]
) -> list[BrokenRule]:
    broken = [
        BrokenRule(
            SanityRule.PRICE_OUT_OF_RANGE,
            (*at, name),
            f"{price} per million tokens is not 0 and not between {MIN_PRICE} and {MAX_PRICE[kind]}",
        )
        for name, price in prices.items()
        if price and not MIN_PRICE <= price <= MAX_PRICE[kind]
    ]
    paid, output, cached = prices.get("input"), prices.get("output"), prices.get("cached_input")
    if paid is not None and cached is not None and cached > paid:
        problem = f"cached input at {cached} costs more than input at {paid}"
        broken.append(BrokenRule(SanityRule.CACHED_ABOVE_INPUT, (*at, "cached_input"), problem))
    if kind is ModelKind.CHAT and paid is not None and output is not None:
        if output < paid:
            problem = f"output at {output} costs less than input at {paid}: are the two swapped?"
            broken.append(BrokenRule(SanityRule.OUTPUT_BELOW_INPUT, (*at, "output"), problem))
        if paid and output > paid * MAX_OUTPUT_TO_INPUT:
            problem = f"output at {output} is more than {MAX_OUTPUT_TO_INPUT} times input at {paid}"
            broken.append(BrokenRule(SanityRule.OUTPUT_FAR_ABOVE_INPUT, (*at, "output"), problem))
    return broken
