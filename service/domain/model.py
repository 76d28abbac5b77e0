"""The values the registry is about: providers, their credentials as shown, provider models, and models.

Enum numbers equal those of the API, so the wire layer converts by value and the database stores integers.
Nothing here can hold secret material: that is ``credentials.py`` (in hand) and ``SealedCredential`` (sealed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import IntEnum
from types import MappingProxyType
from uuid import UUID

from upstreams.kinds import CredentialType as CredentialType
from upstreams.kinds import ProviderKind as ProviderKind

NO_PAIRS: Mapping[str, str] = MappingProxyType({})


class State(IntEnum):
    """Whether routing may use a resource. Moved only by enable and disable.

    CORRUPT is never stored: it is the state of a resource of which a stored value cannot be read.
    """

    ACTIVE = 1
    DISABLED = 2
    CORRUPT = 3


STORED_STATES = (State.ACTIVE, State.DISABLED)


class UnroutableReason(IntEnum):
    """Why a provider is left out of routing."""

    DISABLED = 1
    NO_CREDENTIAL = 2
    CORRUPT = 3


class ModelKind(IntEnum):
    """What a model does."""

    CHAT = 1
    EMBEDDING = 2


class ModelCapability(IntEnum):
    """What a model can do beyond plain text in, text out."""

    STREAMING = 1
    TOOLS = 2
    VISION = 3
    JSON_SCHEMA = 4
    REASONING = 5
    PROMPT_CACHING = 6
    PDF = 7
    PARALLEL_TOOLS = 8
    WEB_SEARCH = 9
    COMPUTER_USE = 10
    AUDIO_IN = 11
    AUDIO_OUT = 12
    VIDEO_IN = 13


class ModelSource(IntEnum):
    """Where a provider model came from."""

    CATALOG = 1
    CUSTOM = 2


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """The non-secret settings of a provider, by the field names of its kind's config message.

    Empty strings are never stored: a missing key means the kind's default.
    ``headers`` is used by openai_compatible alone.
    """

    values: Mapping[str, str] = field(default_factory=lambda: NO_PAIRS)
    headers: Mapping[str, str] = field(default_factory=lambda: NO_PAIRS)


@dataclass(frozen=True, slots=True)
class CredentialView:
    """All that is ever shown of a stored credential. ``version`` grows by one with each replacement."""

    type: CredentialType
    prefix: str
    version: int
    update_time: datetime
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class CredentialBinding:
    """What a sealed credential is bound to, as far as its provider decides it."""

    provider_uid: UUID
    kind: ProviderKind
    version: int
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredWrapper:
    """A wrapped data key as its row has it, with the context and commitment that it must open in and match.

    ``dek_id`` is the row's key as stored, ``key_version`` what its column says.
    """

    dek_id: str
    wrapped: bytes
    key_version: str
    context: bytes
    commitment: bytes


@dataclass(frozen=True, slots=True)
class SealedCredential:
    """A credential as stored and as routers fetch it: ciphertext, wrapper and what they are bound to.

    ``envelope`` and ``wrapped_data_key`` are opaque here; docs/formats says what each byte is.
    ``destinations`` is the list bound in the envelope's AAD, verbatim.
    """

    type: CredentialType
    version: int
    dek_id: UUID
    envelope: bytes
    wrapped_data_key: bytes
    key_version: str
    commitment: bytes
    context: bytes
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Provider:
    """An upstream account or endpoint. ``revision`` and ``etag`` are stamped by the store on each write."""

    provider_id: str
    uid: UUID
    display_name: str
    kind: ProviderKind
    state: State
    create_time: datetime
    update_time: datetime
    config: ProviderConfig = field(default_factory=ProviderConfig)
    credential: CredentialView | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: NO_PAIRS)
    annotations: Mapping[str, str] = field(default_factory=lambda: NO_PAIRS)
    revision: int = 0
    etag: str = ""
    unreadable: tuple[str, ...] = ()
    """Of a corrupt one, the columns at fault, as ``table.column``; their fields here mean nothing."""

    @property
    def name(self) -> str:
        """The resource name, ``providers/{provider}``."""
        return f"providers/{self.provider_id}"


@dataclass(frozen=True, slots=True)
class ProviderView:
    """A provider with what is counted beside it; counts are no part of its etag."""

    provider: Provider
    model_count: int = 0
    active_model_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Decimal strings per one million tokens, never floats. None = unknown, "0" = free."""

    input: str | None = None
    output: str | None = None
    cached_input: str | None = None
    cache_write: str | None = None


PRICES = tuple(field.name for field in fields(Prices))


