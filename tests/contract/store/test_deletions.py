"""A deletion does what its preview said, all of it in one revision, or nothing: over random registries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.domain.calls import Call
from service.domain.errors import Aborted, NotFound, Reason
from service.domain.impact import BackendImpact, DeletionImpact
from service.domain.model import STORED_STATES, ModelBackend, ProviderKind, State
from service.domain.pages import PageTokens
from service.domain.routing import ActiveModel
from service.store import ReadUnit, Store, WriteUnit
from service.usecases import batches, provider_models, providers
from service.usecases.context import Context
from tests.support.values.registry_values import (
    A_CALL,
    DRY_RUN,
    a_credential,
    a_model,
    a_provider,
    a_provider_model,
    new_uuid,
)
from upstreams.addresses import AddressPolicy

PROVIDERS = ("a", "b", "c")
PROVIDER_MODELS = ("x", "y")
MODELS = ("chat", "draft", "spare")
Change = Callable[[WriteUnit], object]


def context(store: Store) -> Context:
    """What a deletion needs: neither keys nor catalogs."""
    absent = cast(Any, None)
    return Context(
        store=store,
        kms=absent,
        sealer=absent,
        catalogs=absent,
        url_policy=AddressPolicy(),
        page_tokens=PageTokens(bytes(32)),
        impact_key=b"i" * 32,
        new_uuid=new_uuid,
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """What can be seen of a registry without asking for an impact."""

    revision: int
    providers: frozenset[str]
    provider_models: frozenset[str]
    wires: frozenset[tuple[str, str]]
    routable_backends: dict[str, int]
    routed: frozenset[str]
    data_keys: int


def seen(unit: ReadUnit) -> Seen:
    models = [model for provider_id in PROVIDERS for model in unit.provider_models.of(provider_id)]
    views = [view for name in MODELS if (view := unit.models.view(name)) is not None]
    return Seen(
        revision=unit.log.head().revision,
        providers=frozenset(unit.providers.among(PROVIDERS)),
        provider_models=frozenset(model.name for model in models),
        wires=frozenset((v.model.name, b.provider_model) for v in views for b in v.model.backends),
        routable_backends={view.model.name: len(view.routable_backends) for view in views},
        routed=frozenset(e.name for e in unit.routing_entries() if isinstance(e, ActiveModel)),
        data_keys=len(unit.providers.sealed_credentials(PROVIDERS)),
    )


def done(before: Seen, after: Seen) -> DeletionImpact:
    """What happened between two looks, in the form of an impact."""
    gone = sorted(before.provider_models - after.provider_models)
    wires = sorted(before.wires - after.wires)
    unroutable = tuple(sorted(before.routed - after.routed))
    return DeletionImpact(
        provider_models=tuple(gone),
        provider_model_count=len(gone),
        backends=tuple(
            BackendImpact(model, provider_model, after.routable_backends[model])
            for model, provider_model in wires
        ),
        backend_count=len(wires),
        models_left_unroutable=unroutable,
        models_left_unroutable_count=len(unroutable),
        credential_destroyed=before.data_keys > after.data_keys,
    )


# ----- random registries, and changes to them

provider_ids, provider_model_ids, model_ids = (
    st.sampled_from(names) for names in (PROVIDERS, PROVIDER_MODELS, MODELS)
)
states = st.sampled_from([State.ACTIVE, State.ACTIVE, State.DISABLED])
backends = st.lists(
    st.builds(
        ModelBackend, provider_ids, provider_model_ids, st.integers(0, 1), st.integers(0, 2), st.booleans()
    ),
    unique_by=lambda each: each.target,
    max_size=5,
).map(tuple)


def create(
    provider_id: str, kind: ProviderKind, state: State, sealed: bool, models: dict[str, State]
) -> Change:
    def work(unit: WriteUnit) -> None:
        if unit.providers.get(provider_id) is None:
            view, credential = a_credential()
            provider = a_provider(provider_id, kind=kind, state=state, credential=view if sealed else None)
            unit.providers.insert(provider, credential if sealed else None)
            unit.provider_models.insert(
                [
                    a_provider_model(name, provider_id=provider_id, state=models[name])
                    for name in sorted(models)
                ]
            )

    return work


def wire(model_id: str, wires: tuple[ModelBackend, ...], state: State) -> Change:
    def work(unit: WriteUnit) -> None:
        there = tuple(each for each in wires if unit.provider_models.get(*each.target) is not None)
        before = unit.models.get(model_id)
        if before is None:
            unit.models.insert(a_model(model_id, *there, state=state))
        else:
            unit.models.update(before, replace(before, backends=there, state=state))

    return work


def delete_model(model_id: str) -> Change:
    def work(unit: WriteUnit) -> None:
        model = unit.models.get(model_id)
        if model is not None:
            unit.models.delete(model)

    return work


def rename(provider_id: str, labels: str) -> Change:
    """Of no consequence to any impact."""

    def work(unit: WriteUnit) -> None:
        before = unit.providers.get(provider_id)
        if before is not None:
            unit.providers.update(before, replace(before, labels={"n": labels}))

    return work


def set_state(provider_id: str, state: State) -> Change:
    def work(unit: WriteUnit) -> None:
        before = unit.providers.get(provider_id)
        if before is not None:
            unit.providers.update(before, replace(before, state=state))

    return work


def seal(provider_id: str) -> Change:
    def work(unit: WriteUnit) -> None:
        before = unit.providers.get(provider_id)
        if before is not None:
            view, sealed = a_credential(before.credential.version + 1 if before.credential else 1)
            unit.providers.update(before, replace(before, credential=view), sealed)

    return work


def switch(provider_id: str, model_id: str, state: State) -> Change:
    def work(unit: WriteUnit) -> None:
        before = unit.provider_models.get(provider_id, model_id)
        if before is not None:
            unit.provider_models.update(before, replace(before, state=state))

    return work


def add(provider_id: str, model_id: str) -> Change:
    def work(unit: WriteUnit) -> None:
        if (
            unit.providers.get(provider_id) is not None
            and unit.provider_models.get(provider_id, model_id) is None
        ):
            unit.provider_models.insert([a_provider_model(model_id, provider_id=provider_id)])

    return work


def drop(provider_id: str, model_id: str) -> Change:
    def work(unit: WriteUnit) -> None:
        model = unit.provider_models.get(provider_id, model_id)
        if model is not None:
            unit.provider_models.delete([model])

    return work


creations = st.builds(
    create,
    provider_ids,
    st.sampled_from([ProviderKind.OPENAI, ProviderKind.OPENAI_COMPATIBLE]),
    states,
    st.booleans(),
    st.dictionaries(provider_model_ids, states, max_size=2),
)
wirings = st.builds(wire, model_ids, backends, states)
registries = st.tuples(
    st.lists(creations, min_size=2, max_size=4), st.lists(wirings, min_size=1, max_size=4)
).map(lambda parts: [*parts[0], *parts[1]])
changes = st.one_of(
    wirings,
    creations,
    st.builds(rename, provider_ids, st.sampled_from(["1", "2"])),
    st.builds(set_state, provider_ids, st.sampled_from(STORED_STATES)),
    st.builds(seal, provider_ids),
    st.builds(switch, provider_ids, provider_model_ids, st.sampled_from(STORED_STATES)),
    st.builds(add, provider_ids, provider_model_ids),
    st.builds(drop, provider_ids, provider_model_ids),
    st.builds(delete_model, model_ids),
)


# ----- deletions

Act = Callable[..., DeletionImpact]
"""Takes a call for a dry run, or ``force`` and ``impact_token``."""
Deletion = Callable[[Context], Act]


def of_provider(provider_id: str) -> Deletion:
    return lambda ctx: (
        lambda call=A_CALL, **how: (
            providers.delete_provider(ctx, call, f"providers/{provider_id}", **how).value
        )
    )


def of_provider_model(provider_id: str, model_id: str) -> Deletion:
    name = f"providers/{provider_id}/models/{model_id}"
    return lambda ctx: (
        lambda call=A_CALL, **how: provider_models.delete_provider_model(ctx, call, name, **how).value
    )


def of_batch(targets: list[tuple[str, str]]) -> Deletion:
    names = [f"providers/{provider_id}/models/{model_id}" for provider_id, model_id in targets]

    def delete(ctx: Context, call: Call = A_CALL, **how: Any) -> DeletionImpact:
        impact = batches.delete_provider_models(ctx, call, names, **how).value.impact
        assert impact is not None
        return impact

    return lambda ctx: partial(delete, ctx)


deletions: st.SearchStrategy[Deletion] = st.one_of(
    st.builds(of_provider, provider_ids),
    st.builds(of_provider_model, provider_ids, provider_model_ids),
    st.builds(
        of_batch, st.lists(st.tuples(provider_ids, provider_model_ids), min_size=1, max_size=6, unique=True)
    ),
)
OF_LAST_BACKENDS = of_provider("a")
LAST_BACKENDS: list[Change] = [
    create("a", ProviderKind.OPENAI_COMPATIBLE, State.ACTIVE, False, {"x": State.ACTIVE}),
    wire("chat", (ModelBackend("a", "x"),), State.ACTIVE),
]
"""What random ones seldom are: a registry that loses a model's last backend by the deletion above."""


