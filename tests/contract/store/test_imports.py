"""Imports and refreshes on both databases: the preview is what happens, and no edit is ever lost."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.calls import Call, IdempotencyKey
from service.domain.catalog import Catalog, Catalogs
from service.domain.errors import Aborted, FailedPrecondition, InvalidArgument
from service.domain.imports import Action, ExistingPolicy, ImportChoices
from service.domain.model import (
    ModelFacts,
    ModelKind,
    ModelSource,
    Pricing,
    ProviderKind,
    ProviderModel,
    State,
)
from service.domain.pages import PageTokens
from service.sealing.kms_client import KmsClient
from service.sealing.sealer import Sealer
from service.store import Store, WriteUnit
from service.usecases import provider_models
from service.usecases.context import Context, Written
from service.usecases.imports import ImportReport, import_provider_models
from service.usecases.provider_models import ProviderModelDraft
from tests.contract.store.test_statements import counted_statements
from tests.support.values.registry_values import a_credential, a_provider, new_uuid
from upstreams.addresses import AddressPolicy

VERSIONS = ("2026.04.15", "2026.11.20", "2027.01.31")
REFRESH = ImportChoices(existing_policy=ExistingPolicy.REFRESH)
CALL = Call("dev:loopback", "ImportProviderModels", time.monotonic() + 3600)

Release = Mapping[str, tuple[int, str | None]]
"""Window and input price by upstream id."""


def entry(upstream_model_id: str, window: int, price: str | None) -> ModelFacts:
    pricing = None if price is None else Pricing("USD", input=price, output="99")
    return ModelFacts(upstream_model_id, "", ModelKind.CHAT, context_window=window, pricing=pricing)


def catalog(version: str, release: Release) -> Catalog:
    models = tuple(entry(name, *facts) for name, facts in sorted(release.items()))
    digest = f"{version.replace('.', ''):0>64}"
    return Catalog(ProviderKind.OPENAI, version, datetime(2026, 4, 15, tzinfo=UTC), digest, models)


@dataclass
class Registry:
    """A store with one provider, and releases to import from. Nothing here seals, so there is no sidecar."""

    store: Store
    releases: tuple[Release, ...]
    provider_id: str
    ctx: Context = field(init=False)

    def __post_init__(self) -> None:
        catalogs = tuple(catalog(*one) for one in zip(VERSIONS, self.releases, strict=False))
        self.ctx = Context(
            store=self.store,
            kms=cast(KmsClient, None),
            sealer=cast(Sealer, None),
            catalogs=Catalogs(catalogs),
            url_policy=AddressPolicy(),
            page_tokens=PageTokens(bytes(32)),
            impact_key=bytes(32),
            new_uuid=new_uuid,
        )
        provider = a_provider(self.provider_id, kind=ProviderKind.OPENAI)
        self.store.write(lambda unit: unit.providers.insert(provider, None))

    def run(
        self,
        choices: ImportChoices = REFRESH,
        version: str = "",
        *,
        validate_only: bool = False,
        key: IdempotencyKey | None = None,
        **options: Any,
    ) -> Written[ImportReport]:
        call = replace(CALL, validate_only=validate_only, key=key)
        return import_provider_models(
            self.ctx, call, f"providers/{self.provider_id}", choices, catalog_version=version, **options
        )

    def models(self) -> dict[str, ProviderModel]:
        stored = self.store.read(lambda unit: unit.provider_models.of(self.provider_id))
        return {model.facts.upstream_model_id: model for model in stored}

    def revision(self) -> int:
        return self.store.read(lambda unit: unit.log.head().revision)

    def edit(self, upstream_model_id: str, **values: Any) -> None:
        model = self.models()[upstream_model_id]
        draft = ProviderModelDraft(
            name=model.name,
            facts=replace(model.facts, **values),
            kind_sent=True,
            labels={},
            etag="",
            populated=frozenset(),
        )
        provider_models.update_provider_model(self.ctx, CALL, draft, paths=list(values))

    def create(self, upstream_model_id: str, window: int) -> None:
        facts = entry(upstream_model_id, window, None)
        draft = ProviderModelDraft("", facts, True, {}, "", frozenset())
        provider_models.create_provider_model(self.ctx, CALL, f"providers/{self.provider_id}", draft)


NAMES = "abcde"
FACTS = st.tuples(st.integers(1, 3), st.sampled_from([None, "0", "0.10", "0.1", "123456789.123456789012"]))
RELEASES = st.lists(st.dictionaries(st.sampled_from(NAMES), FACTS), min_size=3, max_size=3).map(tuple)
PRICES = st.sampled_from([None, Pricing("EUR", input="7"), Pricing("USD", input="0.000000000001")])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("refresh"), st.sampled_from(VERSIONS)),
        st.tuples(st.just("window"), st.sampled_from(NAMES), st.integers(1, 4)),
        st.tuples(st.just("price"), st.sampled_from(NAMES), PRICES),
        st.tuples(st.just("custom"), st.sampled_from(NAMES), st.integers(0, 4)),
        st.tuples(st.just("adopt"), st.sampled_from(NAMES)),
    ),
    min_size=3,
    max_size=9,
)


class Walk:
    """One random history. Keeps what each model's fields ought to be, and checks every step against it."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.bases: dict[str, ModelFacts | None] = {}
        self.wanted: dict[str, ModelFacts] = {}

    def step(self, what: str, *values: Any) -> None:
        getattr(self, what)(*values)
        facts = {name: model.facts for name, model in self.registry.models().items()}
        assert facts == self.wanted

    def window(self, name: str, window: int) -> None:
        if name in self.wanted:
            self.registry.edit(name, context_window=window)
            self.wanted[name] = replace(self.wanted[name], context_window=window)

    def price(self, name: str, pricing: Pricing | None) -> None:
        if name in self.wanted:
            self.registry.edit(name, pricing=pricing)
            self.wanted[name] = replace(self.wanted[name], pricing=pricing)

    def custom(self, name: str, window: int) -> None:
        if name not in self.wanted:
            self.registry.create(name, window)
            self.wanted[name], self.bases[name] = entry(name, window, None), None

    def adopt(self, name: str) -> None:
        facts = dict(self.registry.releases[-1])
        if name not in facts or self.bases.get(name, "absent") is not None:
            return
        choices = replace(REFRESH, upstream_model_ids=(name,), adopt_custom=True)
        [planned] = self.same_twice(choices, VERSIONS[-1]).plan.models
        assert planned.action is Action.ADOPTED
        now, theirs = self.wanted[name], entry(name, *facts[name])
        self.wanted[name] = replace(
            now,
            context_window=now.context_window or theirs.context_window,
            pricing=now.pricing or theirs.pricing,
        )
        self.bases[name] = theirs

    def refresh(self, version: str) -> None:
        release = self.registry.releases[VERSIONS.index(version)]
        states = {name: model.state for name, model in self.registry.models().items()}
        report = self.same_twice(REFRESH, version)
        for name, facts in release.items():
            theirs, base = entry(name, *facts), self.bases.get(name)
            if name not in self.wanted:
                self.wanted[name] = theirs
            elif base is None:
                continue
            else:
                now = self.wanted[name]
                edits = {
                    key: getattr(now, key)
                    for key in ("context_window", "pricing")
                    if getattr(now, key) != getattr(base, key)
                }
                self.wanted[name] = replace(theirs, **edits)
            self.bases[name] = theirs
        gone = {one.upstream_model_id for one in report.plan.models if one.action is Action.GONE}
        assert gone == {name for name, base in self.bases.items() if base is not None} - release.keys()
        after = self.registry.models()
        assert states.items() <= {name: model.state for name, model in after.items()}.items()
        for name in release:
            if self.bases[name] is not None:
                assert (after[name].imported, after[name].catalog_version) == (self.bases[name], version)

    def same_twice(self, choices: ImportChoices, version: str) -> ImportReport:
        """Preview, do it bound to the preview, do it again; the second time changes nothing."""
        before, revision = self.registry.models(), self.registry.revision()
        preview = self.registry.run(choices, version, validate_only=True).value
        assert (self.registry.models(), self.registry.revision()) == (before, revision)
        done = self.registry.run(choices, version, plan_digest=preview.plan.digest).value
        assert [(one.action, one.model_id, one.changes, one.kept) for one in done.plan.models] == [
            (one.action, one.model_id, one.changes, one.kept) for one in preview.plan.models
        ]
        after, revision = self.registry.models(), self.registry.revision()
        for one in done.plan.models:
            stored, old = after[one.upstream_model_id], before.get(one.upstream_model_id)
            if one.action in (Action.GONE, Action.KEPT_CUSTOM):
                assert stored == old
            elif old is not None and not one.changes:
                assert stored.facts == old.facts
            assert stored.name == f"{done.provider_name}/models/{one.model_id}"
        again = self.registry.run(choices, version).value
        assert (self.registry.models(), self.registry.revision()) == (after, revision)
        assert {one.action for one in again.plan.models} <= {
            Action.UNCHANGED,
            Action.KEPT_CUSTOM,
            Action.GONE,
        }
        return done


