"""What asking an upstream came to: a test of a credential, and the models that it offers.

Nothing here holds any of a credential, nor any text of an upstream but ids and names of models.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from service.domain.model import ModelKind


class Outcome(IntEnum):
    """How a test ended; the numbers are the API's."""

    SUCCEEDED = 1
    CREDENTIAL_REJECTED = 2
    UNREACHABLE = 3
    RATE_LIMITED = 4
    UNSUPPORTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderValidation:
    """One test, or one listing as a whole.

    ``reason`` is a stable word, finer than the outcome. ``http_status_code`` is of the last answer, 0 where
    there was none.
    """

    outcome: Outcome
    reason: str
    message: str
    http_status_code: int
    latency_ms: int
    validate_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedModel:
    """A model as the upstream lists it. What it does not say is 0, empty, None or False."""

    upstream_model_id: str
    display_name: str
    kind: ModelKind | None
    context_window: int
    max_output_tokens: int
    retire_time: datetime | None
    deprecated: bool
    indirect: bool
    """True where something else than this id is called: a deployment, or an inference profile."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What an upstream lists, in its order. ``complete`` is False where a part of it may be missing."""

    validation: ProviderValidation
    models: tuple[OfferedModel, ...]
    skipped_count: int
    complete: bool


@dataclass(frozen=True, slots=True)
class DiscoveredModel:
    """A model that is offered, beside what is known of it here; ``provider_model`` is "" for nothing."""

    offered: OfferedModel
    in_catalog: bool
    provider_model: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """An offer beside the newest catalog of its kind ("" for none) and the models that are registered.

    ``not_offered`` names registered models that a complete listing lacks.
    """

    offer: Offer
    models: tuple[DiscoveredModel, ...]
    catalog_version: str
    not_offered: tuple[str, ...]