def filled(store: Store, registry: list[Change]) -> None:
    def work(unit: WriteUnit) -> None:
        for name in PROVIDERS:
            provider = unit.providers.get(name)
            if provider is not None:
                unit.providers.delete(provider)
        for name in MODELS:
            delete_model(name)(unit)
        for change in registry:
            change(unit)

    store.write(work)


def previewed(store: Store, act: Act) -> DeletionImpact | None:
    """The preview, which changes nothing; None where there is nothing to delete."""
    before = store.read(seen)
    try:
        impact = act(DRY_RUN)
    except NotFound:
        impact = None
    assert store.read(seen) == before
    return impact


def attempted(act: Callable[[], DeletionImpact]) -> DeletionImpact | Reason:
    """What the deletion did, or why it was refused."""
    try:
        return act()
    except (Aborted, NotFound) as error:
        return error.reason


class TestAPreview:
    def test_is_what_the_deletion_then_does(self, store: Store) -> None:
        ctx = context(store)
        outages: set[bool] = set()

        @settings(max_examples=40, deadline=None)
        @given(registries, deletions, st.booleans())
        @example(LAST_BACKENDS, OF_LAST_BACKENDS, True)
        @example(LAST_BACKENDS[:1], OF_LAST_BACKENDS, False)
        def check(registry: list[Change], deletion: Deletion, with_token: bool) -> None:
            filled(store, registry)
            act = deletion(ctx)
            preview = previewed(store, act)
            if preview is None:
                return
            outages.add(preview.models_left_unroutable_count > 0)
            before = store.read(seen)
            impact = act(force=True, impact_token=preview.impact_token if with_token else "")
            after = store.read(seen)
            assert impact == preview
            assert done(before, after) == replace(impact, impact_token="")
            assert after.revision == before.revision + (after != before)

        check()
        assert outages == {True, False}

    def test_holds_the_deletion_to_it_whatever_others_write(self, store: Store) -> None:
        """It does exactly what was shown, or nothing; and it is refused only where another would be shown."""
        ctx = context(store)
        outcomes: set[str] = set()

        @settings(max_examples=60, deadline=None)
        @given(registries, deletions, st.lists(changes, min_size=1, max_size=4))
        @example(LAST_BACKENDS, OF_LAST_BACKENDS, [rename("a", "1")])
        @example(LAST_BACKENDS, OF_LAST_BACKENDS, [wire("chat", (), State.ACTIVE)])
        def check(registry: list[Change], deletion: Deletion, meanwhile: list[Change]) -> None:
            filled(store, registry)
            act = deletion(ctx)
            preview = previewed(store, act)
            if preview is None:
                return
            for change in meanwhile:
                store.write(change)
            now = previewed(store, act)
            before = store.read(seen)
            outcome = attempted(lambda: act(force=True, impact_token=preview.impact_token))
            after = store.read(seen)
            if isinstance(outcome, DeletionImpact):
                outcomes.add("done")
                assert outcome == preview == now
                assert done(before, after) == replace(outcome, impact_token="")
            else:
                outcomes.add(outcome.value)
                assert now != preview
                assert after == before

        check()
        assert outcomes >= {"done", "IMPACT_CHANGED"}
