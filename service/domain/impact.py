"""What a deletion takes with it, and the token that holds it to that.

The preview and the delete compute the same impact in the same way; the token is a keyed digest of all of it,
so a delete that carries a preview's token either does exactly what was shown or nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from service.domain.model import ModelView, Provider, ProviderModel, ProviderModelKey

SHOWN_NAMES = 100
SHOWN_BACKENDS = 1000
"""Enough for every wire of most installations, and an answer that every client's limits let through."""


@dataclass(frozen=True, slots=True)
class BackendImpact:
    """A wire that goes, and how many routable backends its model keeps."""

    model: str
    provider_model: str
    remaining_routable_backends: int


@dataclass(frozen=True, slots=True)
class DeletionImpact:
    """Lists hold the first names in order, of provider models 100, else 1,000; counts and token cover all."""

    provider_models: tuple[str, ...] = ()
    provider_model_count: int = 0
    backends: tuple[BackendImpact, ...] = ()
    backend_count: int = 0
    models_left_unroutable: tuple[str, ...] = ()
    models_left_unroutable_count: int = 0
    credential_destroyed: bool = False
    impact_token: str = ""


@dataclass(frozen=True, slots=True)
class Loss:
    """What models lose when provider models go: the wires, and the models that had a backend and have none.

    Wires are ordered by model, then provider model; models by name.
    """

    backends: tuple[BackendImpact, ...]
    models_left_unroutable: tuple[str, ...]


def provider_impact(
    key: bytes, provider: Provider, models: Sequence[ProviderModel], wired: Iterable[ModelView]
) -> DeletionImpact:
    """The impact of deleting a provider with these provider models; ``wired`` are the models wired to one."""
    version = provider.credential.version if provider.credential else 0
    return _impact(key, f"provider {provider.uid} {version}", models, wired, destroyed=version > 0)


def provider_models_impact(
    key: bytes, models: Sequence[ProviderModel], wired: Iterable[ModelView]
) -> DeletionImpact:
    """The impact of deleting these provider models; ``wired`` are the models wired to one of them."""
    return _impact(key, "provider models", models, wired, destroyed=False)


def model_impact(key: bytes, view: ModelView) -> DeletionImpact:
    """The impact of deleting a model: its backends go, and it can no longer be called."""
    targets = {backend.target for backend in view.model.backends}
    return _impact(key, "model", [], [view], destroyed=False, gone=targets)


def loss(wired: Iterable[ModelView], gone: Collection[ProviderModelKey]) -> Loss:
    """What these models lose when the provider models ``gone`` (by provider id and model id) go."""
    backends: list[BackendImpact] = []
    unroutable: list[str] = []
    for view in sorted(wired, key=lambda view: view.model.name):
        remaining = sum(backend.target not in gone for backend in view.routable_backends)
        lost = sorted(backend.provider_model for backend in view.model.backends if backend.target in gone)
        backends += [BackendImpact(view.model.name, name, remaining) for name in lost]
        if view.is_routable and not remaining:
            unroutable.append(view.model.name)
    return Loss(tuple(backends), tuple(unroutable))


def _impact(
    key: bytes,
    root: str,
    models: Sequence[ProviderModel],
    wired: Iterable[ModelView],
    *,
    destroyed: bool,
    gone: Collection[ProviderModelKey] | None = None,
) -> DeletionImpact:
    """The impact of deleting ``models``, with the wires to ``gone``: to ``models`` where it is not given."""
    ordered = sorted(models, key=lambda model: model.name)
    views = sorted(wired, key=lambda view: view.model.name)
    if gone is None:
        gone = {(model.provider_id, model.model_id) for model in ordered}
    lost = loss(views, gone)
    lines = [
        root,
        *(f"provider model {model.name} {model.uid}" for model in ordered),
        *(f"model {view.model.name} {view.model.uid}" for view in views),
        *(f"wire {b.model} {b.provider_model} {b.remaining_routable_backends}" for b in lost.backends),
        *(f"unroutable {name}" for name in lost.models_left_unroutable),
    ]
    digest = hmac.digest(key, "\n".join(lines).encode(), hashlib.sha256)
    return DeletionImpact(
        provider_models=tuple(model.name for model in ordered[:SHOWN_NAMES]),
        provider_model_count=len(ordered),
        backends=lost.backends[:SHOWN_BACKENDS],
        backend_count=len(lost.backends),
        models_left_unroutable=lost.models_left_unroutable[:SHOWN_BACKENDS],
        models_left_unroutable_count=len(lost.models_left_unroutable),
        credential_destroyed=destroyed,
        impact_token=base64.urlsafe_b64encode(digest).decode().rstrip("="),
    )