class TestHistories:
    def test_the_preview_is_what_happens_and_edits_stay(self, store: Store) -> None:
        numbers = itertools.count(1)

        @settings(max_examples=40, deadline=None)
        @given(RELEASES, STEPS)
        def check(releases: tuple[Release, ...], steps: list[tuple[Any, ...]]) -> None:
            walk = Walk(Registry(store, releases, f"p{next(numbers)}"))
            for step in steps:
                walk.step(*step)

        check()


@pytest.fixture
def registry(store: Store) -> Registry:
    """Two releases: a price moves, a model goes and one comes."""
    old: Release = {"a": (1, "2.5"), "b": (1, "1"), "gone": (1, None)}
    new: Release = {"a": (1, "2"), "b": (1, "1"), "new": (1, None)}
    made = Registry(store, (old, new), "acme")
    made.run(version=VERSIONS[0])
    return made


class TestPlanDigest:
    def test_binds_the_run_to_the_preview(self, registry: Registry) -> None:
        digest = registry.run(validate_only=True).value.plan.digest
        registry.edit("a", context_window=9)
        before, revision = registry.models(), registry.revision()
        with pytest.raises(Aborted) as caught:
            registry.run(plan_digest=digest)
        assert (caught.value.reason.value, caught.value.resource is None) == ("PLAN_CHANGED", False)
        assert (registry.models(), registry.revision()) == (before, revision)
        current = caught.value.metadata["current_plan_digest"]
        assert registry.run(plan_digest=current).value.plan.digest == current

    @pytest.mark.parametrize(
        ("choices", "version"),
        [
            pytest.param(ImportChoices(), "", id="another policy"),
            pytest.param(REFRESH, VERSIONS[0], id="another release"),
            pytest.param(replace(REFRESH, upstream_model_ids=("a",)), "", id="another selection"),
            pytest.param(replace(REFRESH, start_disabled=True), "", id="another state"),
        ],
    )
    def test_of_another_plan_is_refused(
        self, registry: Registry, choices: ImportChoices, version: str
    ) -> None:
        digest = registry.run(choices, version, validate_only=True).value.plan.digest
        with pytest.raises(Aborted):
            registry.run(plan_digest=digest)
        assert registry.models().keys() == {"a", "b", "gone"}

    def test_changes_that_do_not_matter_do_not_abort(self, registry: Registry) -> None:
        digest = registry.run(validate_only=True).value.plan.digest
        name = registry.models()["b"].name
        provider_models.set_provider_model_state(registry.ctx, CALL, name, State.DISABLED)
        registry.run(plan_digest=digest)
        assert registry.models()["b"].state is State.DISABLED


