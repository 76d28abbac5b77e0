"""Deleting a provider that models hang on, preview and act: milliseconds and SQL statements."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import cast

from benchmarks.statements import counted
from service.domain.calls import Call
from service.domain.catalog import Catalogs
from service.domain.impact import DeletionImpact
from service.domain.model import (
    Model,
    ModelBackend,
    ModelFacts,
    ModelKind,
    ModelSource,
    Provider,
    ProviderConfig,
    ProviderKind,
    ProviderModel,
    State,
)
from service.domain.pages import PageTokens
from service.sealing.kms_client import KmsClient
from service.sealing.sealer import Sealer
from service.store import Store, WriteUnit, migrate, open_store
from service.usecases.context import Context
from service.usecases.providers import NOT_YET, delete_provider
from tests.support.servers.postgresql import running_server
from tests.support.values.registry_values import ManualClock
from upstreams.addresses import AddressPolicy

CALL = Call("dev:loopback", "DeleteProvider")
DRY_RUN = Call("dev:loopback", "DeleteProvider", validate_only=True)
WIRES = 10
"""Backends that each model has at the provider, beside one elsewhere that every second model keeps."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One repetition: milliseconds and statements of the preview and of the act."""

    preview: tuple[float, int]
    act: tuple[float, int]


def deletes(repetitions: int) -> None:
    """A large provider, and a small one for the number of statements."""
    print(f"\n## Deleting a provider; medians of {repetitions}\n")
    print(f"Each model has {WIRES} backends at the provider; every second one keeps one elsewhere.\n")
    print("| provider models | models wired | what | SQLite: ms | statements | PostgreSQL: ms | statements |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch, running_server() as server:

        def sqlite() -> str:
            return f"sqlite:///{scratch}/{uuid.uuid4().hex}.db"

        def postgresql() -> str:
            return server.url(server.create_database())

        for provider_models, models in ((10, 2), (5_000, 500)):
            readings = {
                new_url: [_measure(new_url(), provider_models, models) for _ in range(repetitions)]
                for new_url in (sqlite, postgresql)
            }
            for what in ("preview", "act"):
                cells = " | ".join(_cell([getattr(each, what) for each in of]) for of in readings.values())
                print(f"| {provider_models:,} | {models} | {what} | {cells} |", flush=True)


def _cell(readings: list[tuple[float, int]]) -> str:
    [statements] = {count for _, count in readings}
    return f"{median(ms for ms, _ in readings):,.1f} | {statements}"


def _measure(url: str, provider_models: int, models: int) -> Reading:
    """Fill a new database, preview, and delete with the preview's token."""
    migrate(url)
    store = open_store(url, clock=ManualClock())
    try:
        store.write(lambda unit: _fill(unit, provider_models, models))
        ctx = _context(store)
        preview, shown = _timed(lambda: delete_provider(ctx, DRY_RUN, "providers/bench").value)
        act, done = _timed(
            lambda: (
                delete_provider(
                    ctx, CALL, "providers/bench", force=True, impact_token=shown.impact_token
                ).value
            )
        )
        assert done == shown
        assert (done.provider_model_count, done.backend_count) == (provider_models, models * WIRES)
        assert done.models_left_unroutable_count == models // 2
        return Reading(preview, act)
    finally:
        store.close()


def _timed(work: Callable[[], DeletionImpact]) -> tuple[tuple[float, int], DeletionImpact]:
    with counted() as sent:
        started = time.perf_counter()
        impact = work()
        seconds = time.perf_counter() - started
    return (seconds * 1e3, len(sent)), impact


def _fill(unit: WriteUnit, provider_models: int, models: int) -> None:
    for name in ("bench", "elsewhere"):
        config = ProviderConfig({"base_url": f"https://{name}.example/v1"})
        kind = ProviderKind.OPENAI_COMPATIBLE
        unit.providers.insert(
            Provider(name, uuid.uuid4(), name, kind, State.ACTIVE, NOT_YET, NOT_YET, config), None
        )
    unit.provider_models.insert([_provider_model("bench", number) for number in range(provider_models)])
    unit.provider_models.insert([_provider_model("elsewhere", 0)])
    for number in range(models):
        wires = [
            ModelBackend("bench", f"m{(number * WIRES + wire) % provider_models:04}") for wire in range(WIRES)
        ]
        if number % 2:
            wires.append(ModelBackend("elsewhere", "m0000", priority=1))
        unit.models.insert(
            Model(
                f"f{number:03}",
                uuid.uuid4(),
                f"Model {number}",
                ModelKind.CHAT,
                State.ACTIVE,
                NOT_YET,
                NOT_YET,
                backends=tuple(wires),
            )
        )


def _provider_model(provider_id: str, number: int) -> ProviderModel:
    facts = ModelFacts(f"vendor/model-{number:04}", f"Model {number}", ModelKind.CHAT, 128_000, 16_384)
    return ProviderModel(
        provider_id,
        f"m{number:04}",
        uuid.uuid4(),
        facts,
        State.ACTIVE,
        ModelSource.CUSTOM,
        NOT_YET,
        NOT_YET,
    )


def _context(store: Store) -> Context:
    """Nothing here seals, so there is no sidecar."""
    return Context(
        store=store,
        kms=cast(KmsClient, None),
        sealer=cast(Sealer, None),
        catalogs=Catalogs(()),
        url_policy=AddressPolicy(),
        page_tokens=PageTokens(bytes(32)),
        impact_key=bytes(32),
        new_uuid=uuid.uuid4,
    )
