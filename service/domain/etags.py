"""Entity tags: ``<revision>-<8 hex>`` over what is stored of one resource.

Only stored columns count: counts, children, routability and re-wrapped data keys leave an etag as it is, so
an administrator's edit is not refused because something else moved.
"""

from __future__ import annotations

import hashlib

from service.domain.json_forms import canonical_json, facts_to_json
from service.domain.model import Model, Provider, ProviderModel


def provider_etag(provider: Provider) -> str:
    """The etag of a provider that carries its revision already."""
    credential = provider.credential
    return _etag(
        provider.revision,
        {
            "uid": str(provider.uid),
            "display_name": provider.display_name,
            "state": provider.state,
            "config": [dict(provider.config.values), dict(provider.config.headers)],
            "credential_version": credential.version if credential else 0,
            "labels": dict(provider.labels),
            "annotations": dict(provider.annotations),
        },
    )


def provider_model_etag(model: ProviderModel) -> str:
    """The etag of a provider model that carries its revision already."""
    return _etag(
        model.revision,
        {
            "uid": str(model.uid),
            "facts": facts_to_json(model.facts),
            "state": model.state,
            "source": model.source,
            "labels": dict(model.labels),
        },
    )


def model_etag(model: Model) -> str:
    """The etag of a model that carries its revision already. Its backends are columns of it, not children."""
    return _etag(
        model.revision,
        {
            "uid": str(model.uid),
            "display_name": model.display_name,
            "description": model.description,
            "state": model.state,
            "backends": [[b.provider_model, b.priority, b.weight, b.disabled] for b in model.backends],
            "labels": dict(model.labels),
            "annotations": dict(model.annotations),
        },
    )


def _etag(revision: int, stored: dict[str, object]) -> str:
    return f"{revision}-{hashlib.sha256(canonical_json(stored)).hexdigest()[:8]}"
