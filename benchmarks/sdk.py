"""The routers' library: look-ups and picks in a large table, and what it takes to read and to change one."""

from __future__ import annotations

import gc
import random
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from codevector.providers.v1 import model_pb2, provider_model_pb2, provider_pb2
from codevector.providers.v1 import routing_service_pb2 as pb
from codevector_providers import ModelKind
from codevector_providers import _wire as wire
from codevector_providers._stored_table import TableFile
from codevector_providers.table import RoutingTable

PROVIDERS = 100
CHUNK_MODELS = 2_000
LOOKUPS = 20_000
IN_USE = 100
"""How many of the models one router is asked for, so that they stay in the processor's caches."""


def sdk(models: int, repetitions: int) -> None:
    """Everything by a table of so many provider models, a tenth as many models over them."""
    chunks = _chunks(models)
    reads = [_in_a_process(chunks) for _ in range(repetitions)]
    table = _table(chunks)
    print(f"\n## The routers' library: {models:,} provider models, medians of {repetitions}\n")
    print("| what | |")
    print("|---|---|")
    print(f"| snapshot, in {len(chunks)} chunks | {sum(map(len, chunks)) / 1e6:.1f} MB |")
    print(f"| read it into a table | {median(seconds for seconds, _ in reads):.2f} s |")
    print(f"| memory of the table | {median(memory for _, memory in reads):.0f} MB |")
    for what, nanoseconds in _lookups(table, repetitions):
        print(f"| {what} | {nanoseconds:,.0f} ns |")
    for what, seconds in _changes(table, repetitions):
        print(f"| {what} | {seconds * 1e6:,.1f} µs |")
    stored, loaded = _stored(table, repetitions)
    print(f"| store the table, encrypted and synced | {stored:.2f} s |")
    print(f"| start with it | {loaded:.2f} s |")


