"""A home with very many providers and models, written past the API: as many calls would take minutes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from service.domain.model import (
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

THEN = datetime(2026, 4, 15, tzinfo=UTC)


def fill(home: Path, *, providers: int, models: int) -> None:
    """Write that many providers, and one more, ``large``, with that many models. Nothing serves meanwhile."""
    store = open_store(f"sqlite:///{home}/registry.db", clock=lambda: datetime.now(UTC))

    def write(unit: WriteUnit) -> None:
        for provider in _providers(providers):
            unit.providers.insert(provider, None)
        unit.provider_models.insert([_model(number) for number in range(models)])

    try:
        store.write(write)
    finally:
        store.close()


def _providers(count: int) -> Iterator[Provider]:
    yield _provider("large", "Large")
    for number in range(count):
        yield _provider(f"p{number:05}", f"Provider {number:05}")


def _provider(provider_id: str, display_name: str) -> Provider:
    config = ProviderConfig({"base_url": f"https://{provider_id}.example.com/v1"})
    kind = ProviderKind.OPENAI_COMPATIBLE
    return Provider(provider_id, uuid.uuid4(), display_name, kind, State.ACTIVE, THEN, THEN, config)


def _model(number: int) -> ProviderModel:
    facts = ModelFacts(
        f"vendor/model-{number:05}",
        f"Model {number}",
        ModelKind.CHAT,
        context_window=128_000,
        pricing=Pricing("USD", input="2.50", output="10.00"),
    )
    source = ModelSource.CUSTOM
    return ProviderModel("large", f"m{number:05}", uuid.uuid4(), facts, State.ACTIVE, source, THEN, THEN)
