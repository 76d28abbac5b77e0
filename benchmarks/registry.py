"""A registry to be measured from outside: its processes on the servers' core, and a table of many models."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from benchmarks.processes import Server, serving
from service.domain.model import (
    ModelCapability,
    ModelFacts,
    ModelKind,
    ModelSource,
    Pricing,
    Provider,
    ProviderConfig,
    ProviderKind,
    ProviderModel,
    State,
)
from service.store import WriteUnit, open_store
from service.usecases.providers import NOT_YET
from tests.support.servers.harness import Instance

ROUTING = "codevector.providers.v1.RoutingService"
PROVIDERS = "codevector.providers.v1.ProviderService"


@contextmanager
def registry(made: Instance, service: str = "service", *arguments: str) -> Iterator[tuple[Server, Server]]:
    """(sidecar, registry), both on the servers' core, logging as in production."""
    environment = {**made.environment, "CODEVECTOR_LOG_LEVEL": "info"}
    with (
        serving(["kms"], "kms serving", "", environment) as kms,
        serving([service, *arguments], "service serving", made.address, environment) as server,
    ):
        yield kms, server


def fill(made: Instance, models: int) -> None:
    """One provider with that many custom models, past the API, as ten thousand calls would take minutes."""
    store = open_store(f"sqlite:///{made.home}/registry.db", clock=lambda: datetime.now(UTC))
    try:
        store.write(lambda unit: _fill(unit, models))
    finally:
        store.close()


def _fill(unit: WriteUnit, models: int) -> None:
    config = ProviderConfig({"base_url": "https://bench.example/v1"})
    kind = ProviderKind.OPENAI_COMPATIBLE
    provider = Provider("bench", uuid.uuid4(), "Bench", kind, State.ACTIVE, NOT_YET, NOT_YET, config)
    unit.providers.insert(provider, None)
    unit.provider_models.insert([_provider_model(number) for number in range(models)])


def model_name(number: int) -> str:
    """Of one that `fill` made."""
    return f"providers/bench/models/m{number:05}"


def _provider_model(number: int) -> ProviderModel:
    """Priced and labelled as real ones are."""
    capability = ModelCapability
    facts = ModelFacts(
        f"vendor/model-{number:05}",
        f"Model {number}",
        ModelKind.CHAT,
        context_window=128_000,
        max_output_tokens=16_384,
        pricing=Pricing("USD", input="2.50", output="10.00", cached_input="1.25"),
        capabilities=(capability.STREAMING, capability.TOOLS, capability.VISION, capability.JSON_SCHEMA),
    )
    return ProviderModel(
        "bench",
        f"m{number:05}",
        uuid.uuid4(),
        facts,
        State.ACTIVE,
        ModelSource.CUSTOM,
        NOT_YET,
        NOT_YET,
        labels={"team": "platform", "tier": "gold"},
    )
