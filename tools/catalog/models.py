"""One model's block of a catalog file: check all of it, and return what the registry serves."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time

from service.domain.model import PRICES, ModelCapability, ModelFacts, ModelKind, Pricing, PricingTier
from tools.catalog.document import Fields

MAX_TOKENS = 100_000_000
MAX_DIMENSIONS = 65_536
MAX_TIERS = 8
MAX_DISPLAY_NAME = 63

CAPABILITIES = {capability.name.lower(): capability for capability in ModelCapability}
KINDS = {kind.name.lower(): kind for kind in ModelKind}
LIFECYCLES = frozenset({"preview", "active", "deprecation_scheduled", "deprecated", "retired"})
PRICE_AGREEMENTS = frozenset({"agree", "majority", "tie", "conflict", "single_source", "no_price"})
CONTEXT_AGREEMENTS = frozenset(
    {"agree", "agree_definition", "agree_rounding", "majority", "conflict", "single_source"}
)
EXTRA_PRICES = frozenset({"cache_write_1h", "batch_input", "batch_output", "audio_input", "audio_output"})
PRICES_BY_PLACE = frozenset({*PRICES, "batch_input", "batch_output"})

_UPSTREAM_ID = re.compile(r"[\x21-\x7e]{1,256}")
_CURRENCY = re.compile(r"[A-Z]{3}")

_MODEL_KEYS = frozenset(
    {
        "upstream_model_id",
        "display_name",
        "kind",
        "lifecycle",
        "release_date",
        "retire_date",
        "knowledge_cutoff",
        "context_window",
        "max_input_tokens",
        "max_output_tokens",
        "embedding_dimensions",
        "capabilities",
        "pricing",
        "needs_review",
        "provenance",
    }
)
_MODEL_EXTRAS = frozenset({"apis", "extra_prices", "vendor", "notes"})
_PRICING_KEYS = frozenset({"currency", *PRICES})
_TIERS = frozenset({"tiers"})
_TIER_KEYS = frozenset({"above_input_tokens"})
_TIER_PRICES = frozenset(PRICES)
_PLACES = frozenset({"service_tiers", "regions"})
_VENDOR_TEXTS = frozenset({"family", "publisher", "alias_of", "base_model_id", "id_type", "region_prefix"})
_VENDOR_LISTS = frozenset({"inference_profile_prefixes", "regions"})
_PROVENANCE_KEYS = frozenset(
    {
        "primary",
        "price_agreement",
        "price_agreeing",
        "price_differing",
        "price_from",
        "context_agreement",
        "context_from",
        "display_name_from",
        "table_keys",
    }
)
_PROVENANCE_EXTRAS = frozenset({"release_date_from", "metadata_from", "checked_date", "vendor_page"})


def read_model(fields: Fields) -> ModelFacts:
    """Return the model's facts; unknown counts become 0 and a day becomes its first instant in UTC.

    Raises:
        CatalogFileError: a field is missing, unknown, of another type or out of its range.
    """
    fields.allow(_MODEL_KEYS, _MODEL_EXTRAS)
    kind = KINDS[fields.one_of("kind", KINDS)]
    dimensions = fields.count_or_none("embedding_dimensions", high=MAX_DIMENSIONS)
    if dimensions is not None and kind is not ModelKind.EMBEDDING:
        fields.refuse("only an embedding model has dimensions", "embedding_dimensions")
    _check_untold(fields)
    return ModelFacts(
        upstream_model_id=fields.matching(
            "upstream_model_id", _UPSTREAM_ID, "1 to 256 visible ASCII characters"
        ),
        display_name=fields.text("display_name", max_length=MAX_DISPLAY_NAME),
        kind=kind,
        context_window=fields.count_or_none("context_window", high=MAX_TOKENS) or 0,
        max_output_tokens=fields.count_or_none("max_output_tokens", high=MAX_TOKENS) or 0,
        embedding_dimensions=dimensions or 0,
        pricing=_read_pricing(fields),
        capabilities=_read_capabilities(fields),
        retire_time=_read_retire_time(fields),
        needs_review=fields.flag("needs_review"),
    )


def _read_pricing(model: Fields) -> Pricing | None:
    fields = model.nested_or_none("pricing")
    if fields is None:
        return None
    fields.allow(_PRICING_KEYS, _TIERS)
    prices = {name: fields.price_or_none(name) for name in PRICES}
    return Pricing(
        currency_code=fields.matching("currency", _CURRENCY, "three capital letters"),
        **prices,
        tiers=_read_tiers(fields) if "tiers" in fields else (),
    )


def _read_tiers(pricing: Fields) -> tuple[PricingTier, ...]:
    tiers: list[PricingTier] = []
    for fields in pricing.objects("tiers"):
        fields.allow(_TIER_KEYS, _TIER_PRICES)
        above = fields.integer("above_input_tokens", low=1, high=MAX_TOKENS)
        if tiers and above <= tiers[-1].above_input_tokens:
            fields.refuse("tiers must rise", "above_input_tokens")
        prices = {name: fields.price_or_none(name) for name in PRICES}
        if not any(prices.values()):
            fields.refuse("a tier must set a price")
        tiers.append(PricingTier(above, **prices))
    if not 1 <= len(tiers) <= MAX_TIERS:
        pricing.refuse(f"must have 1 to {MAX_TIERS} tiers", "tiers")
    return tuple(tiers)


def _read_capabilities(model: Fields) -> tuple[ModelCapability, ...]:
    names = model.texts("capabilities")
    for index, name in enumerate(names):
        if name not in CAPABILITIES:
            model.refuse(f"must be one of {', '.join(sorted(CAPABILITIES))}", "capabilities", index)
    return tuple(sorted(CAPABILITIES[name] for name in names))


def _read_retire_time(model: Fields) -> datetime | None:
    retired, released = model.day_or_none("retire_date"), model.month_or_day_or_none("release_date")
    if retired is None:
        return None
    if released is not None and retired.isoformat() < released:
        model.refuse(f"is before release_date {released}", "retire_date")
    return datetime.combine(retired, time(), UTC)


def _check_untold(model: Fields) -> None:
    """Check what the files keep for people and other tools and the registry does not serve."""
    model.one_of("lifecycle", LIFECYCLES)
    model.count_or_none("max_input_tokens", high=MAX_TOKENS)
    model.month_or_day_or_none("knowledge_cutoff")
    for name in ("apis", "notes"):
        if name in model:
            model.texts(name)
    if "extra_prices" in model:
        _check_extra_prices(model.nested("extra_prices").allow(frozenset(), EXTRA_PRICES | _PLACES))
    if "vendor" in model:
        vendor = model.nested("vendor").allow(frozenset(), _VENDOR_TEXTS | _VENDOR_LISTS)
        for name in vendor.names():
            vendor.texts(name) if name in _VENDOR_LISTS else vendor.text(name)
    _check_provenance(model.nested("provenance").allow(_PROVENANCE_KEYS, _PROVENANCE_EXTRAS))


def _check_extra_prices(extra: Fields) -> None:
    for name in extra.names():
        if name not in _PLACES:
            extra.price_or_none(name)
            continue
        places = extra.nested(name)
        for place in places.names():
            prices = places.nested(place).allow(frozenset(), PRICES_BY_PLACE)
            for price in prices.names():
                prices.price_or_none(price)


def _check_provenance(provenance: Fields) -> None:
    provenance.text("primary")
    provenance.one_of("price_agreement", PRICE_AGREEMENTS)
    provenance.one_of("context_agreement", CONTEXT_AGREEMENTS)
    provenance.text("context_from")
    provenance.text("display_name_from")
    provenance.texts("price_agreeing")
    provenance.texts("price_differing")
    for name in ("price_from", "table_keys"):
        pairs = provenance.nested(name)
        for key in pairs.names():
            pairs.text(key)
    for name in ("release_date_from", "metadata_from", "vendor_page"):
        provenance.text_or_none(name)
    if "checked_date" in provenance:
        provenance.day("checked_date")
