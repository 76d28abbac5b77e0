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

LIMIT = 0.05
COMMIT = UUID(int=1)
AT = RevisionToken(UUID(int=2), COMMIT, 1)


def snapshots(sizes: list[int], repetitions: int) -> None:
    """Tables of several sizes."""
    print(f"\n## Snapshots: medians of {repetitions}, in milliseconds\n")
    print("| models | read from SQLite and built | built from entries | after one change | to built |")
    print("|---|---|---|---|---|")
    for models in sizes:
        with instance() as made:
            fill(made, models)
            store = open_store(f"sqlite:///{made.home}/registry.db", clock=lambda: datetime.now(UTC))
            try:
                read, built, changed = _measure(store, repetitions)
            finally:
                store.close()
        print(
            f"| {models:,} | {read:.2f} | {built:.2f} | {changed:.3f} | {at_most(changed / built, LIMIT)} |",
            flush=True,
        )


def _measure(store: Store, repetitions: int) -> list[float]:
    entries = store.read(lambda unit: unit.routing_entries())
    whole = build(CODEC, AT, COMMIT, entries)
    models = [entry for entry in entries if isinstance(entry, ActiveProviderModel)]

    def read_and_built() -> Snapshot:
        return build(CODEC, AT, COMMIT, store.read(lambda unit: unit.routing_entries()))

    def built() -> Snapshot:
        return build(CODEC, AT, COMMIT, entries)

    def changed() -> Snapshot:
        entry = replace(random.choice(models), context_window=1)
        change = Change(EntryKind.PROVIDER_MODEL, entry.name, entry)
        [one] = encoded_sets(CODEC, AT.store_id, [ChangeSet(2, (change,), datetime.now(UTC), uuid4())])
        return advance(CODEC, whole, one.changes, one.at, one.at.content_id)

    makings = (read_and_built, built, changed)
    times: dict[Callable[[], Snapshot], list[float]] = {making: [] for making in makings}
    for _ in range(repetitions):
        for making in random.sample(makings, len(makings)):
            started = time.perf_counter()
            snapshot = making()
            times[making].append((time.perf_counter() - started) * 1e3)
            del snapshot
    return [median(values) for values in times.values()]
