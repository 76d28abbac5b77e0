"""Checks that several use cases share: existence, etags, impact tokens."""

from __future__ import annotations

import hmac

from service.domain import ids
from service.domain.errors import (
    MODEL_TYPE,
    PROVIDER_MODEL_TYPE,
    PROVIDER_TYPE,
    Aborted,
    NotFound,
    Reason,
    ResourceRef,
)
from service.domain.impact import DeletionImpact
from service.domain.model import Model, Provider, ProviderModel
from service.store import ReadUnit


def existing_provider(unit: ReadUnit, name: str, *, field: str = "name") -> Provider:
    """The provider of that name. Raises NotFound."""
    provider = unit.provider(ids.parse_provider_name(name, field=field))
    if provider is None:
        raise NotFound(ResourceRef(PROVIDER_TYPE, name))
    return provider


def existing_model(unit: ReadUnit, name: str, *, field: str = "name") -> tuple[Provider, ProviderModel]:
    """The provider model of that name, with its provider. Raises NotFound."""
    provider_id, model_id = ids.parse_provider_model_name(name, field=field)
    provider = unit.provider(provider_id)
    model = unit.model(provider_id, model_id) if provider else None
    if provider is None or model is None:
        raise NotFound(ResourceRef(PROVIDER_MODEL_TYPE, name))
    return provider, model


def existing_facade(unit: ReadUnit, name: str, *, field: str = "name") -> Model:
    """The model of that name. Raises NotFound."""
    model = unit.facade(ids.parse_model_name(name, field=field))
    if model is None:
        raise NotFound(ResourceRef(MODEL_TYPE, name))
    return model


def resource_type(name: str) -> str:
    """The type of the resource that has this well-formed name."""
    if name.startswith("models/"):
        return MODEL_TYPE
    return PROVIDER_MODEL_TYPE if "/models/" in name else PROVIDER_TYPE


def matching_etag(resource: Provider | ProviderModel | Model, etag: str) -> None:
    """Refuse to act on a version that the caller has not seen. An empty etag asks for nothing."""
    if etag and etag != resource.etag:
        text = f"{resource.name} has changed since that etag was read: read it again, then retry"
        raise _stale(resource, text, Reason.ETAG_MISMATCH)


def matching_impact(resource: Provider | ProviderModel, impact: DeletionImpact, token: str) -> None:
    """Hold a delete to its preview. An empty token asks for nothing."""
    if token and not hmac.compare_digest(token.encode(), impact.impact_token.encode()):
        text = f"deleting {resource.name} would now do something else than previewed: preview it again"
        raise _stale(resource, text, Reason.IMPACT_CHANGED)


def _stale(resource: Provider | ProviderModel | Model, message: str, reason: Reason) -> Aborted:
    return Aborted(
        message,
        reason=reason,
        metadata={"name": resource.name, "current_etag": resource.etag},
        resource=ResourceRef(resource_type(resource.name), resource.name),
    )
