"""Who holds what is wanted twice: asked after the database has refused a row, under the counter's lock."""

from __future__ import annotations

from collections.abc import Sequence

from service.domain.errors import (
    MODEL_TYPE,
    PROVIDER_MODEL_TYPE,
    PROVIDER_TYPE,
    AlreadyExists,
    Reason,
    ResourceRef,
)
from service.domain.ids import display_name_key, provider_model_name, provider_name
from service.domain.model import Model, Provider, ProviderModel
from service.store.reads import ReadUnit


def provider_clash(unit: ReadUnit, provider: Provider, *, is_new: bool) -> AlreadyExists | None:
    """The error that names the holder of this provider's id or display name, or None if neither is held."""
    if is_new and unit.provider(provider.provider_id) is not None:
        name = provider.name
        return AlreadyExists(
            f"{name} already exists",
            reason=Reason.NAME_TAKEN,
            metadata={"name": name},
            resource=ResourceRef(PROVIDER_TYPE, name),
        )
    holder = unit.provider_by_display_name_key(display_name_key(provider.display_name))
    if holder is None or (holder == provider.provider_id and not is_new):
        return None
    name = provider_name(holder)
    return AlreadyExists(
        f"{name} already has this display name (letter case and the like do not count)",
        reason=Reason.DISPLAY_NAME_TAKEN,
        metadata={"name": name},
        resource=ResourceRef(PROVIDER_TYPE, name),
    )


def provider_models_clash(unit: ReadUnit, models: Sequence[ProviderModel]) -> AlreadyExists | None:
    """The error for the first of these new models whose id or upstream id is held, if there is one.

    An earlier one of them counts as a holder too.
    """
    by_upstream = {provider: unit.upstream_ids(provider) for provider in {m.provider_id for m in models}}
    taken = {provider: set(upstream_ids.values()) for provider, upstream_ids in by_upstream.items()}
    for model in models:
        if model.model_id in taken[model.provider_id]:
            return _provider_model_clash(model.name, f"{model.name} already exists", reason=Reason.NAME_TAKEN)
        holder = by_upstream[model.provider_id].get(model.facts.upstream_model_id)
        if holder is not None:
            name = provider_model_name(model.provider_id, holder)
            return _provider_model_clash(
                name, f"{name} already has this upstream model id", reason=Reason.UPSTREAM_MODEL_EXISTS
            )
        taken[model.provider_id].add(model.model_id)
        by_upstream[model.provider_id][model.facts.upstream_model_id] = model.model_id
    return None


def model_clash(unit: ReadUnit, model: Model) -> AlreadyExists | None:
    """The error that says that this new model's id is held, or None if it is not."""
    if unit.model(model.model_id) is None:
        return None
    return AlreadyExists(
        f"{model.name} already exists",
        reason=Reason.NAME_TAKEN,
        metadata={"name": model.name},
        resource=ResourceRef(MODEL_TYPE, model.name),
    )


def _provider_model_clash(name: str, message: str, *, reason: Reason) -> AlreadyExists:
    resource = ResourceRef(PROVIDER_MODEL_TYPE, name)
    return AlreadyExists(message, reason=reason, metadata={"name": name}, resource=resource)
