"""What a write unit changed for routers, worked out from what it touched.

Each touched resource is remembered as it was before the unit first touched it and as it was left. From that
come the entries routers had and the ones they have now; only the differences are logged. A model's entry also
depends on the provider models it is wired to, so untouched models are looked at too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from service.domain.model import Model, ModelView, Provider, ProviderModel, ProviderModelKey, State
from service.domain.routing import (
    Change,
    Entry,
    EntryKind,
    active_model,
    active_provider_model,
    provider_routable,
    routing_provider,
)

T = TypeVar("T", Provider, ProviderModel, Model)


_UNKNOWN = cast(Entry, object())
"""The entry that routers may have of what cannot be read. It equals no other, so what follows is logged."""


@dataclass(slots=True)
class Touched:
    """The resources that a write unit inserted, changed or deleted: before it, and as it left them."""

    providers_before: dict[str, Provider | None] = field(default_factory=dict)
    providers_after: dict[str, Provider | None] = field(default_factory=dict)
    provider_models_before: dict[ProviderModelKey, ProviderModel | None] = field(default_factory=dict)
    provider_models_after: dict[ProviderModelKey, ProviderModel | None] = field(default_factory=dict)
    models_before: dict[str, Model | None] = field(default_factory=dict)
    models_after: dict[str, Model | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.providers_after or self.provider_models_after or self.models_after)

    def provider(self, before: Provider | None, after: Provider | None) -> None:
        """Note one change of a provider; None where it did not or does not exist."""
        provider_id = _one(before, after).provider_id
        self.providers_before.setdefault(provider_id, before)
        self.providers_after[provider_id] = after

    def provider_model(self, before: ProviderModel | None, after: ProviderModel | None) -> None:
        """Note one change of a provider model; None where it did not or does not exist."""
        resource = _one(before, after)
        key = (resource.provider_id, resource.model_id)
        self.provider_models_before.setdefault(key, before)
        self.provider_models_after[key] = after

    def model(self, before: Model | None, after: Model | None) -> None:
        """Note one change of a model, its backends included; None where it did not or does not exist."""
        model_id = _one(before, after).model_id
        self.models_before.setdefault(model_id, before)
        self.models_after[model_id] = after

    def flipped(self) -> list[str]:
        """Return the surviving providers that entered or left routing, and all their models with them."""
        return [
            provider_id
            for provider_id, after in self.providers_after.items()
            if after is not None and _flipped(self.providers_before[provider_id], after)
        ]

    def untouched_providers(self) -> list[str]:
        """Return the providers of touched models that were not touched themselves."""
        return sorted(
            {provider_id for provider_id, _ in self.provider_models_after} - self.providers_after.keys()
        )


@dataclass(frozen=True, slots=True)
class OfferChanges:
    """What changed of providers and provider models; by name within each list.

    ``was`` says of each provider model looked at, if it was there before, whether routing offered it, None
    where that cannot be known, and ``now`` the same of those that are there now. For any other nothing did.
    """

    providers: Sequence[Change]
    models: Sequence[Change]
    was: Mapping[ProviderModelKey, bool | None]
    now: Mapping[ProviderModelKey, bool]

    def turned(self) -> set[ProviderModelKey]:
        """Return the provider models, there before and still, that entered or left routing.

        Wires to new and to deleted ones are no matter of others: adding and removing them touches the model.
        """
        return {key for key, was in self.was.items() if key in self.now and was != self.now[key]}


def offer_changes(
    touched: Touched,
    *,
    untouched_providers: Mapping[str, Provider],
    provider_models_of_flipped: Iterable[ProviderModel],
) -> OfferChanges:
    """Return the differences of providers and provider models.

    ``untouched_providers`` are those of `Touched.untouched_providers`; ``provider_models_of_flipped`` are all
    provider models that the flipped providers have now.
    """
    before = {**untouched_providers, **touched.providers_before}
    after = {**untouched_providers, **touched.providers_after}
    provider_models_before = dict(touched.provider_models_before)
    provider_models_after = dict(touched.provider_models_after)
    for model in provider_models_of_flipped:
        key = (model.provider_id, model.model_id)
        provider_models_before.setdefault(key, model)
        provider_models_after.setdefault(key, model)
    providers = _differences(
        EntryKind.PROVIDER,
        {
            resource.name: _before(resource, routing_provider)
            for resource in touched.providers_before.values()
            if resource
        },
        {
            resource.name: routing_provider(resource)
            for resource in touched.providers_after.values()
            if resource
        },
    )
    entries_before, was = _provider_model_entries(provider_models_before, before, earlier=True)
    unknown = {
        key: None
        for key, model in provider_models_before.items()
        if key in was and model is not None and entries_before[model.name] is _UNKNOWN
    }
    entries_after, now = _provider_model_entries(provider_models_after, after, earlier=False)
    models = _differences(EntryKind.PROVIDER_MODEL, entries_before, entries_after)
    return OfferChanges(providers, models, {**was, **unknown}, now)


def backend_targets(touched: Touched, others: Iterable[Model]) -> set[ProviderModelKey]:
    """Every provider model that the touched models and these others are or were wired to."""
    models = [*touched.models_before.values(), *touched.models_after.values(), *others]
    return {backend.target for model in models if model is not None for backend in model.backends}


def routing_changes(
    touched: Touched, offers: OfferChanges, *, others: Iterable[Model], routable: frozenset[ProviderModelKey]
) -> list[Change]:
    """Return all differences for routers, ordered so that no entry refers to one that does not exist.

    Providers put, provider models put, models, provider models removed, providers removed; by name within
    each. ``others`` are the untouched models wired to what `OfferChanges.turned`; ``routable`` are those of
    `backend_targets` that routing offers now.
    """
    targets = backend_targets(touched, others := list(others))
    was_routable = frozenset(target for target in targets if offers.was.get(target, target in routable))
    unknown = {key for key, was in offers.was.items() if was is None}
    unchanged = {model.model_id: model for model in others if model.model_id not in touched.models_after}
    models = _differences(
        EntryKind.MODEL,
        _model_entries({**unchanged, **touched.models_before}, was_routable, unknown, earlier=True),
        _model_entries({**unchanged, **touched.models_after}, routable, (), earlier=False),
    )
    return [
        *_put(offers.providers),
        *_put(offers.models),
        *models,
        *_removed(offers.models),
        *_removed(offers.providers),
    ]


def _provider_model_entries(
    models: Mapping[ProviderModelKey, ProviderModel | None],
    providers: Mapping[str, Provider | None],
    *,
    earlier: bool,
) -> tuple[dict[str, Entry | None], dict[ProviderModelKey, bool]]:
    """Return the entries of those that are there, by name, and by key whether there is one."""
    entries: dict[str, Entry | None] = {}
    offered: dict[ProviderModelKey, bool] = {}
    for key, model in models.items():
        provider = providers[model.provider_id] if model else None
        if model is not None and provider is not None:
            entries[model.name] = (
                _UNKNOWN
                if earlier and State.CORRUPT in (provider.state, model.state)
                else active_provider_model(provider, model)
            )
            offered[key] = entries[model.name] is not None
    return entries, offered


def _model_entries(
    models: Mapping[str, Model | None],
    routable: frozenset[ProviderModelKey],
    unknown: Collection[ProviderModelKey],
    *,
    earlier: bool,
) -> dict[str, Entry | None]:
    return {
        model.name: _UNKNOWN
        if earlier and (model.state is State.CORRUPT or _depends(model, unknown))
        else active_model(ModelView(model, routable))
        for model in models.values()
        if model is not None
    }


def _depends(model: Model, unknown: Collection[ProviderModelKey]) -> bool:
    return model.state is State.ACTIVE and any(backend.target in unknown for backend in model.backends)


def _before(provider: Provider, entry: Callable[[Provider], Entry | None]) -> Entry | None:
    return _UNKNOWN if provider.state is State.CORRUPT else entry(provider)


def _differences(
    kind: EntryKind, before: Mapping[str, Entry | None], after: Mapping[str, Entry | None]
) -> list[Change]:
    names = sorted({*before, *after})
    return [Change(kind, name, after.get(name)) for name in names if before.get(name) != after.get(name)]


def _put(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.entry is not None]


def _removed(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.entry is None]


def _flipped(before: Provider | None, after: Provider) -> bool:
    corrupt = before is not None and before.state is State.CORRUPT
    return corrupt or _routable(before) != _routable(after)


def _routable(provider: Provider | None) -> bool:
    return provider is not None and provider_routable(provider)


def _one(before: T | None, after: T | None) -> T:
    present = after if after is not None else before
    assert present is not None  # noqa: S101 - whoever touches a resource has it before or after
    return present