def _chunks(models: int) -> list[bytes]:
    """A snapshot as the registry sends it: priced and labelled as real models are."""
    chunks = [pb.SnapshotChunk(first=True)]
    for number in range(PROVIDERS):
        chunks[0].providers.add(
            name=f"providers/p{number}",
            uid=f"00000000-0000-4000-8000-{number:012}",
            kind=provider_pb2.PROVIDER_KIND_OPENAI,
            credential_type=provider_pb2.CREDENTIAL_TYPE_API_KEY,
            credential_version=1,
        )
    for start in range(0, models, CHUNK_MODELS):
        chunk = pb.SnapshotChunk()
        for number in range(start, min(start + CHUNK_MODELS, models)):
            chunk.provider_models.append(_provider_model(number))
        chunks.append(chunk)
    for start in range(0, models // 10, CHUNK_MODELS):
        chunk = pb.SnapshotChunk()
        for number in range(start, min(start + CHUNK_MODELS, models // 10)):
            chunk.models.append(_model(number))
        chunks.append(chunk)
    chunks[-1].last = True
    return [pb.WatchRoutingResponse(snapshot_chunk=chunk).SerializeToString() for chunk in chunks]


def _name(number: int) -> str:
    return f"providers/p{number % PROVIDERS}/models/m{number}"


def _provider_model(number: int) -> pb.ActiveProviderModel:
    return pb.ActiveProviderModel(
        name=_name(number),
        provider=f"providers/p{number % PROVIDERS}",
        provider_kind=provider_pb2.PROVIDER_KIND_OPENAI,
        upstream_model_id=f"vendor/model-{number:06}",
        kind=provider_model_pb2.MODEL_KIND_CHAT if number % 10 else provider_model_pb2.MODEL_KIND_EMBEDDING,
        context_window=128_000,
        max_output_tokens=16_384,
        capabilities=[1, 2, 3, 4, 6],  # type: ignore[list-item]
        pricing=provider_model_pb2.Pricing(
            currency_code="USD",
            input_per_million_tokens=f"{number % 40}.50",
            output_per_million_tokens="10.00",
            cached_input_per_million_tokens="1.25",
        ),
        labels={"team": f"team-{number % 20}", "tier": "gold" if number % 5 else "silver"},
    )


def _model(number: int) -> pb.ActiveModel:
    """Three backends: two of one priority, one to fall back on."""
    backends = [
        model_pb2.ModelBackend(provider_model=_name(number * 10), weight=3, routable=True),
        model_pb2.ModelBackend(provider_model=_name(number * 10 + 1), weight=1, routable=True),
        model_pb2.ModelBackend(provider_model=_name(number * 10 + 2), priority=1, weight=1, routable=True),
    ]
    return pb.ActiveModel(
        name=f"models/m{number}", kind=provider_model_pb2.MODEL_KIND_CHAT, backends=backends
    )


def _table(chunks: list[bytes]) -> RoutingTable:
    reader = wire.TableReader()
    for chunk in chunks:
        reader.add(pb.WatchRoutingResponse.FromString(chunk).snapshot_chunk)
    return reader.table(store_id="bench", revision=1, token="")


def _in_a_process(chunks: list[bytes]) -> tuple[float, float]:
    """(seconds, MB) of one table, in a fresh process: an allocator does not give everything back."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_read_once, (chunks,))


def _read_once(chunks: list[bytes]) -> tuple[float, float]:
    _table(chunks[:1])
    gc.collect()
    before, started = _resident_mb(), time.process_time()
    table = _table(chunks)
    seconds = time.process_time() - started
    gc.collect()
    used = _resident_mb() - before
    assert table.providers
    return seconds, used


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def _lookups(table: RoutingTable, repetitions: int) -> list[tuple[str, float]]:
    chance = random.Random(1)
    everything = list(table.provider_models)
    anywhere = chance.choices(everything, k=LOOKUPS)
    known = chance.choices(chance.sample(everything, IN_USE), k=LOOKUPS)
    model_names = chance.choices(chance.sample(list(table.models), IN_USE), k=LOOKUPS)
    teams = [f"team-{chance.randrange(20)}" for _ in range(LOOKUPS)]
    kinds = chance.choices([ModelKind.CHAT, ModelKind.EMBEDDING], k=LOOKUPS)
    models, number = table.provider_models, chance.random
    cases: list[tuple[str, Callable[[], object]]] = [
        (f"provider model by name, {IN_USE} in use", lambda: [models[name] for name in known]),
        ("provider model by name, all in use", lambda: [models[name] for name in anywhere]),
        ("model by name", lambda: [table.models[name] for name in model_names]),
        ("provider models of a kind", lambda: [models.of_kind(kind) for kind in kinds]),
        ("provider models with a label", lambda: [models.labelled("team", team) for team in teams]),
        ("pick of three backends", lambda: [table.first(name, number) for name in model_names]),
        (
            "all three attempts",
            lambda: [list(table.attempts(name, number)) for name in model_names],
        ),
    ]
    return [(what, _median(case, repetitions) / LOOKUPS * 1e9) for what, case in cases]


def _changes(table: RoutingTable, repetitions: int) -> list[tuple[str, float]]:
    """One model replaced, many times over, so that what a change costs others later is in it."""
    message = pb.ChangeSet(changes=[pb.RoutingChange(provider_model=_provider_model(7))])
    count = 2_000

    def apply_to(start: RoutingTable) -> Callable[[], object]:
        def run() -> object:
            current = start
            for number in range(count):
                message.changes[0].provider_model.name = _name(number * 37 % len(start.provider_models))
                current = current.changed(number, "", wire.table_changes(message))
            return current

        return run

    plain = RoutingTable(
        table.store_id,
        table.revision,
        table.token,
        table.providers,
        type(table.provider_models).of(table.provider_models.values()),
        table.models,
    )
    base = dict(table.provider_models)
    table.provider_models.of_kind(ModelKind.CHAT)
    return [
        ("apply one change", _median(apply_to(plain), repetitions) / count),
        ("apply one change, indexes in use", _median(apply_to(table), repetitions) / count),
        ("the same with a copied dict, for comparison", _median(lambda: base.copy(), repetitions)),
    ]


def _stored(table: RoutingTable, repetitions: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        file = TableFile(Path(folder) / "table")
        save = _median(lambda: file.save(table, current_time=0), repetitions)
        return save, _median(file.load, repetitions)


def _median(run: Callable[[], object], repetitions: int) -> float:
    """Seconds of processor time: what else runs on the machine is not the library's."""
    readings = []
    for _ in range(repetitions):
        gc.collect()
        started = time.process_time()
        run()
        readings.append(time.process_time() - started)
    return median(readings)
