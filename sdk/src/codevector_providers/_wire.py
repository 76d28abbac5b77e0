"""Convert messages of the registry to values of this library. The only module that knows both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codevector.providers.v1 import provider_model_pb2, routing_service_pb2

from codevector_providers.model import (
    ActiveModel,
    ActiveProviderModel,
    CredentialType,
    ModelBackend,
    ModelCapability,
    ModelKind,
    Pricing,
    PricingTier,
    ProviderKind,
    RoutingProvider,
    RoutingSnapshot,
)
from codevector_providers.opening import SealedCredential
from codevector_providers.table import Entries, ProviderModels, RoutingTable, TableChanges

_CONFIG_MEMBERS: Mapping[ProviderKind, str] = {
    kind: kind.name.lower() for kind in ProviderKind if kind is not ProviderKind.UNSPECIFIED
}
_PRICES = (
    "input_per_million_tokens",
    "output_per_million_tokens",
    "cached_input_per_million_tokens",
    "cache_write_per_million_tokens",
)


def snapshot(message: routing_service_pb2.RoutingSnapshot) -> RoutingSnapshot:
    """The whole routing table."""
    return RoutingSnapshot(
        revision=message.revision,
        store_id=message.store_id,
        token=message.token,
        providers=tuple(routing_provider(entry) for entry in message.providers),
        provider_models=tuple(active_provider_model(entry) for entry in message.provider_models),
        models=tuple(active_model(entry) for entry in message.models),
    )


class TableReader:
    """Builds a routing table from the chunks of a snapshot, or from a stored one."""

    def __init__(self) -> None:
        self._shared = Shared()
        self._providers: list[RoutingProvider] = []
        self._provider_models: list[ActiveProviderModel] = []
        self._models: list[ActiveModel] = []

    def add(self, part: routing_service_pb2.SnapshotChunk | routing_service_pb2.RoutingSnapshot) -> None:
        """Add a part of the table."""
        shared = self._shared
        self._providers.extend(map(routing_provider, part.providers))
        self._provider_models.extend(active_provider_model(entry, shared) for entry in part.provider_models)
        self._models.extend(map(active_model, part.models))

    def table(self, *, store_id: str, revision: int, token: str) -> RoutingTable:
        """The table of all parts."""
        return RoutingTable(
            store_id=store_id,
            revision=revision,
            token=token,
            providers=Entries.of(self._providers),
            provider_models=ProviderModels.of(self._provider_models),
            models=Entries.of(self._models),
        )


def table_changes(message: routing_service_pb2.ChangeSet) -> TableChanges:
    """Return all changes of one revision, without those of a kind that this version does not know."""
    changes = TableChanges({}, {}, {})
    for change in message.changes:
        match change.WhichOneof("change"):
            case "provider":
                changes.providers[change.provider.name] = routing_provider(change.provider)
            case "provider_model":
                entry = active_provider_model(change.provider_model)
                changes.provider_models[entry.name] = entry
            case "model":
                changes.models[change.model.name] = active_model(change.model)
            case "removed":
                changes.take_out(change.removed)
    return changes


def routing_provider(message: routing_service_pb2.RoutingProvider) -> RoutingProvider:
    """One provider. Settings of other kinds are ignored."""
    kind = ProviderKind(message.kind)
    config: dict[str, str] = {}
    headers: dict[str, str] = {}
    member = _CONFIG_MEMBERS.get(kind)
    if member is not None and message.config.HasField(member):
        settings = getattr(message.config, member)
        values = {descriptor.name: value for descriptor, value in settings.ListFields()}
        headers = dict(values.pop("headers", {}))
        config = values
    return RoutingProvider(
        name=message.name,
        uid=message.uid,
        kind=kind,
        display_name=message.display_name,
        config=config,
        headers=headers,
        credential_type=CredentialType(message.credential_type),
        credential_version=message.credential_version,
        labels=dict(message.labels),
    )


def active_model(message: routing_service_pb2.ActiveModel) -> ActiveModel:
    """One model, its backends in the order in which they came."""
    return ActiveModel(
        name=message.name,
        kind=ModelKind(message.kind),
        backends=tuple(
            # A weight of 0 counts as 1, whatever sent it.
            ModelBackend(backend.provider_model, backend.priority, backend.weight or 1)
            for backend in message.backends
        ),
        labels=dict(message.labels),
    )


def active_provider_model(
    message: routing_service_pb2.ActiveProviderModel, shared: Shared | None = None
) -> ActiveProviderModel:
    """One provider model; with ``shared``, equal parts are shared with other entries."""
    shared = shared or Shared()
    return ActiveProviderModel(
        name=message.name,
        provider=shared.text(message.provider),
        provider_kind=ProviderKind(message.provider_kind),
        upstream_model_id=message.upstream_model_id,
        kind=ModelKind(message.kind),
        context_window=message.context_window,
        max_output_tokens=message.max_output_tokens,
        embedding_dimensions=message.embedding_dimensions,
        pricing=shared.pricing(message.pricing) if message.HasField("pricing") else None,
        capabilities=shared.capabilities(message.capabilities),
        labels=shared.labels(message.labels),
    )


class Shared:
    """Parts that many entries share, each made once: a large table is read faster and is smaller."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._pricings: dict[bytes, Pricing] = {}
        self._capabilities: dict[tuple[int, ...], tuple[ModelCapability, ...]] = {}
        self._labels: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}

    def text(self, value: str) -> str:
        """An equal text."""
        return self._texts.setdefault(value, value)

    def pricing(self, message: provider_model_pb2.Pricing) -> Pricing:
        """The prices."""
        key = message.SerializeToString()
        found = self._pricings.get(key)
        if found is None:
            found = self._pricings[key] = _pricing(message)
        return found

    def capabilities(self, numbers: Iterable[int]) -> tuple[ModelCapability, ...]:
        """The capabilities."""
        key = tuple(numbers)
        found = self._capabilities.get(key)
        if found is None:
            found = self._capabilities[key] = tuple(map(ModelCapability, key))
        return found

    def labels(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """The labels."""
        key = tuple(labels.items())
        found = self._labels.get(key)
        if found is None:
            found = self._labels[key] = dict(key)
        return found


def snapshot_message(table: RoutingTable) -> routing_service_pb2.RoutingSnapshot:
    """Return the message that reads as this table again."""
    message = routing_service_pb2.RoutingSnapshot(revision=table.revision, store_id=table.store_id)
    for provider in table.providers.values():
        _write_provider(message.providers.add(), provider)
    for provider_model in table.provider_models.values():
        _write_provider_model(message.provider_models.add(), provider_model)
    for model in table.models.values():
        entry = message.models.add(name=model.name, kind=model.kind, labels=model.labels)
        for backend in model.backends:
            entry.backends.add(
                provider_model=backend.provider_model, priority=backend.priority, weight=backend.weight
            )
    return message


def sealed_credential(message: routing_service_pb2.SealedCredential) -> SealedCredential:
    """Return the claims about one provider's credential, all unchecked."""
    return SealedCredential(
        provider_uid=message.provider_uid,
        kind=message.kind,
        type=message.type,
        credential_version=message.credential_version,
        envelope=message.envelope,
        wrapped_data_key=message.wrapped_data_key,
        key_version=message.key_version,
        commitment=message.commitment,
        context=message.context,
        destinations=tuple(message.destinations),
    )


def _pricing(message: provider_model_pb2.Pricing) -> Pricing:
    return Pricing(
        currency_code=message.currency_code,
        tiers=tuple(
            PricingTier(above_input_tokens=tier.above_input_tokens, **_prices(tier)) for tier in message.tiers
        ),
        **_prices(message),
    )


def _prices(message: provider_model_pb2.Pricing | provider_model_pb2.PricingTier) -> dict[str, Any]:
    """The four prices; absent ones are None, since "0" means free."""
    present = {descriptor.name: value for descriptor, value in message.ListFields()}
    return {name: present.get(name) for name in _PRICES}


def _write_provider(message: routing_service_pb2.RoutingProvider, provider: RoutingProvider) -> None:
    message.name, message.uid = provider.name, provider.uid
    message.kind = int(provider.kind)  # type: ignore[assignment]
    message.display_name = provider.display_name
    message.credential_type = int(provider.credential_type)  # type: ignore[assignment]
    message.credential_version = provider.credential_version
    message.labels.update(provider.labels)
    member = _CONFIG_MEMBERS.get(provider.kind)
    if member is not None:
        settings = getattr(message.config, member)
        settings.SetInParent()
        for name, value in provider.config.items():
            setattr(settings, name, value)
        if provider.headers:
            settings.headers.update(provider.headers)


def _write_provider_model(
    message: routing_service_pb2.ActiveProviderModel, provider_model: ActiveProviderModel
) -> None:
    message.name, message.provider = provider_model.name, provider_model.provider
    message.provider_kind = int(provider_model.provider_kind)  # type: ignore[assignment]
    message.upstream_model_id = provider_model.upstream_model_id
    message.kind = int(provider_model.kind)  # type: ignore[assignment]
    message.context_window = provider_model.context_window
    message.max_output_tokens = provider_model.max_output_tokens
    message.embedding_dimensions = provider_model.embedding_dimensions
    message.capabilities.extend(provider_model.capabilities)  # type: ignore[arg-type]
    message.labels.update(provider_model.labels)
    if provider_model.pricing is not None:
        _write_pricing(message.pricing, provider_model.pricing)


def _write_pricing(message: provider_model_pb2.Pricing, pricing: Pricing) -> None:
    message.SetInParent()
    message.currency_code = pricing.currency_code
    _write_prices(message, pricing)
    for tier in pricing.tiers:
        _write_prices(message.tiers.add(above_input_tokens=tier.above_input_tokens), tier)


def _write_prices(
    message: provider_model_pb2.Pricing | provider_model_pb2.PricingTier, prices: Pricing | PricingTier
) -> None:
    for name in _PRICES:
        value = getattr(prices, name)
        if value is not None:
            setattr(message, name, value)
