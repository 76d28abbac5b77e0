"""The change log: what a router loaded once, brought up to date by it, is what it would load now."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.model import (
    STORED_STATES,
    Model,
    ModelBackend,
    Provider,
    ProviderKind,
    ProviderModel,
    State,
)
from service.domain.routing import (
    ActiveModel,
    ActiveProviderModel,
    Change,
    ChangeSet,
    Entry,
    EntryKind,
    RoutingProvider,
    active_provider_model,
    routing_provider,
)
from service.readmodel.live import Break, Newer
from service.store import ReadUnit, Store, WriteUnit, open_store
from service.store.units import log
from service.usecases import routing_source
from tests.support.values.registry_values import (
    ManualClock,
    a_backend,
    a_credential,
    a_model,
    a_provider,
    a_provider_model,
)
from tests.support.values.routing_operations import (
    MODELS,
    PROVIDER_MODELS,
    PROVIDERS,
    Operation,
    Operations,
    annotated,
    in_state,
    labelled,
    provider_model_in_state,
    with_facts,
)

Table = dict[str, Entry]


def loaded(unit: ReadUnit) -> tuple[int, Table]:
    return unit.log.head().revision, {entry.name: entry for entry in unit.routing_entries()}


def apply(table: Table, change_set: ChangeSet) -> Table:
    """The table one revision later. Checks what every consumer may rely on."""
    table = dict(table)
    names = [change.name for change in change_set.changes]
    assert len(set(names)) == len(names), "a name comes once in a change set"
    assert names, "no empty change set is logged"
    for change in change_set.changes:
        assert table.get(change.name) != change.entry, "only what differs is logged"
        if change.entry is None:
            del table[change.name]
        else:
            assert change.entry.name == change.name
            table[change.name] = change.entry
        providers = {entry.name for entry in table.values() if isinstance(entry, RoutingProvider)}
        assert {
            entry.provider for entry in table.values() if isinstance(entry, ActiveProviderModel)
        } <= providers, "no model without its provider, not even within a change set"
        offered = {entry.name for entry in table.values() if isinstance(entry, ActiveProviderModel)}
        assert {
            backend.provider_model
            for entry in table.values()
            if isinstance(entry, ActiveModel)
            for backend in entry.backends
        } <= offered, "no backend that leads nowhere, not even within a change set"
    return table


providers = st.sampled_from(PROVIDERS)
provider_models = st.sampled_from(PROVIDER_MODELS)
states = st.sampled_from(STORED_STATES)
words = st.sampled_from(["one", "two"])
models = st.sampled_from(MODELS)
backends = st.lists(
    st.builds(ModelBackend, providers, provider_models, st.integers(0, 1), st.integers(0, 2), st.booleans()),
    unique_by=lambda each: each.target,
    max_size=4,
).map(tuple)
operations = st.one_of(
    st.builds(
        Operations.create,
        providers,
        st.sampled_from([ProviderKind.OPENAI, ProviderKind.OPENAI_COMPATIBLE]),
        states,
        st.booleans(),
    ),
    st.builds(Operations.change, providers, st.builds(in_state, states)),
    st.builds(Operations.change, providers, st.builds(labelled, words) | st.builds(annotated, words)),
    st.builds(Operations.set_credential, providers),
    st.builds(Operations.delete, providers),
    st.builds(Operations.add_provider_models, providers, st.frozensets(provider_models, min_size=1), states),
    st.builds(
        Operations.change_provider_model,
        providers,
        provider_models,
        st.builds(provider_model_in_state, states),
    ),
    st.builds(
        Operations.change_provider_model,
        providers,
        provider_models,
        st.builds(with_facts, context_window=st.integers(1, 3)),
    ),
    st.builds(
        Operations.change_provider_model,
        providers,
        provider_models,
        st.builds(with_facts, display_name=words),
    ),
    st.builds(Operations.delete_provider_model, providers, provider_models),
    st.builds(Operations.delete_provider_models, st.frozensets(providers, min_size=1), provider_models),
    st.builds(Operations.wire, models, backends, states),
    st.builds(Operations.wire, models, backends, st.just(State.ACTIVE)),
    st.builds(Operations.delete_model, models),
)
units = st.lists(st.lists(operations, min_size=1, max_size=4), min_size=1, max_size=12)


class TestInitialLoadAndChanges:
    def test_add_up_to_what_is_there_now(self, store: Store) -> None:
        def run(unit: WriteUnit, batch: list[Operation]) -> None:
            for operation in batch:
                operation(unit)

        def start_over(unit: WriteUnit) -> None:
            for provider_id in PROVIDERS:
                Operations.delete(provider_id)(unit)
            for model_id in MODELS:
                Operations.delete_model(model_id)(unit)

        @settings(max_examples=60, deadline=None)
        @given(units)
        def check(batches: list[list[Operation]]) -> None:
            store.write(start_over)
            loads = [store.read(loaded)]
            for batch in batches:
                store.write(lambda unit, batch=batch: run(unit, batch))  # type: ignore[misc]
                loads.append(store.read(loaded))
            newest, now = loads[-1]
            for revision, table in loads:
                for change_set in store.read(lambda unit, since=revision: unit.log.changes_since(since)):  # type: ignore[misc]
                    assert revision < change_set.revision <= newest
                    table = apply(table, change_set)
                assert table == now

        check()


def changes_of(store: Store, work: Callable[[WriteUnit], object]) -> tuple[Change, ...]:
    """What one unit of work told routers."""
    before = store.read(lambda unit: unit.log.head()).revision
    store.write(work)
    sets = store.read(lambda unit: unit.log.changes_since(before))
    assert len(sets) <= 1
    return sets[0].changes if sets else ()


class TestChangeSets:
    def put(self, name: str, entry: Entry | None) -> Change:
        if name.startswith("models/"):
            return Change(EntryKind.MODEL, name, entry)
        kind = EntryKind.PROVIDER_MODEL if "/models/" in name else EntryKind.PROVIDER
        return Change(kind, name, entry)

    def wired(self, store: Store, *models: Model) -> list[ProviderModel]:
        """A provider with two models, and these models over them."""

        def work(unit: WriteUnit) -> list[ProviderModel]:
            unit.providers.insert(a_provider("acme"), None)
            stored = unit.provider_models.insert([a_provider_model("a"), a_provider_model("b")])
            for model in models:
                unit.models.insert(model)
            return stored

        return store.write(work)

    def test_disabling_a_provider_model_changes_the_models_wired_to_it(self, store: Store) -> None:
        a, b = a_provider_model("a"), a_provider_model("b")
        [stored, _] = self.wired(
            store, a_model("both", a_backend(a, priority=1), b), a_model("one", a), a_model("other", b)
        )
        changes = changes_of(
            store, lambda unit: unit.provider_models.update(stored, replace(stored, state=State.DISABLED))
        )
        left = ActiveModel("models/both", stored.facts.kind, (a_backend(b, weight=1),), {})
        assert changes == (
            self.put("models/both", left),
            self.put("models/one", None),
            self.put("providers/acme/models/a", None),
        )

    def test_deleting_a_provider_takes_its_backends_out_first(self, store: Store) -> None:
        self.wired(store, a_model("one", a_provider_model("a")))
        before = store.read(lambda unit: unit.models.get("one"))
        provider = store.read(lambda unit: unit.providers.get("acme"))
        assert provider is not None
        changes = changes_of(store, lambda unit: unit.providers.delete(provider))
        assert [change.name for change in changes] == [
            "models/one",
            "providers/acme/models/a",
            "providers/acme/models/b",
            "providers/acme",
        ]
        after = store.read(lambda unit: unit.models.get("one"))
        assert before is not None
        assert after is not None
        assert (after.backends, after.revision) == ((), before.revision + 1)
        assert after.etag != before.etag

    def test_a_model_without_a_routable_backend_is_not_told(self, store: Store) -> None:
        [a, _] = self.wired(store)
        assert not changes_of(store, lambda unit: unit.models.insert(a_model("bare")))
        assert not changes_of(
            store, lambda unit: unit.models.insert(a_model("cut", a_backend(a, disabled=True)))
        )
        assert not changes_of(store, lambda unit: unit.models.insert(a_model("off", a, state=State.DISABLED)))

    def test_what_changes_no_routing_of_a_model_is_not_told(self, store: Store) -> None:
        self.wired(store, a_model("one", a_provider_model("a")))
        before = store.read(lambda unit: unit.models.get("one"))
        assert before is not None
        assert not changes_of(
            store,
            lambda unit: unit.models.update(
                before, replace(before, backends=(replace(before.backends[0], weight=1),))
            ),
        )

    def test_an_import_is_one(self, store: Store) -> None:
        provider = store.write(lambda unit: unit.providers.insert(a_provider("acme"), None))
        stored: list[ProviderModel] = []
        changes = changes_of(
            store,
            lambda unit: stored.extend(
                unit.provider_models.insert([a_provider_model(f"m{n}") for n in range(50)])
            ),
        )
        wanted = [self.put(model.name, active_provider_model(provider, model)) for model in stored]
        assert list(changes) == sorted(wanted, key=lambda change: change.name)

    def test_disabling_a_provider_removes_its_models_first(self, store: Store) -> None:
        provider = store.write(lambda unit: unit.providers.insert(a_provider("acme"), None))
        store.write(
            lambda unit: unit.provider_models.insert(
                [a_provider_model("a"), a_provider_model("b", state=State.DISABLED)]
            )
        )
        changes = changes_of(
            store, lambda unit: unit.providers.update(provider, replace(provider, state=State.DISABLED))
        )
        assert changes == (
            self.put("providers/acme/models/a", None),
            self.put("providers/acme", None),
        )

    def test_enabling_it_puts_it_first(self, store: Store) -> None:
        disabled = store.write(
            lambda unit: unit.providers.insert(a_provider("acme", state=State.DISABLED), None)
        )
        [a, _] = store.write(
            lambda unit: unit.provider_models.insert(
                [a_provider_model("a"), a_provider_model("b", state=State.DISABLED)]
            )
        )
        enabled: list[Provider] = []
        changes = changes_of(
            store,
            lambda unit: enabled.append(
                unit.providers.update(disabled, replace(disabled, state=State.ACTIVE))
            ),
        )
        assert changes == (
            self.put("providers/acme", routing_provider(enabled[0])),
            self.put("providers/acme/models/a", active_provider_model(enabled[0], a)),
        )

    def test_a_first_credential_brings_a_provider_into_routing(self, store: Store) -> None:
        bare = store.write(
            lambda unit: unit.providers.insert(a_provider("acme", kind=ProviderKind.GROQ), None)
        )
        store.write(lambda unit: unit.provider_models.insert([a_provider_model("a")]))
        assert store.read(lambda unit: unit.log.changes_since(0)) == []
        view, sealed = a_credential()
        changes = changes_of(
            store, lambda unit: unit.providers.update(bare, replace(bare, credential=view), sealed)
        )
        assert [change.name for change in changes] == ["providers/acme", "providers/acme/models/a"]

    def test_replacing_a_credential_tells_the_version_alone(self, store: Store) -> None:
        view, sealed = a_credential()
        provider = a_provider("acme", kind=ProviderKind.GROQ, credential=view)
        before = store.write(lambda unit: unit.providers.insert(provider, sealed))
        store.write(lambda unit: unit.provider_models.insert([a_provider_model("a")]))
        view, sealed = a_credential(2)
        [change] = changes_of(
            store, lambda unit: unit.providers.update(before, replace(before, credential=view), sealed)
        )
        assert isinstance(change.entry, RoutingProvider)
        assert change.entry.credential_version == 2

    def test_what_routers_do_not_see_is_not_told(self, store: Store) -> None:
        provider = store.write(lambda unit: unit.providers.insert(a_provider("acme"), None))
        [model] = store.write(lambda unit: unit.provider_models.insert([a_provider_model("a")]))
        assert not changes_of(
            store, lambda unit: unit.providers.update(provider, replace(provider, annotations={"a": "b"}))
        )
        assert not changes_of(
            store, lambda unit: unit.provider_models.update(model, with_facts(display_name="New")(model))
        )
        assert store.read(lambda unit: unit.log.head()).revision == 4

    def test_deleting_a_disabled_provider_is_not_told(self, store: Store) -> None:
        provider = a_provider("acme", state=State.DISABLED)
        stored = store.write(lambda unit: unit.providers.insert(provider, None))
        store.write(lambda unit: unit.provider_models.insert([a_provider_model("a")]))
        assert not changes_of(store, lambda unit: unit.providers.delete(stored))


@pytest.mark.parametrize(("visible", "told"), [(2, True), (3, False)])
def test_more_changes_than_routers_can_be_sent_are_not_read(
    store: Store, monkeypatch: pytest.MonkeyPatch, visible: int, told: bool
) -> None:
    """Revisions that changed nothing for routers are not among them."""
    monkeypatch.setattr(routing_source, "MAX_MESSAGES", 2)
    provider = store.write(lambda unit: unit.providers.insert(a_provider("acme"), None))
    [model] = store.write(lambda unit: unit.provider_models.insert([a_provider_model("m")]))
    source = routing_source.routing_source(store)
    before = source.load()
    for number in range(visible):
        store.write(lambda unit, number=number: unit.provider_models.insert([a_provider_model(f"m{number}")]))  # type: ignore[misc]
    store.write(lambda unit: unit.providers.update(provider, replace(provider, annotations={"a": "b"})))
    store.write(lambda unit: unit.provider_models.update(model, with_facts(display_name="New")(model)))
    found = source.changes(before.at, before.commit_id)
    if told:
        assert isinstance(found, Newer)
        assert (found.revision, len(found.change_sets)) == (before.at.revision + 4, 2)
    else:
        assert found is Break.TOO_FAR
        assert source.between(before.at, source.load().at) is Break.TOO_FAR


def test_another_history_is_told_from_what_is_too_far(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing_source, "MAX_MESSAGES", 0)
    source = routing_source.routing_source(store)
    empty = source.load().at
    store.write(lambda unit: unit.providers.insert(a_provider("acme"), None))
    before = source.load().at
    store.write(lambda unit: unit.providers.insert(a_provider("bolt"), None))
    current = source.load().at
    lost = replace(before, content_id=uuid4())
    assert source.between(before, current) is Break.TOO_FAR
    assert source.between(lost, current) is None
    assert source.between(before, replace(current, content_id=uuid4())) is Break.HISTORY
    assert source.follows(before, current) is True
    assert source.follows(lost, current) is False
    assert source.follows(before, replace(current, content_id=uuid4())) is False
    assert source.follows(before, replace(current, store_id=uuid4())) is False
    clock.advance(hours=1)
    compact_all(store)
    assert source.follows(empty, current) is None


def test_what_is_compacted_is_no_other_history(store: Store, clock: ManualClock) -> None:
    """A replica that was started before the compacted revisions asks from where its ring begins."""
    source = routing_source.routing_source(store)
    empty = source.load().at
    store.write(lambda unit: unit.providers.insert(a_provider("acme"), None))
    floor = source.load().at
    store.write(lambda unit: unit.providers.insert(a_provider("bolt"), None))
    clock.advance(hours=1)
    compact_all(store)
    assert source.between(empty, floor) is Break.TOO_FAR
    assert source.follows(empty, floor) is None


def compact_all(store: Store) -> None:
    newest = store.read(lambda unit: unit.log.head()).revision
    assert store.write(lambda unit: unit.log.compact(newest)).compact_revision


class TestCompaction:
    def compact(self, store: Store, *, hours: int, revisions: int) -> int:
        kept_for = timedelta(hours=hours)
        until = store.read(lambda unit: unit.log.outdated(kept_for=kept_for, kept_revisions=revisions))
        done = store.write(lambda unit: unit.log.compact(until))
        assert done.is_done
        return done.compact_revision

    def kept(self, store: Store) -> list[int]:
        return [change_set.revision for change_set in store.read(lambda unit: unit.log.changes_since(0))]

    def six_revisions_an_hour_apart(self, store: Store, clock: ManualClock) -> None:
        for number in range(6):
            clock.advance(hours=1)
            provider = a_provider(f"p{number}")
            store.write(lambda unit, provider=provider: unit.providers.insert(provider, None))  # type: ignore[misc]

    def test_forgets_what_is_both_old_and_far_behind(self, store: Store, clock: ManualClock) -> None:
        self.six_revisions_an_hour_apart(store, clock)
        assert self.compact(store, hours=24, revisions=0) == 0
        assert self.compact(store, hours=0, revisions=6) == 0
        assert self.kept(store) == [1, 2, 3, 4, 5, 6]
        assert self.compact(store, hours=3, revisions=4) == 2
        assert self.kept(store) == [3, 4, 5, 6]
        assert self.compact(store, hours=4, revisions=0) == 2, "never goes back"
        assert self.compact(store, hours=2, revisions=1) == 3
        assert self.kept(store) == [4, 5, 6]

    def test_takes_no_revision(self, store: Store, clock: ManualClock) -> None:
        self.six_revisions_an_hour_apart(store, clock)
        self.compact(store, hours=1, revisions=1)
        head = store.read(lambda unit: unit.log.head())
        assert (head.revision, head.compact_revision) == (6, 4)

    def sizes(self, store: Store, *counts: int) -> list[int]:
        """Write a revision of so many changes each, and return by how much each made the log longer."""
        provider = store.write(lambda unit: unit.providers.insert(a_provider("acme"), None))
        assert provider.revision == 1
        store.write(lambda unit: unit.log.compact(1))

        def work(unit: WriteUnit, count: int) -> WriteUnit:
            prefix = f"r{unit.revision}-"
            unit.provider_models.insert([a_provider_model(f"{prefix}{number}") for number in range(count)])
            return unit

        return [
            store.write(lambda unit, count=count: work(unit, count)).log.appended_bytes  # type: ignore[misc]
            for count in counts
        ]

    @pytest.mark.parametrize("at_once", [1, 2, 10_000])
    def test_forgets_what_does_not_fit(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, at_once: int
    ) -> None:
        monkeypatch.setattr(log, "_REVISIONS_AT_ONCE", at_once)
        sizes = self.sizes(store, 1, 5, 2, 3)
        assert min(sizes) > log.ROW_BYTES
        for kept in range(5):
            fits = sum(sizes[4 - kept :])
            newest_forgotten = 5 - kept if kept < 4 else 0
            assert store.read(lambda unit, fits=fits: unit.log.overlong(fits)) == newest_forgotten  # type: ignore[misc]
            if kept:
                one_less = store.read(lambda unit, fits=fits: unit.log.overlong(fits - 1))  # type: ignore[misc]
                assert one_less == 6 - kept
        assert store.read(lambda unit: unit.log.overlong(10**12)) == 0

    @pytest.mark.parametrize("rows", [1, 4, 10_000])
    def test_goes_by_whole_revisions_in_units_of_some_rows(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, rows: int
    ) -> None:
        monkeypatch.setattr(log, "FORGOTTEN_ROWS", rows)
        self.sizes(store, 3, 3, 3, 3, 1)
        steps = []
        while True:
            step = store.write(lambda unit: unit.log.compact(5))
            steps.append(step.compact_revision)
            assert self.kept(store) == list(range(step.compact_revision + 1, 7))
            if step.is_done:
                break
        assert steps == {1: [2, 3, 4, 5], 4: [3, 5], 10_000: [5]}[rows]

    def test_may_forget_everything(self, store: Store) -> None:
        source = routing_source.routing_source(store)
        self.sizes(store, 1, 1)
        before = source.load()
        assert store.write(lambda unit: unit.log.compact(3)) == log.Compaction(3, is_done=True)
        assert self.kept(store) == []
        assert source.load().at == before.at
        assert store.write(lambda unit: unit.log.compact(3)) == log.Compaction(3, is_done=True)

    def test_is_due_when_an_eighth_was_added_and_keeps_the_limit(
        self, url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log, "FORGOTTEN_ROWS", 2)
        with closing(open_store(url, clock=clock, log_limit=8_000)) as store:
            due: list[int] = []
            store.on_log_grown = lambda: due.append(store.read(lambda unit: unit.log.head().revision))
            sizes = self.sizes(store, *[1] * 40)
            gaps = [later - earlier for earlier, later in pairwise(due)]
            assert set(gaps) <= {1_000 // max(sizes) + 1, 1_000 // min(sizes) + 1}
            source = routing_source.routing_source(store)
            newest = source.load()
            floor = store.compact()
            assert sum(sizes[floor - 1 :]) <= 8_000 < sum(sizes[floor - 2 :])
            assert self.kept(store) == list(range(floor + 1, 42))
            assert store.compact() == floor
            away = replace(newest.at, revision=floor - 1)
            assert source.between(away, newest.at) is Break.TOO_FAR

    def test_by_default_keeps_a_day_and_ten_thousand_revisions(
        self, store: Store, clock: ManualClock
    ) -> None:
        assert (timedelta(hours=24), 10_000, 2**28) == (log.KEPT_FOR, log.KEPT_REVISIONS, log.KEPT_BYTES)
        self.six_revisions_an_hour_apart(store, clock)
        clock.advance(days=30)
        assert store.compact() == 0
        assert len(self.kept(store)) == 6
