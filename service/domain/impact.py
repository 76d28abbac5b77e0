"""What a deletion takes with it, and the token that holds it to that.

The preview and the delete compute the same impact in the same way; the token is a keyed digest of all of it,
so a delete that carries a preview's token either does exactly what was shown or nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.model import Provider, ProviderModel

SHOWN_NAMES = 100


@dataclass(frozen=True, slots=True)
class DeletionImpact:
    """``provider_models`` holds the first 100 names in order; the count and the token cover all."""

    provider_models: tuple[str, ...]
    provider_model_count: int
    credential_destroyed: bool
    impact_token: str


def provider_impact(key: bytes, provider: Provider, models: Sequence[ProviderModel]) -> DeletionImpact:
    """The impact of deleting a provider that has these models."""
    credential_version = provider.credential.version if provider.credential else 0
    return _impact(key, f"{provider.uid}/{credential_version}", models, destroyed=credential_version > 0)


def provider_model_impact(key: bytes, model: ProviderModel) -> DeletionImpact:
    """The impact of deleting one provider model."""
    return _impact(key, "", [model], destroyed=False)


def _impact(key: bytes, root: str, models: Sequence[ProviderModel], *, destroyed: bool) -> DeletionImpact:
    ordered = sorted(models, key=lambda model: model.name)
    digest = hmac.new(key, root.encode(), hashlib.sha256)
    for model in ordered:
        digest.update(f"\n{model.name} {model.uid}".encode())
    return DeletionImpact(
        provider_models=tuple(model.name for model in ordered[:SHOWN_NAMES]),
        provider_model_count=len(ordered),
        credential_destroyed=destroyed,
        impact_token=base64.urlsafe_b64encode(digest.digest()).decode().rstrip("="),
    )
