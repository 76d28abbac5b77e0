"""What a write unit changed for routers, worked out from what it touched.

Each touched resource is remembered as it was before the unit first touched it and as it was left. From that
come the entries routers had and the ones they have now; only the differences are logged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from service.domain.model import Provider, ProviderModel
from service.domain.routing import Change, Entry, EntryKind, active_model, provider_routable, routing_provider

T = TypeVar("T", Provider, ProviderModel)

ModelKey = tuple[str, str]
"""Provider id and model id."""


@dataclass(slots=True)
class Touched:
    """The resources that a write unit inserted, changed or deleted: before it, and as it left them."""

    providers_before: dict[str, Provider | None] = field(default_factory=dict)
    providers_after: dict[str, Provider | None] = field(default_factory=dict)
    models_before: dict[ModelKey, ProviderModel | None] = field(default_factory=dict)
    models_after: dict[ModelKey, ProviderModel | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.providers_after or self.models_after)

    def provider(self, before: Provider | None, after: Provider | None) -> None:
        """Note one change of a provider; None where it did not or does not exist."""
        provider_id = _one(before, after).provider_id
        self.providers_before.setdefault(provider_id, before)
        self.providers_after[provider_id] = after

    def model(self, before: ProviderModel | None, after: ProviderModel | None) -> None:
        """Note one change of a provider model; None where it did not or does not exist."""
        resource = _one(before, after)
        key = (resource.provider_id, resource.model_id)
        self.models_before.setdefault(key, before)
        self.models_after[key] = after

    def flipped(self) -> list[str]:
        """The surviving providers that entered or left routing, and all their models with them."""
        return [
            provider_id
            for provider_id, after in self.providers_after.items()
            if after is not None and _routable(self.providers_before[provider_id]) != _routable(after)
        ]

    def untouched_providers(self) -> list[str]:
        """The providers of touched models that were not touched themselves."""
        return sorted({provider_id for provider_id, _ in self.models_after} - self.providers_after.keys())


def routing_changes(
    touched: Touched,
    *,
    untouched_providers: Mapping[str, Provider],
    models_of_flipped: Iterable[ProviderModel],
) -> list[Change]:
    """The differences for routers: providers put, then models, then providers removed; by name within each.

    In that order a model never stands in the table without its provider. ``untouched_providers`` are those of
    `Touched.untouched_providers`; ``models_of_flipped`` all models that the flipped providers have now.
    """
    before = {**untouched_providers, **touched.providers_before}
    after = {**untouched_providers, **touched.providers_after}
    models_before = dict(touched.models_before)
    models_after = dict(touched.models_after)
    for model in models_of_flipped:
        key = (model.provider_id, model.model_id)
        models_before.setdefault(key, model)
        models_after.setdefault(key, model)
    providers = _differences(
        EntryKind.PROVIDER,
        {
            resource.name: routing_provider(resource)
            for resource in touched.providers_before.values()
            if resource
        },
        {
            resource.name: routing_provider(resource)
            for resource in touched.providers_after.values()
            if resource
        },
    )
    models = _differences(
        EntryKind.PROVIDER_MODEL, _model_entries(models_before, before), _model_entries(models_after, after)
    )
    put = [change for change in providers if change.entry is not None]
    removed = [change for change in providers if change.entry is None]
    return [*put, *models, *removed]


def _model_entries(
    models: Mapping[ModelKey, ProviderModel | None], providers: Mapping[str, Provider | None]
) -> dict[str, Entry | None]:
    entries: dict[str, Entry | None] = {}
    for model in models.values():
        provider = providers[model.provider_id] if model else None
        if model is not None and provider is not None:
            entries[model.name] = active_model(provider, model)
    return entries


def _differences(
    kind: EntryKind, before: Mapping[str, Entry | None], after: Mapping[str, Entry | None]
) -> list[Change]:
    names = sorted({*before, *after})
    return [Change(kind, name, after.get(name)) for name in names if before.get(name) != after.get(name)]


def _routable(provider: Provider | None) -> bool:
    return provider is not None and provider_routable(provider)


def _one(before: T | None, after: T | None) -> T:
    present = after if after is not None else before
    assert present is not None  # noqa: S101 - whoever touches a resource has it before or after
    return present