def price_field(name: str) -> str:
    """Return the API's name of a price, e.g. ``input_per_million_tokens``."""
    return f"{name}_per_million_tokens"


def prices_of(prices: Prices) -> dict[str, str | None]:
    """Return the prices by name."""
    return {name: getattr(prices, name) for name in PRICES}


@dataclass(frozen=True, slots=True)
class PricingTier(Prices):
    """Prices for a request whose input exceeds the threshold; an absent price is the base price."""

    above_input_tokens: int


@dataclass(frozen=True, slots=True)
class Pricing(Prices):
    """A price list. Without ``tiers`` every request costs the same."""

    currency_code: str
    tiers: tuple[PricingTier, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a concrete model, whether from a catalog or from an administrator. 0 = unknown."""

    upstream_model_id: str
    display_name: str
    kind: ModelKind
    context_window: int = 0
    max_output_tokens: int = 0
    embedding_dimensions: int = 0
    pricing: Pricing | None = None
    capabilities: tuple[ModelCapability, ...] = ()
    retire_time: datetime | None = None
    needs_review: bool = False


ProviderModelKey = tuple[str, str]
"""Provider id and model id: what a backend leads to."""


@dataclass(frozen=True, slots=True)
class ProviderModel:
    """A concrete model at a provider.

    ``imported`` is the catalog's entry as it was imported (None when custom): the base that edited
    fields are compared with. ``overridden_fields`` are the API field paths edited since, sorted.
    """

    provider_id: str
    model_id: str
    uid: UUID
    facts: ModelFacts
    state: State
    source: ModelSource
    create_time: datetime
    update_time: datetime
    catalog_version: str = ""
    imported: ModelFacts | None = None
    overridden_fields: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: NO_PAIRS)
    revision: int = 0
    etag: str = ""
    unreadable: tuple[str, ...] = ()
    """Of a corrupt one, the columns at fault, as ``table.column``; their fields here mean nothing."""

    @property
    def name(self) -> str:
        """The resource name, ``providers/{provider}/models/{model}``."""
        return f"providers/{self.provider_id}/models/{self.model_id}"

    @property
    def provider_name(self) -> str:
        """The parent's resource name."""
        return f"providers/{self.provider_id}"


@dataclass(frozen=True, slots=True)
class ProviderModelView:
    """A provider model with whether routing offers it, which also depends on its provider."""

    model: ProviderModel
    routable: bool


@dataclass(frozen=True, slots=True)
class ModelBackend:
    """The wire from a model to one provider model, as an administrator set it.

    ``priority`` 0 is tried first; ``weight`` is the share within a priority, and 0 is read as 1.
    """

    provider_id: str
    provider_model_id: str
    priority: int = 0
    weight: int = 0
    disabled: bool = False

    @property
    def provider_model(self) -> str:
        """The resource name of the provider model."""
        return f"providers/{self.provider_id}/models/{self.provider_model_id}"

    @property
    def target(self) -> ProviderModelKey:
        """Provider id and model id of the provider model."""
        return self.provider_id, self.provider_model_id

    @property
    def effective_weight(self) -> int:
        """The share that routers receive, at least 1."""
        return self.weight or 1


@dataclass(frozen=True, slots=True)
class Model:
    """A model as users of the gateway know it: wired to provider models of its kind.

    ``backends`` stand in the order in which they are tried, see `backends.in_order`.
    """

    model_id: str
    uid: UUID
    display_name: str
    kind: ModelKind
    state: State
    create_time: datetime
    update_time: datetime
    description: str = ""
    backends: tuple[ModelBackend, ...] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: NO_PAIRS)
    annotations: Mapping[str, str] = field(default_factory=lambda: NO_PAIRS)
    revision: int = 0
    etag: str = ""
    unreadable: tuple[str, ...] = ()
    """Of a corrupt one, the columns at fault, as ``table.column``; their fields here mean nothing."""

    @property
    def name(self) -> str:
        """The resource name, ``models/{model}``."""
        return f"models/{self.model_id}"


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model with which of its provider models routing offers, by provider id and model id."""

    model: Model
    routable_targets: frozenset[ProviderModelKey]

    def routable(self, backend: ModelBackend) -> bool:
        """Whether routing offers this wire: not disabled, and its provider model routable."""
        return not backend.disabled and backend.target in self.routable_targets

    @property
    def routable_backends(self) -> tuple[ModelBackend, ...]:
        """The wires that routing offers, in order, whatever the state of the model."""
        return tuple(backend for backend in self.model.backends if self.routable(backend))

    @property
    def is_routable(self) -> bool:
        """Active, and with at least one routable backend."""
        return self.model.state is State.ACTIVE and bool(self.routable_backends)
