"""Bundled catalogs: what is known about the models of each kind of provider, and when that makes sense.

The values here are what the catalog files hold once read; ``catalog_files`` reads them. The sanity rules live
here because they are about meaning: a price list with swapped columns has the right shape and is still wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from service.domain.model import ModelFacts, ModelKind, Pricing, ProviderKind
from upstreams.kinds import KINDS, Kind

MAX_PRICE = {ModelKind.CHAT: Decimal(2000), ModelKind.EMBEDDING: Decimal(100)}
"""Per million tokens, in the catalog's currency: thrice the dearest model sold when the guard was set."""

MIN_PRICE = Decimal("0.0005")
"""Below it a non-zero price is per token or per thousand tokens, entered as if it were per million."""

MAX_OUTPUT_TO_INPUT = Decimal(100)
"""Vendors ask up to ten times the input price for output; a hundred is a slipped decimal point."""


@dataclass(frozen=True, slots=True)
class KindInfo:
    """A kind, and the newest bundled release that covers it; "" where none does."""

    kind: Kind
    catalog_version: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """One dated catalog of one kind, models sorted by id. ``digest``: lower-case hex SHA-256 of its file."""

    kind: ProviderKind
    version: str
    release_time: datetime
    digest: str
    models: tuple[ModelFacts, ...]

    @property
    def name(self) -> str:
        """The resource name, ``catalogs/{kind}``."""
        return f"catalogs/{kind_slug(self.kind)}"


@dataclass(frozen=True, slots=True)
class Catalogs:
    """All bundled releases, in the order of the kinds' numbers."""

    catalogs: tuple[Catalog, ...]

    def versions(self, kind: ProviderKind) -> tuple[str, ...]:
        """The releases that cover ``kind``, newest first."""
        return tuple(sorted((c.version for c in self.catalogs if c.kind is kind), reverse=True))

    def get(self, kind: ProviderKind, version: str) -> Catalog | None:
        """The catalog of ``kind`` in one release, or None when that release does not have it."""
        return next((c for c in self.catalogs if c.kind is kind and c.version == version), None)

    def newest(self, kind: ProviderKind) -> Catalog | None:
        """The newest catalog of ``kind``, or None when no release covers it."""
        return max((c for c in self.catalogs if c.kind is kind), key=lambda c: c.version, default=None)

    def list(self) -> tuple[Catalog, ...]:
        """The newest catalog of each kind that has one, in the order of the kinds' numbers."""
        return tuple(catalog for kind in ProviderKind if (catalog := self.newest(kind)) is not None)

    def kinds(self) -> tuple[KindInfo, ...]:
        """Return every kind in the order of the numbers, whether a release covers it or not."""
        return tuple(KindInfo(KINDS[kind], max(self.versions(kind), default="")) for kind in ProviderKind)


def kind_slug(kind: ProviderKind) -> str:
    """The kind as resource names and catalog files spell it, e.g. ``vertex-anthropic``."""
    return kind.name.lower().replace("_", "-")


def kind_from_slug(slug: str) -> ProviderKind | None:
    """The inverse of ``kind_slug``; None for what is no kind."""
    return next((kind for kind in ProviderKind if kind_slug(kind) == slug), None)


class SanityRule(StrEnum):
    """What is checked of each model. A release may except a model from a rule, by id and with a reason."""

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
    """Every rule that ``model`` breaks: base prices first, then each tier with base prices filled in."""
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
