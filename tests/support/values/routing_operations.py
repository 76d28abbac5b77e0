"""Changes of a small registry that routers may or may not see, as work for a write unit."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from service.domain.model import (
    ModelBackend,
    ModelFacts,
    Provider,
    ProviderConfig,
    ProviderKind,
    ProviderModel,
    State,
)
from service.store import WriteUnit
from tests.support.values.registry_values import a_credential, a_model, a_provider, a_provider_model

PROVIDERS = ("a", "b", "a-b")
PROVIDER_MODELS = ("x", "y", "z")
MODELS = ("chat", "draft")
Operation = Callable[[WriteUnit], None]


class Operations:
    """Random changes to a small registry; one that has nothing to act upon does nothing."""

    @staticmethod
    def create(provider_id: str, kind: ProviderKind, state: State, has_credential: bool) -> Operation:
        def work(unit: WriteUnit) -> None:
            if unit.providers.get(provider_id) is None:
                view, sealed = a_credential()
                credential = view if has_credential else None
                config = ProviderConfig({"organization": "o"}, {}) if kind is ProviderKind.OPENAI else None
                provider = a_provider(
                    provider_id, kind=kind, state=state, credential=credential, config=config
                )
                unit.providers.insert(provider, sealed if has_credential else None)

        return work

    @staticmethod
    def change(provider_id: str, edit: Callable[[Provider], Provider]) -> Operation:
        def work(unit: WriteUnit) -> None:
            before = unit.providers.get(provider_id)
            if before is not None:
                unit.providers.update(before, edit(before))

        return work

    @staticmethod
    def set_credential(provider_id: str) -> Operation:
        def work(unit: WriteUnit) -> None:
            before = unit.providers.get(provider_id)
            if before is not None:
                version = before.credential.version + 1 if before.credential else 1
                view, sealed = a_credential(version)
                unit.providers.update(before, replace(before, credential=view), sealed)

        return work

    @staticmethod
    def delete(provider_id: str) -> Operation:
        def work(unit: WriteUnit) -> None:
            provider = unit.providers.get(provider_id)
            if provider is not None:
                unit.providers.delete(provider)

        return work

    @staticmethod
    def add_provider_models(provider_id: str, model_ids: frozenset[str], state: State) -> Operation:
        def work(unit: WriteUnit) -> None:
            if unit.providers.get(provider_id) is not None:
                missing = sorted(model_ids - set(unit.provider_models.upstream_ids(provider_id).values()))
                unit.provider_models.insert(
                    [a_provider_model(name, provider_id=provider_id, state=state) for name in missing]
                )

        return work

    @staticmethod
    def change_provider_model(
        provider_id: str, model_id: str, edit: Callable[[ProviderModel], ProviderModel]
    ) -> Operation:
        def work(unit: WriteUnit) -> None:
            before = unit.provider_models.get(provider_id, model_id)
            if before is not None:
                unit.provider_models.update(before, edit(before))

        return work

    @staticmethod
    def delete_provider_model(provider_id: str, model_id: str) -> Operation:
        def work(unit: WriteUnit) -> None:
            model = unit.provider_models.get(provider_id, model_id)
            if model is not None:
                unit.provider_models.delete([model])

        return work

    @staticmethod
    def delete_provider_models(provider_ids: frozenset[str], model_id: str) -> Operation:
        def work(unit: WriteUnit) -> None:
            found = [unit.provider_models.get(provider_id, model_id) for provider_id in sorted(provider_ids)]
            unit.provider_models.delete([model for model in found if model is not None])

        return work

    @staticmethod
    def wire(model_id: str, backends: tuple[ModelBackend, ...], state: State) -> Operation:
        def work(unit: WriteUnit) -> None:
            there = [each for each in backends if unit.provider_models.get(*each.target) is not None]
            before = unit.models.get(model_id)
            if before is None:
                unit.models.insert(a_model(model_id, *there, state=state))
            else:
                unit.models.update(before, replace(before, backends=tuple(there), state=state))

        return work

    @staticmethod
    def delete_model(model_id: str) -> Operation:
        def work(unit: WriteUnit) -> None:
            model = unit.models.get(model_id)
            if model is not None:
                unit.models.delete(model)

        return work


def with_facts(**facts: int | str) -> Callable[[ProviderModel], ProviderModel]:
    def edit(model: ProviderModel) -> ProviderModel:
        changed: ModelFacts = replace(model.facts, **facts)  # type: ignore[arg-type]
        return replace(model, facts=changed)

    return edit


def in_state(state: State) -> Callable[[Provider], Provider]:
    return lambda provider: replace(provider, state=state)


def provider_model_in_state(state: State) -> Callable[[ProviderModel], ProviderModel]:
    return lambda model: replace(model, state=state)


def labelled(value: str) -> Callable[[Provider], Provider]:
    return lambda provider: replace(provider, labels={"env": value})


def annotated(value: str) -> Callable[[Provider], Provider]:
    return lambda provider: replace(provider, annotations={"note": value})


def some_operations(chance: random.Random) -> list[Operation]:
    """One to three of them, for one unit of work."""
    return [_one_operation(chance) for _ in range(chance.randint(1, 3))]


def _one_operation(chance: random.Random) -> Operation:
    provider_id, provider_model_id, model_id = map(chance.choice, (PROVIDERS, PROVIDER_MODELS, MODELS))
    state = chance.choice((State.ACTIVE, State.ACTIVE, State.DISABLED))
    kinds = (ProviderKind.OPENAI, ProviderKind.OPENAI_COMPATIBLE)
    targets = chance.sample([(p, m) for p in PROVIDERS for m in PROVIDER_MODELS], chance.randint(0, 4))
    backends = tuple(
        ModelBackend(*target, chance.randint(0, 1), chance.randint(0, 2), chance.random() < 0.2)
        for target in targets
    )
    likely: tuple[tuple[int, Operation], ...] = (
        (4, Operations.create(provider_id, chance.choice(kinds), state, chance.random() < 0.7)),
        (2, Operations.change(provider_id, in_state(state))),
        (1, Operations.change(provider_id, labelled(str(chance.random())))),
        (1, Operations.change(provider_id, annotated(str(chance.random())))),
        (1, Operations.set_credential(provider_id)),
        (1, Operations.delete(provider_id)),
        (4, Operations.add_provider_models(provider_id, frozenset(chance.sample(PROVIDER_MODELS, 2)), state)),
        (2, Operations.change_provider_model(provider_id, provider_model_id, provider_model_in_state(state))),
        (
            2,
            Operations.change_provider_model(
                provider_id, provider_model_id, with_facts(context_window=chance.randint(1, 99))
            ),
        ),
        (
            1,
            Operations.change_provider_model(
                provider_id, provider_model_id, with_facts(display_name=str(chance.random()))
            ),
        ),
        (1, Operations.delete_provider_models(frozenset(chance.sample(PROVIDERS, 2)), provider_model_id)),
        (4, Operations.wire(model_id, backends, state)),
        (1, Operations.delete_model(model_id)),
    )
    [chosen] = chance.choices([one for _, one in likely], [weight for weight, _ in likely])
    return chosen