class TestRuns:
    def test_one_revision_whatever_it_does(self, registry: Registry) -> None:
        before = registry.revision()
        written = registry.run()
        assert written.revision == registry.revision() == before + 1
        assert [one.action for one in written.value.plan.models] == [
            Action.REFRESHED,
            Action.UNCHANGED,
            Action.CREATED,
            Action.GONE,
        ]

    def test_routers_are_told_of_what_they_use_alone(self, registry: Registry) -> None:
        """A model whose release alone moved is no news to them."""
        before = registry.revision()
        registry.store.write(lambda unit: self.give_credential(unit, registry))
        registry.run()
        [_, changes] = registry.store.read(lambda unit: unit.log.changes_since(before))
        assert sorted(change.name.rsplit("/", 1)[1] for change in changes.changes) == ["a", "new"]

    @staticmethod
    def give_credential(unit: WriteUnit, registry: Registry) -> None:
        view, sealed = a_credential()
        provider = unit.providers.get(registry.provider_id)
        assert provider is not None
        unit.providers.update(provider, replace(provider, credential=view), sealed)

    def test_a_replay_does_nothing(self, registry: Registry) -> None:
        key = IdempotencyKey("8d7e1f0e-4a5b-4c53-9c1c-0a7d3f0b8f11", bytes(32))
        digest = registry.run(validate_only=True).value.plan.digest
        registry.run(plan_digest=digest, key=key)
        registry.edit("a", context_window=9)
        before, revision = registry.models(), registry.revision()
        again = registry.run(plan_digest=digest, key=key).value
        assert (registry.models(), registry.revision()) == (before, revision)
        assert {one.action for one in again.plan.models} == {Action.SKIPPED_EXISTING}

    def test_new_models_can_start_disabled_and_others_stay_as_they_are(self, registry: Registry) -> None:
        registry.run(replace(REFRESH, start_disabled=True))
        states = {name: model.state for name, model in registry.models().items()}
        assert {name for name, state in states.items() if state is State.DISABLED} == {"new"}

    def test_a_custom_model_is_adopted_by_name_alone(self, registry: Registry) -> None:
        registry.create("new", 7)
        assert registry.run().value.plan.count(Action.KEPT_CUSTOM) == 1
        assert registry.models()["new"].source is ModelSource.CUSTOM
        registry.run(replace(REFRESH, adopt_custom=True, upstream_model_ids=("new",)))
        adopted = registry.models()["new"]
        assert (adopted.source, adopted.facts.context_window) == (ModelSource.CATALOG, 7)
        assert adopted.overridden_fields == ("context_window",)


