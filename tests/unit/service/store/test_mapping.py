"""Stored facts come back as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.json_forms import UnreadableForm, canonical_json, facts_from_json, facts_to_json
from service.domain.model import ModelCapability, ModelFacts
from tests.support.values.registry_values import FULL_PRICING, a_provider_model


class TestFactsFromJson:
    @given(
        st.builds(
            replace,
            st.just(a_provider_model().facts),
            display_name=st.text(),
            capabilities=st.lists(st.sampled_from(ModelCapability), unique=True).map(tuple),
            pricing=st.sampled_from([None, FULL_PRICING]),
            retire_time=st.none() | st.datetimes(timezones=st.just(UTC)),
            needs_review=st.booleans(),
            context_window=st.integers(0, 10**8),
        )
    )
    def test_is_the_inverse_of_facts_to_json(self, facts: ModelFacts) -> None:
        assert facts_from_json(json.loads(canonical_json(facts_to_json(facts)))) == facts

    def test_refuses_a_fact_it_does_not_know(self) -> None:
        with pytest.raises(UnreadableForm):
            facts_from_json({**facts_to_json(a_provider_model().facts), "other": 1})
