"""What routers see: which providers, provider models and models take part in routing, and in what form.

One place decides "routable", for the read model, the change log and the `routable` field alike. Payloads are
the canonical JSON that the change log keeps; they hold settings and versions, never sealed bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

from service.domain.json_forms import (
    UnreadableForm,
    canonical_json,
    capabilities_from_json,
    count_from_json,
    list_from_json,
    member,
    pairs_from_json,
    pricing_from_json,
    pricing_to_json,
    text_from_json,
)
from service.domain.model import (
    CredentialType,
    ModelBackend,
    ModelCapability,
    ModelKind,
    ModelView,
    Pricing,
    Provider,
    ProviderConfig,
    ProviderKind,
    ProviderModel,
    State,
    UnroutableReason,
)
from upstreams.kinds import KINDS


class EntryKind(StrEnum):
    """What a row of the change log is about."""

    PROVIDER = "provider"
    PROVIDER_MODEL = "provider_model"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class RoutingProvider:
    """A provider as routers see it. ``credential_type`` is None where the kind goes without one."""

    name: str
    uid: UUID
    kind: ProviderKind
    display_name: str
    config: ProviderConfig
    credential_type: CredentialType | None
    credential_version: int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ActiveProviderModel:
    """A provider model that routers may use now."""

    name: str
    provider: str
    provider_kind: ProviderKind
    upstream_model_id: str
    kind: ModelKind
    context_window: int
    max_output_tokens: int
    embedding_dimensions: int
    pricing: Pricing | None
    capabilities: tuple[ModelCapability, ...]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """A model that callers of the gateway may ask for now.

    ``backends`` are the routable ones, at least one, in order; their weights are at least 1.
    """

    name: str
    kind: ModelKind
    backends: tuple[ModelBackend, ...]
    labels: Mapping[str, str]


Entry = RoutingProvider | ActiveProviderModel | ActiveModel


@dataclass(frozen=True, slots=True)
class Change:
    """One row of a change set: the entry as it is now, or None when routing no longer has it."""

    kind: EntryKind
    name: str
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Everything one revision changed for routers, in order; empty when it changed nothing they see.

    ``parent_id`` is the id of the commit before, known where the change set comes from its own writer.
    """

    revision: int
    changes: tuple[Change, ...]
    commit_time: datetime
    commit_id: UUID
    parent_id: UUID | None = None


def credential_required(kind: ProviderKind) -> bool:
    """Whether a provider of this kind is left out of routing until it has a credential."""
    return KINDS[kind].credential_required


def unroutable_reason(provider: Provider) -> UnroutableReason | None:
    """Return why a provider is left out of routing: None where it is not."""
    if provider.state is State.CORRUPT:
        return UnroutableReason.CORRUPT
    if provider.state is not State.ACTIVE:
        return UnroutableReason.DISABLED
    if provider.credential is None and credential_required(provider.kind):
        return UnroutableReason.NO_CREDENTIAL
    return None


def provider_routable(provider: Provider) -> bool:
    """Return whether a provider is active and has the credential its kind needs."""
    return unroutable_reason(provider) is None


def provider_model_routable(provider: Provider, model: ProviderModel) -> bool:
    """The model and its provider are both active, and the provider has the credential its kind needs."""
    return model.state is State.ACTIVE and provider_routable(provider)


def routing_provider(provider: Provider) -> RoutingProvider | None:
    """The provider's routing entry, or None while routing leaves it out."""
    if not provider_routable(provider):
        return None
    credential = provider.credential
    return RoutingProvider(
        name=provider.name,
        uid=provider.uid,
        kind=provider.kind,
        display_name=provider.display_name,
        config=provider.config,
        credential_type=credential.type if credential else None,
        credential_version=credential.version if credential else 0,
        labels=provider.labels,
    )


def active_model(view: ModelView) -> ActiveModel | None:
    """The routing entry of a model, or None while it is disabled or has no backend that routing offers."""
    if not view.is_routable:
        return None
    model = view.model
    backends = tuple(replace(one, weight=one.effective_weight) for one in view.routable_backends)
    return ActiveModel(model.name, model.kind, backends, model.labels)


def active_provider_model(provider: Provider, model: ProviderModel) -> ActiveProviderModel | None:
    """The model's routing entry, or None while routing leaves it out."""
    if not provider_model_routable(provider, model):
        return None
    facts = model.facts
    return ActiveProviderModel(
        name=model.name,
        provider=provider.name,
        provider_kind=provider.kind,
        upstream_model_id=facts.upstream_model_id,
        kind=facts.kind,
        context_window=facts.context_window,
        max_output_tokens=facts.max_output_tokens,
        embedding_dimensions=facts.embedding_dimensions,
        pricing=facts.pricing,
        capabilities=facts.capabilities,
        labels=model.labels,
    )


