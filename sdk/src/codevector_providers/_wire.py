"""Messages of the registry to values of this library. The only module that knows both."""

from __future__ import annotations

from collections.abc import Mapping
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

_CONFIG_MEMBERS: Mapping[ProviderKind, str] = {
    kind: kind.name.lower() for kind in ProviderKind if kind is not ProviderKind.UNSPECIFIED
}


def snapshot(message: routing_service_pb2.RoutingSnapshot) -> RoutingSnapshot:
    """The whole routing table."""
    return RoutingSnapshot(
        revision=message.revision,
        store_id=message.store_id,
        providers=tuple(routing_provider(entry) for entry in message.providers),
        provider_models=tuple(active_provider_model(entry) for entry in message.provider_models),
        models=tuple(active_model(entry) for entry in message.models),
    )


def routing_provider(message: routing_service_pb2.RoutingProvider) -> RoutingProvider:
    """One provider. Settings of another kind than its own are not read."""
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
            # A weight of 0 is read as 1, wherever it comes from.
            ModelBackend(backend.provider_model, backend.priority, backend.weight or 1)
            for backend in message.backends
        ),
        labels=dict(message.labels),
    )


def active_provider_model(message: routing_service_pb2.ActiveProviderModel) -> ActiveProviderModel:
    """One provider model."""
    return ActiveProviderModel(
        name=message.name,
        provider=message.provider,
        provider_kind=ProviderKind(message.provider_kind),
        upstream_model_id=message.upstream_model_id,
        kind=ModelKind(message.kind),
        context_window=message.context_window,
        max_output_tokens=message.max_output_tokens,
        embedding_dimensions=message.embedding_dimensions,
        pricing=_pricing(message.pricing) if message.HasField("pricing") else None,
        capabilities=tuple(ModelCapability(number) for number in message.capabilities),
        labels=dict(message.labels),
    )


def sealed_credential(message: routing_service_pb2.SealedCredential) -> SealedCredential:
    """The claims about one provider's credential, none of them checked yet."""
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
    names = (
        "input_per_million_tokens",
        "output_per_million_tokens",
        "cached_input_per_million_tokens",
        "cache_write_per_million_tokens",
    )
    present = {descriptor.name: value for descriptor, value in message.ListFields()}
    return {name: present.get(name) for name in names}
