"""Convert one model's facts, as gathered from the public price tables, to its block in a catalog file.

Nothing is invented and nothing is dropped silently: a fact without a place in a catalog is refused, so that a
new form of facts is noticed by whoever builds the release.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from service.domain.catalog import kind_from_slug, kind_slug
from service.domain.model import PRICES, ModelFacts, ProviderKind
from tools.catalog.canonical import canonical_bytes
from tools.catalog.document import CatalogFileError, Fields, parse_document, read_document
from tools.catalog.models import EXTRA_PRICES, MAX_TOKENS, PRICES_BY_PLACE, read_model
from tools.catalog.reader import RULES
from tools.catalog.sanity import SanityRule, broken_rules

UNIT = "USD per 1,000,000 tokens, decimal strings"
PER = "1M tokens"

_FILE_KEYS = frozenset({"kind", "catalog_version", "as_of", "unit", "sources", "models"})
_MODEL_KEYS = frozenset(
    {
        "upstream_model_id",
        "display_name",
        "display_name_source",
        "mode",
        "context_window",
        "max_input_tokens",
        "max_output_tokens",
        "pricing",
        "capabilities",
        "embedding_dimensions",
        "lifecycle",
        "deprecation_date",
        "release_date",
        "knowledge_cutoff",
        "source",
        "agreement",
    }
)
_VENDOR_KEYS = (
    "family",
    "publisher",
    "alias_of",
    "base_model_id",
    "id_type",
    "region_prefix",
    "regions",
    "inference_profile_prefixes",
)
_MODEL_EXTRAS = frozenset(
    {
        *_VENDOR_KEYS,
        "apis",
        "lifecycle_hint",
        "metadata_from_undated_sibling",
        "regional_pricing",
        "release_date_source",
        "upstream_id_note",
    }
)
_PRICING_KEYS = frozenset({"currency", "per", "input", "output"})
_PRICING_EXTRAS = frozenset({*PRICES, *EXTRA_PRICES, "tiers", "tiers_source", "tiers_note", "service_tiers"})
_TIER_KEYS = frozenset({"above_input_tokens"})
_SOURCE_KEYS = frozenset({"primary", "tables", "price_fields", "context", "keys"})
_SOURCE_EXTRAS = frozenset({"genai_prices_checked", "vendor_page"})
_AGREEMENT_KEYS = frozenset(
    {"price", "price_sources_agreeing", "price_sources_differing", "context", "needs_review"}
)
_EXCEPTION_KEYS = frozenset({"kind", "upstream_model_id", "rule", "reason"})
_AGREEMENT_EXTRAS = frozenset({"two_sources_price", "two_sources_context"})


@dataclass(frozen=True, slots=True)
class KindFacts:
    """The facts of one kind: its sources' versions, its models as catalog blocks.

    ``as_of`` is the day on which they were gathered; ``exceptions`` are those that its models need, in the
    manifest's form.
    """

    kind: ProviderKind
    as_of: date
    sources: dict[str, str]
    models: list[dict[str, Any]]
    exceptions: list[dict[str, str]]


ExceptionKey = tuple[str, str, SanityRule]
"""Kind, upstream model id and the rule that the model may break."""


def read_exceptions(path: Path) -> dict[ExceptionKey, str]:
    """Return the reasons for which models may break a rule, in whatever release they occur.

    Raises:
        CatalogFileError: the file is not what it must be.
    """
    fields = read_document(path).fields().allow(frozenset({"schema_version", "exceptions"}))
    fields.integer("schema_version", low=1, high=1)
    reasons: dict[ExceptionKey, str] = {}
    for entry in fields.objects("exceptions"):
        entry.allow(_EXCEPTION_KEYS)
        rule = RULES[entry.one_of("rule", RULES)]
        reasons[entry.text("kind"), entry.text("upstream_model_id"), rule] = entry.text("reason")
    return reasons


def read_facts(path: Path, release: str, reasons: Mapping[ExceptionKey, str]) -> KindFacts:
    """Return the facts in ``path``, which must be those of ``release``.

    Raises:
        CatalogFileError: with the facts' file and line; they are of another release, hold something that is
            not understood, or make no sense.
    """
    fields = read_document(path).fields().allow(_FILE_KEYS)
    if fields.text("catalog_version") != release:
        fields.refuse(f"is not {release}", "catalog_version")
    as_of = fields.day("as_of")
    if as_of.isoformat() > release.replace(".", "-"):
        fields.refuse(f"is after the day of release {release}", "as_of")
    fields.one_of("unit", {UNIT})
    sources = fields.nested("sources")
    kind = _kind(fields, path)
    blocks: dict[str, dict[str, Any]] = {}
    exceptions: dict[ExceptionKey, str] = {}
    for facts in fields.objects("models"):
        block = _block(facts.allow(_MODEL_KEYS, _MODEL_EXTRAS))
        model = _as_served(facts, path, block)
        if model.upstream_model_id in blocks:
            facts.refuse(f"{model.upstream_model_id} occurs twice", "upstream_model_id")
        blocks[model.upstream_model_id] = block
        for broken in broken_rules(model):
            key = (kind_slug(kind), model.upstream_model_id, broken.rule)
            if key not in reasons:
                facts.refuse(f"{model.upstream_model_id}: {broken.problem} ({broken.rule})", *broken.field)
            exceptions[key] = reasons[key]
    return KindFacts(
        kind=kind,
        as_of=as_of,
        sources={name: sources.text(name) for name in sources.names()},
        models=[blocks[model_id] for model_id in sorted(blocks)],
        exceptions=[
            {"kind": slug, "upstream_model_id": model_id, "rule": rule.value, "reason": reason}
            for (slug, model_id, rule), reason in sorted(exceptions.items())
        ],
    )


def _kind(fields: Fields, path: Path) -> ProviderKind:
    """Return the kind that the file is named after; facts may spell it with underscores."""
    kind = kind_from_slug(fields.text("kind").replace("_", "-"))
    if kind is None:
        fields.refuse("is not a provider kind", "kind")
    if path.stem.replace("_", "-") != kind_slug(kind):
        fields.refuse(f"is not what the file is named after, {path.stem}", "kind")
    return kind


def _as_served(facts: Fields, path: Path, block: dict[str, Any]) -> ModelFacts:
    """Return the model as a release has it; refuse what a release may not have, with the facts' line."""
    try:
        return read_model(parse_document(path, canonical_bytes(block)).fields())
    except CatalogFileError as error:
        facts.refuse(error.problem)


