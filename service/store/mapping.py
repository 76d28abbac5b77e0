"""Rows to domain values and back: the only place that knows both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from service.domain.backends import in_order
from service.domain.ids import display_name_key
from service.domain.json_forms import (
    UnreadableForm,
    facts_from_json,
    facts_to_json,
    pricing_from_json,
    pricing_to_json,
)
from service.domain.kind_rules import well_formed
from service.domain.model import (
    CredentialView,
    Model,
    ModelBackend,
    ModelFacts,
    Pricing,
    Provider,
    ProviderConfig,
    ProviderModel,
    SealedCredential,
)
from service.store.columns import Unreadable
from service.store.rows import BackendRow, CredentialRow, ModelRow, ProviderModelRow, ProviderRow
from upstreams.kinds import KINDS

T = TypeVar("T")

Values = dict[str, Any]
"""Column values for an INSERT or UPDATE, by column name."""


def provider_from_rows(row: ProviderRow, credential: CredentialRow | None) -> Provider:
    """Return a provider from its row and, where it has one, its credential's.

    Raises:
        Unreadable: its columns do not go together.
    """
    config = ProviderConfig(values=row.config, headers=row.headers)
    if not well_formed(row.kind, config):
        raise Unreadable("providers.config")
    if credential is not None and credential.type not in KINDS[row.kind].credential_types:
        raise Unreadable("credentials.type")
    return Provider(
        provider_id=row.provider_id,
        uid=row.uid,
        display_name=row.display_name,
        kind=row.kind,
        state=row.state,
        create_time=row.create_time,
        update_time=row.update_time,
        config=config,
        credential=None if credential is None else _credential_view(credential),
        labels=row.labels,
        annotations=row.annotations,
        revision=row.revision,
        etag=row.etag,
    )


def provider_values(provider: Provider) -> Values:
    """Return a stamped provider as columns, without its credential."""
    return {
        "provider_id": provider.provider_id,
        "uid": provider.uid,
        "display_name": provider.display_name,
        "display_name_key": display_name_key(provider.display_name),
        "kind": provider.kind,
        "state": provider.state,
        "config": dict(provider.config.values),
        "headers": dict(provider.config.headers),
        "labels": dict(provider.labels),
        "annotations": dict(provider.annotations),
        "create_time": provider.create_time,
        "update_time": provider.update_time,
        "revision": provider.revision,
        "etag": provider.etag,
    }


def _credential_view(row: CredentialRow) -> CredentialView:
    return CredentialView(
        type=row.type,
        prefix=row.prefix,
        version=row.version,
        update_time=row.update_time,
        expire_time=row.expire_time,
    )


def credential_values(provider_id: str, view: CredentialView, sealed: SealedCredential) -> Values:
    """Return the credential's columns: what is shown, and the envelope beside it."""
    return {
        "provider_id": provider_id,
        "type": view.type,
        "prefix": view.prefix,
        "version": view.version,
        "update_time": view.update_time,
        "expire_time": view.expire_time,
        "dek_id": sealed.dek_id,
        "envelope": sealed.envelope,
        "destinations": list(sealed.destinations),
    }


def data_key_values(sealed: SealedCredential) -> Values:
    """Return the data key's columns."""
    return {
        "dek_id": sealed.dek_id,
        "wrapped": sealed.wrapped_data_key,
        "key_version": sealed.key_version,
        "context": sealed.context,
        "commitment": sealed.commitment,
    }


def provider_model_from_row(row: ProviderModelRow) -> ProviderModel:
    """Return a provider model from its row.

    Raises:
        Unreadable: a JSON value in it has another form.
    """
    return ProviderModel(
        provider_id=row.provider_id,
        model_id=row.model_id,
        uid=row.uid,
        facts=ModelFacts(
            upstream_model_id=row.upstream_model_id,
            display_name=row.display_name,
            kind=row.kind,
            context_window=row.context_window,
            max_output_tokens=row.max_output_tokens,
            embedding_dimensions=row.embedding_dimensions,
            pricing=pricing_of(row.pricing),
            capabilities=tuple(row.capabilities),
            retire_time=row.retire_time,
            needs_review=row.needs_review,
        ),
        state=row.state,
        source=row.source,
        create_time=row.create_time,
        update_time=row.update_time,
        catalog_version=row.catalog_version,
        imported=None if row.imported is None else imported_of(row.imported),
        overridden_fields=tuple(row.overridden_fields),
        labels=row.labels,
        revision=row.revision,
        etag=row.etag,
    )


def pricing_of(value: Any) -> Pricing | None:
    """Return the prices of a provider model's column. Raises Unreadable."""
    return _formed("provider_models.pricing", pricing_from_json, value)


def imported_of(value: Any) -> ModelFacts:
    """Return a catalog's entry of a provider model's column. Raises Unreadable."""
    return _formed("provider_models.imported", facts_from_json, value)


def _formed(column: str, read: Callable[[Any], T], value: Any) -> T:
    try:
        return read(value)
    except UnreadableForm:
        raise Unreadable(column) from None


def provider_model_values(model: ProviderModel) -> Values:
    """Return a stamped provider model as columns."""
    facts = model.facts
    return {
        "provider_id": model.provider_id,
        "model_id": model.model_id,
        "uid": model.uid,
        "upstream_model_id": facts.upstream_model_id,
        "display_name": facts.display_name,
        "display_name_key": display_name_key(facts.display_name),
        "kind": facts.kind,
        "state": model.state,
        "source": model.source,
        "catalog_version": model.catalog_version,
        "context_window": facts.context_window,
        "max_output_tokens": facts.max_output_tokens,
        "embedding_dimensions": facts.embedding_dimensions,
        "pricing": pricing_to_json(facts.pricing),
        "capabilities": list(facts.capabilities),
        "retire_time": facts.retire_time,
        "needs_review": facts.needs_review,
        "imported": None if model.imported is None else facts_to_json(model.imported),
        "overridden_fields": list(model.overridden_fields),
        "labels": dict(model.labels),
        "create_time": model.create_time,
        "update_time": model.update_time,
        "revision": model.revision,
        "etag": model.etag,
    }


def model_from_rows(row: ModelRow, backends: Iterable[BackendRow]) -> Model:
    """Return a model from its row and those of its backends, in any order."""
    return Model(
        model_id=row.model_id,
        uid=row.uid,
        display_name=row.display_name,
        kind=row.kind,
        state=row.state,
        create_time=row.create_time,
        update_time=row.update_time,
        description=row.description,
        backends=in_order(
            ModelBackend(b.provider_id, b.provider_model_id, b.priority, b.weight, b.disabled)
            for b in backends
        ),
        labels=row.labels,
        annotations=row.annotations,
        revision=row.revision,
        etag=row.etag,
    )


def model_values(model: Model) -> Values:
    """Return a stamped model as columns, without its backends."""
    return {
        "model_id": model.model_id,
        "uid": model.uid,
        "display_name": model.display_name,
        "display_name_key": display_name_key(model.display_name),
        "description": model.description,
        "kind": model.kind,
        "state": model.state,
        "labels": dict(model.labels),
        "annotations": dict(model.annotations),
        "create_time": model.create_time,
        "update_time": model.update_time,
        "revision": model.revision,
        "etag": model.etag,
    }


def backend_values(model: Model) -> list[Values]:
    """Return the backends of a model as columns."""
    return [
        {
            "model_id": model.model_id,
            "provider_id": backend.provider_id,
            "provider_model_id": backend.provider_model_id,
            "priority": backend.priority,
            "weight": backend.weight,
            "disabled": backend.disabled,
        }
        for backend in model.backends
    ]