class TestRefusals:
    @pytest.mark.parametrize(
        ("choices", "field"),
        [
            pytest.param(replace(REFRESH, adopt_custom=True), "adopt_custom", id="adopt all"),
            pytest.param(
                ImportChoices(("a",), adopt_custom=True), "adopt_custom", id="adopt without refreshing"
            ),
            pytest.param(
                ImportChoices(existing_only=True), "existing_only", id="existing only without refreshing"
            ),
            pytest.param(
                replace(REFRESH, upstream_model_ids=("a", "gone")),
                "upstream_model_ids[1]",
                id="gone from the catalog",
            ),
        ],
    )
    def test_of_choices(self, registry: Registry, choices: ImportChoices, field: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            registry.run(choices)
        assert [one.field for one in caught.value.violations] == [field]

    def test_of_a_version_that_is_not_bundled(self, registry: Registry) -> None:
        with pytest.raises(FailedPrecondition) as caught:
            registry.run(version="2001.01.01")
        assert caught.value.metadata["available"] == f"{VERSIONS[1]},{VERSIONS[0]}"

    def test_of_a_kind_without_a_catalog(self, store: Store) -> None:
        with pytest.raises(FailedPrecondition) as caught:
            Registry(store, (), "acme").run()
        assert caught.value.reason.value == "CATALOG_UNAVAILABLE"


class TestStatements:
    @pytest.mark.parametrize("validate_only", [True, False], ids=["plan", "run"])
    @pytest.mark.parametrize(("first", "at_most"), [(False, 9), (True, 9)], ids=["import", "refresh"])
    def test_do_not_grow_with_the_models(
        self, store: Store, first: bool, at_most: int, validate_only: bool
    ) -> None:
        counts = []
        for models in (3, 300):
            old: Release = {f"m{n:03}": (1, "1") for n in range(models)}
            new: Release = dict.fromkeys(old, (2, "2")) | {f"x{n:03}": (1, None) for n in range(models)}
            made = Registry(store, (old, new), f"p{models}")
            if first:
                made.run(version=VERSIONS[0])
            with counted_statements() as sent:
                plan = made.run(validate_only=validate_only).value.plan
            assert len(plan.models) == 2 * models
            counts.append(len(sent))
        assert counts[0] == counts[1] <= at_most
