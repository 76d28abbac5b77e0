"""A new snapshot after one change, beside building it anew; below the wire, in one process."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from uuid import UUID, uuid4

from benchmarks.limits import at_most
from benchmarks.registry import fill
from service.domain.history import RevisionToken
from service.domain.routing import ActiveProviderModel, Change, ChangeSet, EntryKind
from service.readmodel.snapshot import Snapshot, advance, build, encoded_sets
from service.rpc.routing_codec import CODEC
from service.store import Store, open_store
from tests.support.servers.harness import instance

LIMIT_MS = 0.3
"""Of one change, in a table of any size."""
COMMIT = UUID(int=1)
AT = RevisionToken(UUID(int=2), COMMIT, 1)


def snapshots(sizes: list[int], repetitions: int) -> None:
    """Tables of several sizes."""
    print(f"\n## Snapshots: CPU, medians of {repetitions}, in milliseconds\n")
    print(
        "| models | read from SQLite and built | built from entries | a row replaced | a row enters "
        "| nothing changes | the answer joined after a change | slowest change to limit |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for models in sizes:
        with instance() as made:
            fill(made, models)
            store = open_store(f"sqlite:///{made.home}/registry.db", clock=lambda: datetime.now(UTC))
            try:
                figures = _measure(store, repetitions)
            finally:
                store.close()
        slowest = at_most(max(figures[2:5]) / LIMIT_MS, 1.0)
        print(f"| {models:,} | {' | '.join(f'{ms:.3f}' for ms in figures)} | {slowest} |", flush=True)


def _measure(store: Store, repetitions: int) -> list[float]:
    entries = store.read(lambda unit: unit.routing_entries())
    whole = build(CODEC, AT, COMMIT, entries)
    models = [entry for entry in entries if isinstance(entry, ActiveProviderModel)]

    def advanced(*changes: Change) -> Snapshot:
        [one] = encoded_sets(CODEC, AT.store_id, [ChangeSet(2, changes, datetime.now(UTC), uuid4())])
        return advance(CODEC, whole, one.changes, one.at, one.at.content_id)

    def put(entry: ActiveProviderModel) -> Snapshot:
        return advanced(Change(EntryKind.PROVIDER_MODEL, entry.name, entry))

    def any_model() -> ActiveProviderModel:
        return random.choice(models)

    def joined() -> None:
        assert put(replace(any_model(), context_window=1)).whole

    assert whole.whole
    makings: tuple[Callable[[], object], ...] = (
        lambda: build(CODEC, AT, COMMIT, store.read(lambda unit: unit.routing_entries())),
        lambda: build(CODEC, AT, COMMIT, entries),
        lambda: put(replace(any_model(), context_window=1)),
        lambda: put(replace(any_model(), name=f"{any_model().name}-{random.random()}")),
        advanced,
        joined,
    )
    times: dict[Callable[[], object], list[float]] = {making: [] for making in makings}
    for _ in range(repetitions):
        for making in random.sample(makings, len(makings)):
            started = time.thread_time()
            made = making()
            times[making].append((time.thread_time() - started) * 1e3)
            del made
    return [median(values) for values in times.values()]
