"""The three-way merge: what was edited stays, all else follows the catalog, and twice is once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.masks import PROVIDER_MODEL_MASK
from service.domain.merge import (
    FACT_FIELDS,
    FieldChange,
    KeptField,
    adopt,
    kind_difference,
    merge,
    overridden_fields,
)
from service.domain.model import ModelCapability, ModelFacts, ModelKind, Pricing, PricingTier

BASE = ModelFacts(
    upstream_model_id="fast",
    display_name="Fast",
    kind=ModelKind.CHAT,
    context_window=128_000,
    max_output_tokens=4_096,
    pricing=Pricing("USD", input="2.5", output="10"),
    capabilities=(ModelCapability.STREAMING,),
    retire_time=None,
    needs_review=True,
)

PRICES = st.none() | st.decimals(0, 999_999_999, places=6).map(lambda price: f"{price:f}")
PRICING = st.none() | st.builds(
    Pricing,
    st.sampled_from(["USD", "EUR"]),
    input=PRICES,
    output=PRICES,
    cached_input=st.sampled_from([None, "0", "0.25"]),
    cache_write=st.none(),
    tiers=st.sampled_from([(), (PricingTier(64_000, input="5.00"),), (PricingTier(64_000, output="20"),)]),
)
FACTS = st.builds(
    ModelFacts,
    upstream_model_id=st.just("fast"),
    display_name=st.sampled_from(["", "Fast", "Faster"]),
    kind=st.just(ModelKind.CHAT),
    context_window=st.sampled_from([0, 8_192, 128_000]),
    max_output_tokens=st.sampled_from([0, 4_096, 8_192]),
    embedding_dimensions=st.sampled_from([0, 1_024]),
    pricing=st.sampled_from([None, BASE.pricing, Pricing("EUR", input="1")]) | PRICING,
    capabilities=st.sampled_from([(), (ModelCapability.STREAMING,), (ModelCapability.TOOLS,)]),
    retire_time=st.sampled_from([None, datetime(2027, 1, 31, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)]),
    needs_review=st.booleans(),
)


def test_the_merged_fields_are_those_an_update_writes() -> None:
    assert set(FACT_FIELDS) == PROVIDER_MODEL_MASK.mutable - {"labels"}


class TestProperties:
    @given(FACTS, FACTS, FACTS)
    def test_each_field_is_the_catalogs_unless_it_was_edited(
        self, local: ModelFacts, imported: ModelFacts, catalog: ModelFacts
    ) -> None:
        merged = merge(local, imported, catalog)
        for name in FACT_FIELDS:
            ours, base, theirs, now = (getattr(one, name) for one in (local, imported, catalog, merged.facts))
            edited = ours != base
            assert now == (ours if edited else theirs)
            assert (name in merged.overridden) == (edited and ours != theirs)

    @given(FACTS, FACTS, FACTS)
    def test_merging_again_changes_nothing(
        self, local: ModelFacts, imported: ModelFacts, catalog: ModelFacts
    ) -> None:
        once = merge(local, imported, catalog)
        again = merge(once.facts, catalog, catalog)
        assert (again.facts, again.overridden) == (once.facts, once.overridden)
        assert (again.changed, again.changes) == ((), ())
        assert overridden_fields(once.facts, catalog) == once.overridden

    @given(FACTS, st.lists(FACTS, max_size=4), FACTS)
    def test_an_edit_survives_any_number_of_releases(
        self, imported: ModelFacts, releases: list[ModelFacts], last: ModelFacts
    ) -> None:
        local = replace(imported, display_name="Our own name", pricing=Pricing("CHF", input="1.23"))
        base = imported
        for release in [*releases, last]:
            local, base = merge(local, base, release).facts, release
        assert (local.display_name, local.pricing) == ("Our own name", Pricing("CHF", input="1.23"))
        untouched = set(FACT_FIELDS) - {"display_name", "pricing"}
        assert all(getattr(local, name) == getattr(last, name) for name in untouched)

    @given(FACTS, FACTS, FACTS)
    def test_what_is_told_is_what_happens(
        self, local: ModelFacts, imported: ModelFacts, catalog: ModelFacts
    ) -> None:
        merged = merge(local, imported, catalog)
        differing = [
            name
            for name in (*FACT_FIELDS, "needs_review")
            if getattr(local, name) != getattr(merged.facts, name)
        ]
        assert list(merged.changed) == differing
        assert list(dict.fromkeys(change.field.split(".")[0] for change in merged.changes)) == differing
        assert all(change.old != change.new for change in merged.changes)
        assert {kept.field.split(".")[0] for kept in merged.kept} == set(merged.overridden)

    @given(FACTS, FACTS)
    def test_prices_are_told_to_the_last_digit(self, local: ModelFacts, catalog: ModelFacts) -> None:
        told = {change.field: change for change in merge(local, local, catalog).changes}
        for name in ("input", "output"):
            old, new = (getattr(one.pricing, name, None) for one in (local, catalog))
            change = told.get(f"pricing.{name}_per_million_tokens")
            assert (old, new) == ((change.old, change.new) if change else (new, new))
            assert new is None or Decimal(new) >= 0

    @given(FACTS, FACTS)
    def test_adopting_keeps_all_that_is_known(self, local: ModelFacts, catalog: ModelFacts) -> None:
        adopted = adopt(local, catalog)
        for name in FACT_FIELDS:
            assert getattr(adopted.facts, name) == (getattr(local, name) or getattr(catalog, name))
        assert adopted.overridden == overridden_fields(adopted.facts, catalog)
        again = merge(adopted.facts, catalog, catalog)
        assert (again.facts, again.changes) == (adopted.facts, ())


class TestExamples:
    def test_an_edited_price_list_stays_whole_and_the_catalogs_is_told(self) -> None:
        local = replace(BASE, pricing=Pricing("USD", input="2.0", output="10"), needs_review=False)
        catalog = replace(BASE, pricing=Pricing("USD", input="2.5", output="8"), context_window=200_000)
        merged = merge(local, BASE, catalog)
        assert merged.facts.pricing == local.pricing
        assert merged.overridden == ("pricing",)
        assert merged.changes == (FieldChange("context_window", "128000", "200000"),)
        assert merged.kept == (
            KeptField("pricing.input_per_million_tokens", "2.0", "2.5", "2.5"),
            KeptField("pricing.output_per_million_tokens", "10", "10", "8"),
        )

    def test_an_edit_that_the_catalog_caught_up_with_is_none_any_more(self) -> None:
        local = replace(BASE, context_window=200_000)
        assert merge(local, BASE, replace(BASE, context_window=200_000)).overridden == ()

    @pytest.mark.parametrize(
        ("ours", "theirs", "after"),
        [(True, False, False), (False, True, True)],
        ids=["settled by the release", "raised by the release"],
    )
    def test_review_follows_an_untouched_price(self, ours: bool, theirs: bool, after: bool) -> None:
        merged = merge(replace(BASE, needs_review=ours), BASE, replace(BASE, needs_review=theirs))
        assert merged.facts.needs_review is after
        assert merged.changes == (FieldChange("needs_review", str(ours).lower(), str(theirs).lower()),)

    def test_review_of_an_edited_price_stays_settled(self) -> None:
        local = replace(BASE, pricing=Pricing("USD", input="3"), needs_review=False)
        assert merge(local, BASE, replace(BASE, needs_review=True)).facts.needs_review is False

    def test_values_are_told_as_the_api_writes_them(self) -> None:
        catalog = replace(
            BASE,
            display_name="",
            pricing=Pricing("USD", input="2.50", tiers=(PricingTier(64_000, output="0"),)),
            capabilities=(ModelCapability.STREAMING, ModelCapability.JSON_SCHEMA),
            retire_time=datetime(2027, 1, 31, tzinfo=UTC),
            needs_review=True,
        )
        assert merge(BASE, BASE, catalog).changes == (
            FieldChange("display_name", "Fast", None),
            FieldChange("pricing.input_per_million_tokens", "2.5", "2.50"),
            FieldChange("pricing.output_per_million_tokens", "10", None),
            FieldChange(
                "pricing.tiers", None, '[{"above_input_tokens":64000,"output_per_million_tokens":"0"}]'
            ),
            FieldChange(
                "capabilities",
                '["MODEL_CAPABILITY_STREAMING"]',
                '["MODEL_CAPABILITY_STREAMING","MODEL_CAPABILITY_JSON_SCHEMA"]',
            ),
            FieldChange("retire_time", None, "2027-01-31T00:00:00Z"),
        )

    def test_a_cleared_price_list_is_an_edit_too(self) -> None:
        merged = merge(replace(BASE, pricing=None), BASE, BASE)
        assert merged.facts.pricing is None
        assert merged.kept[0] == KeptField("pricing.currency_code", None, "USD", "USD")

    def test_kinds_are_told(self) -> None:
        theirs = replace(BASE, kind=ModelKind.EMBEDDING)
        assert kind_difference(BASE, theirs) == KeptField(
            "kind", "MODEL_KIND_CHAT", "MODEL_KIND_CHAT", "MODEL_KIND_EMBEDDING"
        )