def entry_to_json(entry: Entry) -> bytes:
    """The change log's payload for an entry."""
    if isinstance(entry, RoutingProvider):
        return canonical_json(
            {
                "name": entry.name,
                "uid": str(entry.uid),
                "kind": entry.kind,
                "display_name": entry.display_name,
                "config": {"values": dict(entry.config.values), "headers": dict(entry.config.headers)},
                "credential_type": entry.credential_type,
                "credential_version": entry.credential_version,
                "labels": dict(entry.labels),
            }
        )
    if isinstance(entry, ActiveModel):
        return canonical_json(
            {
                "name": entry.name,
                "kind": entry.kind,
                "backends": [
                    [b.provider_id, b.provider_model_id, b.priority, b.weight] for b in entry.backends
                ],
                "labels": dict(entry.labels),
            }
        )
    return canonical_json(
        {
            "name": entry.name,
            "provider": entry.provider,
            "provider_kind": entry.provider_kind,
            "upstream_model_id": entry.upstream_model_id,
            "kind": entry.kind,
            "context_window": entry.context_window,
            "max_output_tokens": entry.max_output_tokens,
            "embedding_dimensions": entry.embedding_dimensions,
            "pricing": pricing_to_json(entry.pricing),
            "capabilities": list(entry.capabilities),
            "labels": dict(entry.labels),
        }
    )


def entry_from_json(kind: EntryKind, payload: bytes) -> Entry:
    """The inverse of `entry_to_json`. Raises UnreadableForm."""
    try:
        return _ENTRIES[kind](json.loads(payload))
    except (ValueError, RecursionError):
        raise UnreadableForm from None  # the original message quotes the value


def _provider_from_json(value: Any) -> RoutingProvider:
    config, credential_type = member(value, "config"), member(value, "credential_type")
    return RoutingProvider(
        name=text_from_json(member(value, "name")),
        uid=UUID(text_from_json(member(value, "uid"))),
        kind=ProviderKind(count_from_json(member(value, "kind"))),
        display_name=text_from_json(member(value, "display_name")),
        config=ProviderConfig(
            pairs_from_json(member(config, "values")), pairs_from_json(member(config, "headers"))
        ),
        credential_type=None if credential_type is None else CredentialType(count_from_json(credential_type)),
        credential_version=count_from_json(member(value, "credential_version")),
        labels=pairs_from_json(member(value, "labels")),
    )


def _provider_model_from_json(value: Any) -> ActiveProviderModel:
    return ActiveProviderModel(
        name=text_from_json(member(value, "name")),
        provider=text_from_json(member(value, "provider")),
        provider_kind=ProviderKind(count_from_json(member(value, "provider_kind"))),
        upstream_model_id=text_from_json(member(value, "upstream_model_id")),
        kind=ModelKind(count_from_json(member(value, "kind"))),
        context_window=count_from_json(member(value, "context_window")),
        max_output_tokens=count_from_json(member(value, "max_output_tokens")),
        embedding_dimensions=count_from_json(member(value, "embedding_dimensions")),
        pricing=pricing_from_json(member(value, "pricing")),
        capabilities=capabilities_from_json(member(value, "capabilities")),
        labels=pairs_from_json(member(value, "labels")),
    )


def _model_from_json(value: Any) -> ActiveModel:
    return ActiveModel(
        name=text_from_json(member(value, "name")),
        kind=ModelKind(count_from_json(member(value, "kind"))),
        backends=tuple(_backend_from_json(backend) for backend in list_from_json(member(value, "backends"))),
        labels=pairs_from_json(member(value, "labels")),
    )


def _backend_from_json(value: Any) -> ModelBackend:
    provider_id, model_id, priority, weight = list_from_json(value)
    return ModelBackend(
        text_from_json(provider_id),
        text_from_json(model_id),
        count_from_json(priority),
        count_from_json(weight),
    )


_ENTRIES: Mapping[EntryKind, Callable[[Any], Entry]] = MappingProxyType(
    {
        EntryKind.PROVIDER: _provider_from_json,
        EntryKind.PROVIDER_MODEL: _provider_model_from_json,
        EntryKind.MODEL: _model_from_json,
    }
)
