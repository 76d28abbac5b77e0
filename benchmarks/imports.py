"""Importing and refreshing catalogs: milliseconds and SQL statements, below the wire, on both databases."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import cast

from benchmarks.processes import ROOT
from benchmarks.statements import counted
from service.catalog_files import load_catalogs
from service.domain.calls import Call
from service.domain.catalog import Catalog, Catalogs
from service.domain.imports import ExistingPolicy, ImportChoices, ImportPlan
from service.domain.model import ModelFacts, ModelKind, Pricing, Provider, State
from service.domain.pages import PageTokens
from service.sealing.kms_client import KmsClient
from service.sealing.sealer import Sealer
from service.store import Store, migrate, open_store
from service.usecases.context import Context
from service.usecases.imports import import_provider_models
from service.usecases.providers import NOT_YET
from tests.support.servers.postgresql import running_server
from tests.support.values.registry_values import ManualClock
from upstreams.addresses import AddressPolicy

LARGE = 10_000
NEWER = "2999.12.31"
REFRESH = ImportChoices(existing_policy=ExistingPolicy.REFRESH)
CALL = Call("dev:loopback", "ImportProviderModels", time.monotonic() + 86_400)


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table. ``prepare`` is what has been done before, unmeasured."""

    what: str
    catalog: Catalog
    prepare: tuple[tuple[str, ImportChoices], ...]
    version: str
    choices: ImportChoices
    validate_only: bool = False


def imports(repetitions: int) -> None:
    """The largest bundled catalog, and a provider of 10,000 models."""
    bundled = load_catalogs(ROOT / "catalogs")
    largest = max(bundled.list(), key=lambda catalog: len(catalog.models))
    large = replace(largest, models=tuple(_model(number) for number in range(LARGE)))
    print(f"\n## Catalog imports: {largest.name}, {len(largest.models)} models; medians of {repetitions}\n")
    print("Every price moves from one release to the next. Statements as sent, however many rows each has.\n")
    print("| what | SQLite: ms | statements | PostgreSQL: ms | statements |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch, running_server() as server:

        def sqlite() -> str:
            return f"sqlite:///{scratch}/{uuid.uuid4().hex}.db"

        def postgresql() -> str:
            return server.url(server.create_database())

        for case in _cases(largest, large):
            few = min(repetitions, 2) if len(case.catalog.models) == LARGE else repetitions
            cells = []
            for new_url in (sqlite, postgresql):
                readings = [_measure(case, new_url()) for _ in range(few)]
                cells.append(f"{median(ms for ms, _ in readings):,.1f} | {readings[0][1]}")
            print(f"| {case.what} | {' | '.join(cells)} |", flush=True)


def _cases(largest: Catalog, large: Catalog) -> Iterator[Case]:
    once = ((largest.version, ImportChoices()),)
    yield Case("import", largest, (), largest.version, ImportChoices())
    yield Case("import again, all skipped", largest, once, largest.version, ImportChoices())
    yield Case("plan of a refresh", largest, once, NEWER, REFRESH, validate_only=True)
    yield Case("refresh", largest, once, NEWER, REFRESH)
    yield Case("refresh again, nothing to do", largest, (*once, (NEWER, REFRESH)), NEWER, REFRESH)
    yield Case(f"plan of a refresh of {LARGE:,} models", large, once, NEWER, REFRESH, validate_only=True)


def _measure(case: Case, url: str) -> tuple[float, int]:
    """Milliseconds and statements of the case in a new database."""
    migrate(url)
    store = open_store(url, clock=ManualClock())
    try:
        run = _importer(store, case.catalog)
        for version, choices in case.prepare:
            run(version, choices)
        with counted() as sent:
            started = time.perf_counter()
            plan = run(case.version, case.choices, validate_only=case.validate_only)
            seconds = time.perf_counter() - started
        assert len(plan.models) == len(case.catalog.models)
        return seconds * 1e3, len(sent)
    finally:
        store.close()


def _importer(store: Store, catalog: Catalog) -> Callable[..., ImportPlan]:
    """Imports into a new provider. Nothing here seals, so there is no sidecar."""
    newer = replace(catalog, version=NEWER, digest="1" * 64, models=tuple(map(_dearer, catalog.models)))
    ctx = Context(
        store=store,
        kms=cast(KmsClient, None),
        sealer=cast(Sealer, None),
        catalogs=Catalogs((catalog, newer)),
        url_policy=AddressPolicy(),
        page_tokens=PageTokens(bytes(32)),
        impact_key=bytes(32),
        new_uuid=uuid.uuid4,
    )
    provider = Provider("bench", uuid.uuid4(), "Bench", catalog.kind, State.ACTIVE, NOT_YET, NOT_YET)
    store.write(lambda unit: unit.providers.insert(provider, None))

    def run(version: str, choices: ImportChoices, *, validate_only: bool = False) -> ImportPlan:
        call = replace(CALL, validate_only=validate_only)
        written = import_provider_models(ctx, call, "providers/bench", choices, catalog_version=version)
        return written.value.plan

    return run


def _model(number: int) -> ModelFacts:
    pricing = Pricing("USD", input="2.50", output="10.00", cached_input="1.25")
    return ModelFacts(
        f"vendor/model-{number:05}", f"Model {number}", ModelKind.CHAT, 128_000, 16_384, 0, pricing
    )


def _dearer(facts: ModelFacts) -> ModelFacts:
    pricing = facts.pricing or Pricing("USD")
    return replace(facts, pricing=replace(pricing, input=f"1{pricing.input or '0'}"))