def _block(facts: Fields) -> dict[str, Any]:
    agreement = facts.nested("agreement").allow(_AGREEMENT_KEYS, _AGREEMENT_EXTRAS)
    pricing = facts.nested_or_none("pricing")
    if pricing is not None:
        pricing.allow(_PRICING_KEYS, _PRICING_EXTRAS).one_of("per", {PER})
    block: dict[str, Any] = {
        "upstream_model_id": facts.text("upstream_model_id"),
        "display_name": facts.text("display_name"),
        "kind": facts.text("mode"),
        "lifecycle": facts.text("lifecycle"),
        "release_date": facts.text_or_none("release_date"),
        "retire_date": facts.text_or_none("deprecation_date"),
        "knowledge_cutoff": _month_if_no_day(facts.text_or_none("knowledge_cutoff")),
        "context_window": facts.count_or_none("context_window", high=MAX_TOKENS),
        "max_input_tokens": facts.count_or_none("max_input_tokens", high=MAX_TOKENS),
        "max_output_tokens": facts.count_or_none("max_output_tokens", high=MAX_TOKENS),
        "embedding_dimensions": facts.count_or_none("embedding_dimensions", high=MAX_TOKENS),
        "capabilities": sorted(facts.texts("capabilities")),
        "pricing": None if pricing is None else _pricing(pricing),
        "needs_review": agreement.flag("needs_review"),
        "provenance": _provenance(facts, agreement, pricing),
    }
    optional = {
        "apis": sorted(facts.texts("apis")) if "apis" in facts else None,
        "extra_prices": _extra_prices(facts, pricing),
        "vendor": _vendor(facts),
        "notes": _notes(facts, pricing),
    }
    return block | {key: value for key, value in optional.items() if value}


