"""The routers' reads against a bare server that answers constant bytes, and the making of a snapshot."""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

import grpc
from codevector.providers.v1 import routing_service_pb2 as pb
from codevector.providers.v1 import routing_service_pb2_grpc

from benchmarks.limits import at_least, at_most
from benchmarks.load import Reading, measure, medians
from benchmarks.processes import Server, serving
from benchmarks.registry import ROUTING, fill, registry
from service.rpc.peers import MAX_UNREAD_BYTES
from service.rpc.routing_codec import NOT_MODIFIED
from tests.support.servers.harness import instance
from tests.support.servers.ports import free_port

CONCURRENCY = 8
SHORT_ANSWER = bytes(100)
WHOLE_CPU, NOT_MODIFIED_CPU, CALLS = 1.10, 1.25, 0.90


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the table. ``bare`` is what the other server answers, ``cpu`` the limit of the ratio."""

    shown: str
    method: str
    request: bytes
    size: int
    bare: bytes
    cpu: float


def reads(sizes: list[int], calls: int, repetitions: int) -> None:
    """Tables of several sizes, each in a registry of its own; the larger ones in fewer calls."""
    print(f"\n## Reads: concurrency {CONCURRENCY}, medians of {repetitions}\n")
    print("| call | models | bytes | ours: calls/s, CPU µs, p50 µs | bare: the same | calls/s | CPU |")
    print("|---|---|---|---|---|---|---|")
    for models in sizes:
        _reads(models, max(calls * 1_000 // max(models, 1_000), 100), repetitions)


def _reads(models: int, calls: int, repetitions: int) -> None:
    with instance() as made, tempfile.NamedTemporaryFile() as file:
        fill(made, models)
        with registry(made) as (_, ours):
            for case in cases(ours):
                Path(file.name).write_bytes(case.bare)
                port = free_port()
                arguments = ["benchmarks.bare_server", str(port), f"{case.method}={file.name}"]
                with serving(arguments, "bare serving", f"127.0.0.1:{port}") as bare:
                    readings: dict[Server, list[Reading]] = {ours: [], bare: []}
                    for repetition in range(repetitions + 1):
                        for server in random.sample([ours, bare], 2):
                            # All share a connection, which is refused more while so much is unread.
                            concurrency = max(1, min(CONCURRENCY, MAX_UNREAD_BYTES // 2 // case.size))
                            read = measure(
                                server, case.method, case.request, calls=calls, concurrency=concurrency
                            )
                            if repetition:  # the first warms up
                                readings[server].append(read)
                a, b = medians(readings[ours]), medians(readings[bare])
                print(
                    f"| {case.shown} | {models:,} | {case.size:,} | {_reading(a)} | {_reading(b)} "
                    f"| {at_least(a.calls_per_second / b.calls_per_second, CALLS)} "
                    f"| {at_most(a.cpu_us / b.cpu_us, case.cpu)} |",
                    flush=True,
                )


def cases(ours: Server) -> list[Case]:
    """What routers ask of a registry, each with what it answers now."""
    with grpc.insecure_channel(
        ours.address, options=[("grpc.max_receive_message_length", 64 << 20)]
    ) as channel:
        routing = routing_service_pb2_grpc.RoutingServiceStub(channel)
        whole = routing.GetRoutingSnapshot(pb.GetRoutingSnapshotRequest())
        page = pb.ListActiveProviderModelsRequest(page_size=1000)
        listed = routing.ListActiveProviderModels(page).SerializeToString()
        held = pb.GetRoutingSnapshotRequest(if_token_not=whole.snapshot.token)
        assert routing.GetRoutingSnapshot(held).not_modified
    snapshot = whole.SerializeToString()
    get, list_ = f"{ROUTING}/GetRoutingSnapshot", f"{ROUTING}/ListActiveProviderModels"
    return [
        Case("GetRoutingSnapshot", get, b"", len(snapshot), snapshot, WHOLE_CPU),
        Case(
            "ListActiveProviderModels, 1,000", list_, page.SerializeToString(), len(listed), listed, WHOLE_CPU
        ),
        Case(
            "GetRoutingSnapshot, not modified",
            get,
            held.SerializeToString(),
            len(NOT_MODIFIED),
            SHORT_ANSWER,
            NOT_MODIFIED_CPU,
        ),
    ]


def _reading(one: Reading) -> str:
    return f"{one.calls_per_second:,.0f}, {one.cpu_us:,.0f}, {one.p50_us:,.0f}"
