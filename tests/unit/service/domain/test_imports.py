"""The plan of an import: every entry once, in order, under an id of its own; a refresh loses no edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.catalog import Catalog
from service.domain.errors import InvalidArgument
from service.domain.imports import (
    Action,
    ExistingPolicy,
    ImportChoices,
    ImportPlan,
    plan_import,
    selected,
)
from service.domain.merge import overridden_fields
from service.domain.model import ModelFacts, ModelKind, ModelSource, ProviderKind, ProviderModel
from tests.support.values.registry_values import a_provider, a_provider_model

OLD, NEW = "2026.04.15", "2026.11.20"
REFRESH = ImportChoices(existing_policy=ExistingPolicy.REFRESH)
PROVIDER = a_provider()


def facts(upstream_model_id: str, window: int = 0) -> ModelFacts:
    return ModelFacts(upstream_model_id, upstream_model_id.title(), ModelKind.CHAT, context_window=window)


def catalog(*entries: str | ModelFacts, version: str = OLD) -> Catalog:
    models = tuple(facts(one) if isinstance(one, str) else one for one in entries)
    return Catalog(ProviderKind.OPENAI, version, datetime(2026, 4, 15, tzinfo=UTC), "0" * 64, models)


def imported(entry: ModelFacts, *, model_id: str = "m", version: str = OLD, **edits: object) -> ProviderModel:
    model = a_provider_model(model_id, upstream_model_id=entry.upstream_model_id, source=ModelSource.CATALOG)
    changed = replace(entry, **edits)  # type: ignore[arg-type]
    return replace(
        model,
        facts=changed,
        imported=entry,
        catalog_version=version,
        overridden_fields=overridden_fields(changed, entry),
    )


def custom(upstream_model_id: str, model_id: str = "own") -> ProviderModel:
    return a_provider_model(model_id, upstream_model_id=upstream_model_id)


def planned(
    of: Catalog, stored: Sequence[ProviderModel] = (), choices: ImportChoices | None = None
) -> ImportPlan:
    return plan_import(of, choices or ImportChoices(), provider=PROVIDER, stored=stored)


def done(plan: ImportPlan) -> list[tuple[str, Action]]:
    return [(one.upstream_model_id, one.action) for one in plan.models]


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


class TestSkipping:
    def test_existing_ones_keep_their_ids_and_all_else(self) -> None:
        plan = planned(catalog("a", "b"), [custom("a"), imported(facts("b", 7), model_id="b")])
        assert done(plan) == [("a", Action.SKIPPED_EXISTING), ("b", Action.SKIPPED_EXISTING)]
        assert [one.model_id for one in plan.models] == ["own", "b"]
        assert (plan.created, plan.updates) == ((), [])

    def test_ids_step_around_what_is_taken_and_each_other(self) -> None:
        plan = planned(catalog("a/b", "a:b"), [custom("other", "a-b")])
        assert [one.model_id for one in plan.models] == ["a-b-2", "a-b-3"]

    @given(st.lists(UPSTREAM, unique=True), st.dictionaries(UPSTREAM, UPSTREAM))
    def test_every_entry_once_in_order_under_a_free_id(
        self, wanted: list[str], existing: dict[str, str]
    ) -> None:
        plan = planned(catalog(*wanted), [custom(of, model_id) for of, model_id in existing.items()])
        assert [one.upstream_model_id for one in plan.models] == wanted
        assert all((one in plan.created) == (one.upstream_model_id not in existing) for one in plan.models)
        created = [one.model_id for one in plan.created]
        assert len(set(created)) == len(created)
        assert not set(existing.values()).intersection(created)


class TestRefreshing:
    def test_what_becomes_of_each(self) -> None:
        stored = [
            imported(facts("changed", 1), model_id="a"),
            imported(facts("same"), model_id="b"),
            imported(facts("edited", 1), model_id="c", context_window=5),
            imported(facts("gone"), model_id="d"),
            custom("custom"),
            custom("custom and unknown", "own-2"),
        ]
        newer = catalog(facts("changed", 2), "same", facts("edited", 2), "new", "custom", version=NEW)
        plan = planned(newer, stored, REFRESH)
        assert done(plan) == [
            ("changed", Action.REFRESHED),
            ("same", Action.UNCHANGED),
            ("edited", Action.UNCHANGED),
            ("new", Action.CREATED),
            ("custom", Action.KEPT_CUSTOM),
            ("gone", Action.GONE),
        ]
        assert [after.catalog_version for _, after in plan.updates] == [NEW] * 3
        assert [after.facts.context_window for _, after in plan.updates] == [2, 0, 5]
        assert plan.models[2].kept[0].catalog == "2"

    def test_all_else_of_a_refreshed_model_stays(self) -> None:
        before = replace(imported(facts("a", 1)), labels={"team": "blue"})
        [(_, after)] = planned(catalog(facts("a", 2), version=NEW), [before], REFRESH).updates
        assert after == replace(
            before, facts=facts("a", 2), imported=facts("a", 2), catalog_version=NEW, overridden_fields=()
        )

    def test_a_selection_concerns_no_other(self) -> None:
        choices = replace(REFRESH, upstream_model_ids=("b",))
        plan = planned(catalog("a", "b"), [imported(facts("gone"))], choices)
        assert done(plan) == [("b", Action.CREATED)]

    def test_existing_only_creates_nothing(self) -> None:
        choices = replace(REFRESH, existing_only=True)
        plan = planned(catalog("a", "b"), [imported(facts("a")), imported(facts("c"), model_id="c")], choices)
        assert done(plan) == [("a", Action.UNCHANGED), ("c", Action.GONE)]

    def test_an_entry_of_another_kind_is_skipped_and_both_kinds_told(self) -> None:
        entry = replace(facts("a", 9), kind=ModelKind.EMBEDDING)
        plan = planned(catalog(entry, version=NEW), [imported(facts("a"))], REFRESH)
        assert done(plan) == [("a", Action.SKIPPED_EXISTING)]
        assert plan.models[0].kept[0].catalog == "MODEL_KIND_EMBEDDING"
        assert plan.updates == []

    def test_an_older_release_can_be_gone_back_to(self) -> None:
        stored = imported(facts("a", 2), version=NEW)
        [(_, after)] = planned(catalog(facts("a", 1)), [stored], REFRESH).updates
        assert (after.facts, after.catalog_version) == (facts("a", 1), OLD)


class TestAdopting:
    CHOICES = replace(REFRESH, upstream_model_ids=("a",), adopt_custom=True)

    def test_what_is_set_stays_as_edits_and_the_rest_follows(self) -> None:
        own = custom("a")
        own = replace(own, facts=replace(own.facts, context_window=0, display_name="Mine"))
        [one] = planned(catalog(facts("a", 9)), [own], self.CHOICES).models
        after = one.after
        assert one.action is Action.ADOPTED
        assert after is not None
        assert (after.source, after.catalog_version, after.imported) == (
            ModelSource.CATALOG,
            OLD,
            facts("a", 9),
        )
        assert (after.facts.display_name, after.facts.context_window) == ("Mine", 9)
        assert {"display_name", "pricing"} <= set(after.overridden_fields)
        assert "context_window" not in after.overridden_fields

    def test_it_is_imported_from_then_on(self) -> None:
        [(_, after)] = planned(catalog(facts("a", 9)), [custom("a")], self.CHOICES).updates
        again = planned(catalog(facts("a", 9)), [after], self.CHOICES)
        assert done(again) == [("a", Action.UNCHANGED)]
        assert again.updates == []


WINDOWS = st.integers(1, 3)
RELEASE = st.dictionaries(st.sampled_from("abcdef"), WINDOWS)


class TestProperties:
    @given(
        RELEASE, RELEASE, st.dictionaries(st.sampled_from("abcdef"), WINDOWS), st.sets(st.sampled_from("xab"))
    )
    def test_a_second_refresh_changes_nothing_and_no_edit_is_lost(
        self, old: dict[str, int], new: dict[str, int], edits: dict[str, int], customs: set[str]
    ) -> None:
        stored = {
            name: imported(facts(name, window), model_id=name, context_window=edits.get(name, window))
            for name, window in old.items()
        }
        stored |= {name: custom(name, name) for name in customs}
        newer = catalog(*(facts(name, window) for name, window in sorted(new.items())), version=NEW)
        plan = planned(newer, list(stored.values()), REFRESH)
        after = stored | {change.model_id: change for _, change in plan.updates}

        for name, model in after.items():
            before = stored[name]
            edited = before.facts != before.imported
            if model.source is ModelSource.CUSTOM or edited or name not in new:
                assert model.facts == before.facts
            else:
                assert model.facts == facts(name, new[name])
            assert (model.state, model.labels, model.uid) == (before.state, before.labels, before.uid)
        assert {one.model_id for one in plan.created} == new.keys() - stored.keys()

        after |= {
            one.model_id: imported(one.entry, model_id=one.model_id, version=NEW)
            for one in plan.created
            if one.entry
        }
        again = planned(newer, list(after.values()), REFRESH)
        assert (again.created, again.updates) == ((), [])


class TestDigest:
    NEWER = catalog(facts("a", 2), "b", version=NEW)

    def digest(self, *stored: ProviderModel, **choices: object) -> str:
        return planned(self.NEWER, stored, replace(REFRESH, **choices)).digest  # type: ignore[arg-type]

    def test_is_the_same_for_the_same(self) -> None:
        model = imported(facts("a", 1))
        relabelled = replace(model, labels={"x": "y"}, revision=9)
        assert self.digest(model) == self.digest(relabelled)
        assert len(self.digest(model)) == 64

    @pytest.mark.parametrize(
        ("stored", "choices"),
        [
            pytest.param([imported(facts("a", 1))], {}, id="another model of that name"),
            pytest.param([imported(facts("a", 3))], {}, id="another value before"),
            pytest.param([imported(facts("a", 1), context_window=7)], {}, id="edited"),
            pytest.param([imported(facts("a", 1), version=NEW)], {}, id="of another release"),
            pytest.param([], {}, id="created"),
            pytest.param([], {"existing_only": True}, id="nothing"),
            pytest.param([], {"start_disabled": True}, id="created disabled"),
            pytest.param([custom("a")], {}, id="custom"),
        ],
    )
    def test_is_another_for_anything_else(
        self, stored: list[ProviderModel], choices: dict[str, object]
    ) -> None:
        assert self.digest(*stored, **choices) != self.digest(imported(facts("a", 1)))

    def test_is_of_one_provider_and_one_release(self) -> None:
        one = planned(self.NEWER, [], REFRESH).digest
        assert plan_import(self.NEWER, REFRESH, provider=a_provider(), stored=[]).digest != one
        assert planned(replace(self.NEWER, digest="1" * 64), [], REFRESH).digest != one