def _month_if_no_day(published: str | None) -> str | None:
    """A cutoff of 2025-02-31 was published once: its month is kept, and the model's notes say so."""
    try:
        date.fromisoformat(published or "")
    except ValueError:
        return published[: len("YYYY-MM")] if published else None
    return published


def _pricing(facts: Fields) -> dict[str, Any]:
    pricing: dict[str, Any] = {"currency": facts.text("currency")}
    pricing |= {name: facts.price_or_none(name) for name in PRICES}
    if "tiers" in facts:
        pricing["tiers"] = [_tier(tier) for tier in facts.objects("tiers")]
    return pricing


def _tier(facts: Fields) -> dict[str, Any]:
    facts.allow(_TIER_KEYS, frozenset(PRICES))
    above = facts.integer("above_input_tokens", low=1, high=MAX_TOKENS)
    return {"above_input_tokens": above} | _known_prices(facts, PRICES)


def _extra_prices(facts: Fields, pricing: Fields | None) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if pricing is not None:
        extra |= _known_prices(pricing, sorted(EXTRA_PRICES))
        if "service_tiers" in pricing:
            extra["service_tiers"] = _prices_by_place(pricing.nested("service_tiers"))
    if "regional_pricing" in facts:
        extra["regions"] = _prices_by_place(facts.nested("regional_pricing"))
    return extra


def _prices_by_place(facts: Fields) -> dict[str, dict[str, str]]:
    return {
        place: _known_prices(facts.nested(place).allow(frozenset(), PRICES_BY_PLACE), sorted(PRICES_BY_PLACE))
        for place in facts.names()
    }


def _known_prices(facts: Fields, names: Iterable[str]) -> dict[str, str]:
    return {name: price for name in names if (price := facts.price_or_none(name)) is not None}


def _vendor(facts: Fields) -> dict[str, Any]:
    lists = ("regions", "inference_profile_prefixes")
    vendor: dict[str, Any] = {name: facts.text_or_none(name) for name in _VENDOR_KEYS if name not in lists}
    vendor |= {name: sorted(facts.texts(name)) for name in lists if name in facts}
    return {name: value for name, value in vendor.items() if value}


def _notes(facts: Fields, pricing: Fields | None) -> list[str]:
    notes = [facts.text_or_none("upstream_id_note"), facts.text_or_none("lifecycle_hint")]
    cutoff = facts.text_or_none("knowledge_cutoff")
    if cutoff != _month_if_no_day(cutoff):
        notes.append(f"knowledge cutoff published as {cutoff}, which is not a calendar day")
    if pricing is not None:
        notes.append(pricing.text_or_none("tiers_note"))
    return [note for note in notes if note is not None]


def _provenance(facts: Fields, agreement: Fields, pricing: Fields | None) -> dict[str, Any]:
    source = facts.nested("source").allow(_SOURCE_KEYS, _SOURCE_EXTRAS)
    keys, price_fields = source.nested("keys"), source.nested("price_fields")
    if sorted(source.texts("tables")) != sorted(keys.names()):
        source.refuse("does not name the same tables as keys", "tables")
    price_from = {name: price_fields.text(name) for name in price_fields.names()}
    if pricing is not None and "tiers_source" in pricing:
        price_from["tiers"] = pricing.text("tiers_source")
    optional = {
        "release_date_from": facts.text_or_none("release_date_source"),
        "metadata_from": facts.text_or_none("metadata_from_undated_sibling"),
        "checked_date": source.text_or_none("genai_prices_checked"),
        "vendor_page": source.text_or_none("vendor_page"),
    }
    return {
        "primary": source.text("primary"),
        "price_agreement": agreement.text("price"),
        "price_agreeing": sorted(agreement.texts("price_sources_agreeing")),
        "price_differing": sorted(agreement.texts("price_sources_differing")),
        "price_from": price_from,
        "context_agreement": agreement.text("context"),
        "context_from": source.text("context"),
        "display_name_from": facts.text("display_name_source"),
        "table_keys": {table: keys.text(table) for table in keys.names()},
    } | {name: value for name, value in optional.items() if value is not None}
