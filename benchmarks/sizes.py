"""A registry of 1,000 to 100,000 provider models on both databases: start, memory, one change, lists."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import grpc
from codevector.providers.v1 import provider_pb2 as pb
from codevector.providers.v1 import provider_service_pb2 as service_pb
from codevector.providers.v1 import provider_service_pb2_grpc as provider_grpc
from codevector.providers.v1 import routing_service_pb2 as routing_pb
from codevector.providers.v1 import routing_service_pb2_grpc as routing_grpc
from google.protobuf.field_mask_pb2 import FieldMask

from benchmarks.limits import at_most
from benchmarks.processes import Server, settled
from benchmarks.registry import registry
from tests.support.servers.harness import Instance, instance
from tests.support.servers.postgresql import running_server
from tests.support.values.filled import fill_by_sql

LIMIT_MEMORY_MB = 300.0
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one registry. ``change_cpu_ms`` is of an update of a label, without its call's share of a start."""

    seconds: float
    cpu_seconds: float
    memory_mb: float
    peak_mb: float
    change_cpu_ms: float
    pages: list[float]


def sizes(models: list[int], repetitions: int) -> None:
    """Each size on each database."""
    print(f"\n## Sizes: ten provider models each; medians of {repetitions} changes\n")
    print(
        "| provider models | database | start: s | CPU s | MB after start | MB at most, after all | to limit "
        "| CPU ms of an update | all by 1,000: first, last page, ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with running_server() as server:
        for count in models:
            for database, extra in (
                ("SQLite", {}),
                ("PostgreSQL", {"CODEVECTOR_DATABASE_URL": server.url(server.create_database())}),
            ):
                with instance(extra) as made:
                    url = made.environment.get("CODEVECTOR_DATABASE_URL")
                    fill_by_sql(url or f"sqlite:///{made.home}/registry.db", count)
                    print(_row(count, database, _measure(made, repetitions)), flush=True)


def _row(count: int, database: str, one: Figures) -> str:
    memory = at_most(one.peak_mb / LIMIT_MEMORY_MB, 1.0)
    return (
        f"| {count:,} | {database} | {one.seconds:.2f} | {one.cpu_seconds:.2f} | {one.memory_mb:.0f} "
        f"| {one.peak_mb:.0f} | {memory} | {one.change_cpu_ms:.2f} "
        f"| {one.pages[0]:.0f}, {one.pages[-1]:.0f} |"
    )


def _measure(made: Instance, repetitions: int) -> Figures:
    with registry(made) as (_, server):
        started = (server.started_seconds, server.cpu_seconds(), server.memory_mb())
        with grpc.insecure_channel(made.address, [("grpc.max_receive_message_length", -1)]) as channel:
            changes = [_change(server, channel, number) for number in range(repetitions)]
            pages = list(_pages(channel))
            _read_all(channel)
        return Figures(*started, _peak_mb(server), median(changes), pages)


def _change(server: Server, channel: grpc.Channel, number: int) -> float:
    """CPU milliseconds of an update of a provider's labels, from the call until all is quiet again."""
    stub = provider_grpc.ProviderServiceStub(channel)
    before = settled(server).cpu_seconds()
    provider = pb.Provider(name="providers/p-000001", labels={"n": str(number)})
    mask = FieldMask(paths=["labels"])
    stub.UpdateProvider(service_pb.UpdateProviderRequest(provider=provider, update_mask=mask))
    return (settled(server).cpu_seconds() - before) * 1e3


def _pages(channel: grpc.Channel) -> Iterator[float]:
    """Milliseconds of each page of all provider models."""
    stub, token = provider_grpc.ProviderServiceStub(channel), ""
    while True:
        started = time.perf_counter()
        page = stub.ListProviderModels(
            service_pb.ListProviderModelsRequest(parent="providers/-", page_size=PAGE, page_token=token)
        )
        yield (time.perf_counter() - started) * 1e3
        token = page.next_page_token
        if not token:
            return


def _read_all(channel: grpc.Channel) -> None:
    """What routers do: the whole table, and a watch."""
    stub = routing_grpc.RoutingServiceStub(channel)
    assert stub.GetRoutingSnapshot(routing_pb.GetRoutingSnapshotRequest()).snapshot.provider_models
    watch = stub.WatchRouting(routing_pb.WatchRoutingRequest())
    for message in watch:
        if message.snapshot_chunk.last:
            break
    watch.cancel()


def _peak_mb(server: Server) -> float:
    """The most memory that was ever resident."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    [peak] = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(peak) * 1024 / 1e6
