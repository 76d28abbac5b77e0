"""Checks that several use cases share: existence, etags, impact tokens."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import TypeVar

from service.domain import ids
from service.domain.errors import (
    MODEL_TYPE,
    PROVIDER_MODEL_TYPE,
    PROVIDER_TYPE,
    Aborted,
    FailedPrecondition,
    NotFound,
    PreconditionViolation,
    Reason,
    ResourceRef,
)
from service.domain.impact import DeletionImpact
from service.domain.model import Model, Provider, ProviderModel, ProviderView, State
from service.store import ReadUnit

R = TypeVar("R", Provider, ProviderModel, Model)
SHOWN_CHILDREN = 20


def existing_provider(unit: ReadUnit, name: str, *, field: str = "name") -> Provider:
    """Return the provider of that name. Raises NotFound."""
    provider = unit.providers.get(ids.parse_provider_name(name, field=field))
    if provider is None:
        raise NotFound(ResourceRef(PROVIDER_TYPE, name))
    return provider


def existing_provider_view(unit: ReadUnit, name: str, *, field: str = "name") -> ProviderView:
    """Return the provider of that name with its counts. Raises NotFound."""
    view = unit.providers.view(ids.parse_provider_name(name, field=field))
    if view is None:
        raise NotFound(ResourceRef(PROVIDER_TYPE, name))
    return view


def existing_provider_model(
    unit: ReadUnit, name: str, *, field: str = "name"
) -> tuple[Provider, ProviderModel]:
    """Return the provider model of that name, with its provider. Raises NotFound."""
    provider_id, model_id = ids.parse_provider_model_name(name, field=field)
    provider = unit.providers.get(provider_id)
    model = unit.provider_models.get(provider_id, model_id) if provider else None
    if provider is None or model is None:
        raise NotFound(ResourceRef(PROVIDER_MODEL_TYPE, name))
    return provider, model


def existing_model(unit: ReadUnit, name: str, *, field: str = "name") -> Model:
    """Return the model of that name. Raises NotFound."""
    model = unit.models.get(ids.parse_model_name(name, field=field))
    if model is None:
        raise NotFound(ResourceRef(MODEL_TYPE, name))
    return model


def readable(resource: R) -> R:
    """Return a resource that can be changed. Raises FailedPrecondition: RESOURCE_CORRUPT."""
    if resource.state is State.CORRUPT:
        raise corrupt(resource)
    return resource


def corrupt(resource: Provider | ProviderModel | Model) -> FailedPrecondition:
    """Return the refusal to use or change a resource of which a stored value cannot be read."""
    replaceable = isinstance(resource, Provider) and _only_credential_corrupt(resource)
    remedy = "set its credential again" if replaceable else "delete it and create it again"
    text = f"a stored value cannot be read ({', '.join(resource.unreadable)}): {remedy}"
    return FailedPrecondition(
        f"{resource.name}: {text}",
        reason=Reason.RESOURCE_CORRUPT,
        violations=[PreconditionViolation("RESOURCE_STATE", resource.name, text)],
        metadata={"name": resource.name, "columns": ",".join(resource.unreadable)},
        resource=ResourceRef(resource_type(resource.name), resource.name),
    )


def mendable(provider: Provider) -> Provider:
    """Return a provider whose credential can be replaced. Raises FailedPrecondition: RESOURCE_CORRUPT."""
    if not _only_credential_corrupt(provider):
        raise corrupt(provider)
    return provider


def _only_credential_corrupt(provider: Provider) -> bool:
    return all(column.startswith(("credentials.", "data_keys.")) for column in provider.unreadable)


def resource_type(name: str) -> str:
    """Return the type of the resource that has this well-formed name."""
    if name.startswith("models/"):
        return MODEL_TYPE
    return PROVIDER_MODEL_TYPE if "/models/" in name else PROVIDER_TYPE


def matching_etag(resource: Provider | ProviderModel | Model, etag: str) -> None:
    """Refuse to act on a version that the caller has not seen. An empty etag asks for nothing."""
    if etag and etag != resource.etag:
        text = f"{resource.name} has changed since that etag was read: read it again, then retry"
        raise _stale(resource, text, Reason.ETAG_MISMATCH)


def matching_impact(
    resource: Provider | ProviderModel | Model | None, impact: DeletionImpact, token: str
) -> None:
    """Hold a delete to its preview; None stands for several. An empty token asks for nothing."""
    if not token or hmac.compare_digest(token.encode(), impact.impact_token.encode()):
        return
    text = "would now take other things along than the preview showed: preview it again"
    if resource is None:
        raise Aborted(f"deleting these provider models {text}", reason=Reason.IMPACT_CHANGED)
    raise _stale(resource, f"deleting {resource.name} {text}", Reason.IMPACT_CHANGED)


def has_backends(name: str, models: Sequence[str]) -> FailedPrecondition:
    """Return the refusal to delete a provider model that these models are wired to; names in order."""
    count = len(models)
    return FailedPrecondition(
        f"{name} is a backend of {count} model{'s' if count != 1 else ''}: set force to delete it anyway",
        reason=Reason.MODEL_HAS_BACKENDS,
        violations=[
            PreconditionViolation("CHILD_RESOURCE", model, "loses its backend to this provider model")
            for model in models[:SHOWN_CHILDREN]
        ],
        metadata={"name": name, "backend_count": str(count)},
        resource=ResourceRef(PROVIDER_MODEL_TYPE, name),
    )


def _stale(resource: Provider | ProviderModel | Model, message: str, reason: Reason) -> Aborted:
    return Aborted(
        message,
        reason=reason,
        metadata={"name": resource.name, "current_etag": resource.etag},
        resource=ResourceRef(resource_type(resource.name), resource.name),
    )
