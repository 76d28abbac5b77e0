"""What a router knows: the routable providers and models. Plain values, no secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class _ServerEnum(IntEnum):
    """An enumeration that newer servers may extend: unknown numbers read as UNSPECIFIED."""

    @classmethod
    def _missing_(cls, value: object) -> _ServerEnum | None:
        return cls(0) if isinstance(value, int) else None


class ProviderKind(_ServerEnum):
    """The upstream API of a provider."""

    UNSPECIFIED = 0
    OPENAI = 1
    ANTHROPIC = 2
    AZURE = 3
    BEDROCK = 4
    GOOGLE = 5
    VERTEX = 6
    VERTEX_ANTHROPIC = 7
    GROQ = 8
    COHERE = 9
    DEEPSEEK = 10
    MOONSHOT = 11
    OPENAI_COMPATIBLE = 12


class CredentialType(_ServerEnum):
    """How a router authenticates upstream. UNSPECIFIED: the provider has no credential and needs none."""

    UNSPECIFIED = 0
    API_KEY = 1
    AWS_ACCESS_KEY = 2
    GCP_SERVICE_ACCOUNT_KEY = 3
    AZURE_CLIENT_SECRET = 4
    AMBIENT = 5


class ModelKind(_ServerEnum):
    """What a model does."""

    UNSPECIFIED = 0
    CHAT = 1
    EMBEDDING = 2


class ModelCapability(_ServerEnum):
    """What a model can do beyond plain text in, text out."""

    UNSPECIFIED = 0
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


@dataclass(frozen=True, slots=True)
class RoutingProvider:
    """A routable provider.

    ``config`` holds the settings of its kind by field name, absent ones left out; ``headers`` are the extra,
    non-secret headers of an openai_compatible provider.
    """

    name: str
    uid: str
    kind: ProviderKind
    display_name: str
    config: Mapping[str, str]
    headers: Mapping[str, str]
    credential_type: CredentialType
    credential_version: int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PricingTier:
    """Prices for a request whose input exceeds the threshold; None = the base price."""

    above_input_tokens: int
    input_per_million_tokens: str | None
    output_per_million_tokens: str | None
    cached_input_per_million_tokens: str | None
    cache_write_per_million_tokens: str | None


@dataclass(frozen=True, slots=True)
class Pricing:
    """Decimal strings per one million tokens. None = unknown, "0" = free."""

    currency_code: str
    input_per_million_tokens: str | None
    output_per_million_tokens: str | None
    cached_input_per_million_tokens: str | None
    cache_write_per_million_tokens: str | None
    tiers: tuple[PricingTier, ...]


@dataclass(frozen=True, slots=True)
class ActiveProviderModel:
    """A routable provider model. Token counts and dimensions: 0 = unknown."""

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
class ModelBackend:
    """A provider model that serves a model. ``weight``, at least 1, is its share within its priority."""

    provider_model: str
    priority: int
    weight: int


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """A routable model: what callers of the gateway ask for.

    ``backends`` are the routable ones, at least one, in the order in which to try them; each names one of the
    snapshot's provider models.
    """

    name: str
    kind: ModelKind
    backends: tuple[ModelBackend, ...]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RoutingSnapshot:
    """The routing table at one revision of one store, each list ordered by name."""

    revision: int
    store_id: str
    providers: tuple[RoutingProvider, ...]
    provider_models: tuple[ActiveProviderModel, ...]
    models: tuple[ActiveModel, ...] = ()
    token: str = ""
    """Proves to the registry which table this is: for ``if_token_not``."""
