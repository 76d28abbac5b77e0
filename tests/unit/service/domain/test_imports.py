"""The plan of an import: every entry once, in order, under an id of its own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.catalog import Catalog
from service.domain.errors import InvalidArgument
from service.domain.imports import plan_import, selected
from service.domain.model import ModelFacts, ModelKind, ProviderKind


def facts(upstream_model_id: str) -> ModelFacts:
    return ModelFacts(upstream_model_id, upstream_model_id.title(), ModelKind.CHAT)


def catalog(*upstream_model_ids: str) -> Catalog:
    return Catalog(
        ProviderKind.OPENAI,
        "2026.04.15",
        datetime(2026, 4, 15, tzinfo=UTC),
        "0" * 64,
        tuple(facts(one) for one in upstream_model_ids),
    )


class TestSelected:
    def test_all_where_none_is_named(self) -> None:
        assert selected(catalog("a", "b"), []) == (facts("a"), facts("b"))

    def test_in_the_order_asked(self) -> None:
        assert selected(catalog("a", "b", "c"), ["c", "a"]) == (facts("c"), facts("a"))

    def test_the_first_twenty_that_are_missing_are_told_by_position(self) -> None:
        with pytest.raises(InvalidArgument) as caught:
            selected(catalog("a"), ["a", *(f"secret-{number}" for number in range(30))])
        error = caught.value
        assert [one.field for one in error.violations] == [f"upstream_model_ids[{n}]" for n in range(1, 21)]
        assert error.metadata["missing"] == "30"
        assert "secret" not in f"{error.message}{error.metadata}{error.violations}"


UPSTREAM = st.text(alphabet="aB1-./:@", min_size=1, max_size=4)


class TestPlanImport:
    def test_existing_ones_keep_their_ids(self) -> None:
        plan = plan_import([facts("a"), facts("b")], existing={"a": "own"}, taken_ids={"own"})
        assert [(one.model_id, one.created) for one in plan] == [("own", False), ("b", True)]

    def test_ids_step_around_what_is_taken_and_each_other(self) -> None:
        plan = plan_import([facts("a/b"), facts("a:b")], existing={}, taken_ids={"a-b"})
        assert [one.model_id for one in plan] == ["a-b-2", "a-b-3"]

    @given(st.lists(UPSTREAM, unique=True), st.dictionaries(UPSTREAM, UPSTREAM), st.sets(UPSTREAM))
    def test_every_entry_once_in_order_under_a_free_id(
        self, wanted: list[str], existing: dict[str, str], others: set[str]
    ) -> None:
        taken = others | set(existing.values())
        plan = plan_import([facts(one) for one in wanted], existing=existing, taken_ids=taken)
        assert [one.facts.upstream_model_id for one in plan] == wanted
        assert all(one.created == (one.facts.upstream_model_id not in existing) for one in plan)
        created = [one.model_id for one in plan if one.created]
        assert len(set(created)) == len(created)
        assert not taken.intersection(created)
