"""`make bench`: reads, writes, start-up and rotation against their limits. Prints Markdown tables."""

from __future__ import annotations

import argparse
import platform
import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median

import grpc
from codevector.providers.v1 import (
    provider_model_pb2,
    provider_pb2,
    provider_service_pb2_grpc,
    routing_service_pb2,
    routing_service_pb2_grpc,
)
from codevector.providers.v1 import provider_service_pb2 as pb

from benchmarks.deletes import deletes
from benchmarks.imports import imports
from benchmarks.keyrings import DEFAULT_WRAPPERS, KEYRINGS
from benchmarks.load import Reading, measure, medians
from benchmarks.mlflow_rotation import mlflow
from benchmarks.processes import Server, serving
from benchmarks.rewrap import rewrap
from service.rpc.routing_codec import NOT_MODIFIED
from tests.integration.harness import Instance, free_port, instance

ROUTING = "codevector.providers.v1.RoutingService"
CONCURRENCY = 8
DEFAULT = ["reads", "writes", "imports", "deletes", "starts", "rewrap"]
BY_NAME = ["mlflow"]
"""What installs a peer or takes long, so is run only when asked for."""


@contextmanager
def registry(made: Instance) -> Iterator[tuple[Server, Server]]:
    """(sidecar, registry), both on the servers' core, logging as in production."""
    environment = {**made.environment, "CODEVECTOR_LOG_LEVEL": "info"}
    with (
        serving(["kms"], "kms serving", "", environment) as kms,
        serving(["service"], "service serving", made.address, environment) as service,
    ):
        yield kms, service


def fill(channel: grpc.Channel, models: int) -> None:
    """One provider with that many custom models, priced and labelled as real ones are."""
    stub = provider_service_pb2_grpc.ProviderServiceStub(channel)
    provider = provider_pb2.Provider(display_name="Bench", kind=provider_pb2.PROVIDER_KIND_OPENAI)
    key = provider_pb2.CredentialInput(api_key=provider_pb2.ApiKeyCredential(api_key="sk-" + "b" * 40))
    stub.CreateProvider(pb.CreateProviderRequest(provider_id="bench", provider=provider, credential=key))
    for number in range(models):
        stub.CreateProviderModel(
            pb.CreateProviderModelRequest(
                parent="providers/bench",
                provider_model=provider_model_pb2.ProviderModel(
                    upstream_model_id=f"vendor/model-{number:05}",
                    kind=provider_model_pb2.MODEL_KIND_CHAT,
                    context_window=128_000,
                    max_output_tokens=16_384,
                    capabilities=[1, 2, 3, 4, 6],  # type: ignore[list-item]
                    pricing=provider_model_pb2.Pricing(
                        currency_code="USD",
                        input_per_million_tokens="2.50",
                        output_per_million_tokens="10.00",
                        cached_input_per_million_tokens="1.25",
                    ),
                    labels={"team": "platform", "tier": "gold"},
                ),
            )
        )


def reads(models: int, calls: int, repetitions: int) -> None:
    """The routers' reads, in turn with a bare server that answers the same number of bytes."""
    with (
        instance() as made,
        registry(made) as (_, ours),
        grpc.insecure_channel(
            ours.address, options=[("grpc.max_receive_message_length", 64 << 20)]
        ) as channel,
        tempfile.TemporaryDirectory() as scratch,
    ):
        fill(channel, models)
        routing = routing_service_pb2_grpc.RoutingServiceStub(channel)
        snapshot = routing.GetRoutingSnapshot(routing_service_pb2.GetRoutingSnapshotRequest())
        held = {"if_revision_not": str(snapshot.snapshot.revision), "store_id": snapshot.snapshot.store_id}
        listed = routing.ListActiveProviderModels(
            routing_service_pb2.ListActiveProviderModelsRequest(page_size=1000)
        )
        cases: tuple[tuple[str, Mapping[str, object], bytes], ...] = (
            ("GetRoutingSnapshot", {}, snapshot.SerializeToString()),
            ("ListActiveProviderModels", {"page_size": 1000}, listed.SerializeToString()),
            ("GetRoutingSnapshot", held, NOT_MODIFIED),
        )
        print(
            f"\n## Reads: {models:,} models, concurrency {CONCURRENCY}, {repetitions} times {calls} calls\n"
        )
        print("| call | bytes | ours: calls/s, CPU µs, p50 µs | bare: the same | calls/s ratio | CPU ratio |")
        print("|---|---|---|---|---|---|")
        for name, data, answer in cases:
            method = f"{ROUTING}/{name}"
            file = Path(scratch) / "answer"
            file.write_bytes(answer)
            port = free_port()
            arguments = ["benchmarks.bare_server", str(port), f"{method}={file}"]
            with serving(arguments, "bare serving", f"127.0.0.1:{port}") as bare:
                readings: dict[Server, list[Reading]] = {ours: [], bare: []}
                for server in readings:
                    measure(server, method, data, calls=calls // 4, concurrency=CONCURRENCY)
                for _ in range(repetitions):
                    for server in random.sample([ours, bare], 2):
                        readings[server].append(
                            measure(server, method, data, calls=calls, concurrency=CONCURRENCY)
                        )
            a, b = medians(readings[ours]), medians(readings[bare])
            shown = name + (" (not modified)" if data is held else "")
            print(
                f"| {shown} | {len(answer):,} | {_reading(a)} | {_reading(b)} "
                f"| {a.calls_per_second / b.calls_per_second:.2f} | {a.cpu_us / b.cpu_us:.2f} |"
            )


def _reading(one: Reading) -> str:
    return f"{one.calls_per_second:,.0f}, {one.cpu_us:,.0f}, {one.p50_us:,.0f}"


def writes(creates: int, repetitions: int) -> None:
    """Creates with a seal one after the other, and imports of the largest catalog into fresh providers."""
    with (
        instance() as made,
        registry(made) as (kms, service),
        grpc.insecure_channel(service.address) as channel,
    ):
        stub = provider_service_pb2_grpc.ProviderServiceStub(channel)
        key = provider_pb2.CredentialInput(api_key=provider_pb2.ApiKeyCredential(api_key="sk-" + "b" * 40))
        seconds, cpu, kms_cpu = [], [], []
        for repetition in range(repetitions):
            started, before, kms_before = time.perf_counter(), service.cpu_seconds(), kms.cpu_seconds()
            for number in range(creates):
                provider = provider_pb2.Provider(
                    display_name=f"P {repetition} {number}", kind=provider_pb2.PROVIDER_KIND_OPENAI
                )
                stub.CreateProvider(pb.CreateProviderRequest(provider=provider, credential=key))
            seconds.append((time.perf_counter() - started) / creates)
            cpu.append((service.cpu_seconds() - before) / creates)
            kms_cpu.append((kms.cpu_seconds() - kms_before) / creates)
        imported = []
        for repetition in range(repetitions):
            provider = provider_pb2.Provider(
                display_name=f"Bedrock {repetition}",
                kind=provider_pb2.PROVIDER_KIND_BEDROCK,
                config=provider_pb2.ProviderConfig(bedrock=provider_pb2.BedrockConfig(region="us-east-1")),
            )
            name = stub.CreateProvider(pb.CreateProviderRequest(provider=provider)).name
            started = time.perf_counter()
            answer = stub.ImportProviderModels(pb.ImportProviderModelsRequest(parent=name))
            imported.append(time.perf_counter() - started)
        print(f"\n## Writes: one client, SQLite, medians of {repetitions}\n")
        print("| what | per second | ms each | CPU ms: registry, sidecar |")
        print("|---|---|---|---|")
        each = median(seconds)
        print(
            f"| create provider with a credential | {1 / each:,.0f} | {each * 1e3:.2f} "
            f"| {median(cpu) * 1e3:.2f}, {median(kms_cpu) * 1e3:.2f} |"
        )
        each = median(imported)
        what = f"import the bedrock catalog ({answer.created_count} models)"
        print(f"| {what} | {1 / each:,.1f} | {each * 1e3:.1f} | |")


def starts(repetitions: int) -> None:
    """From exec to serving, and memory then."""
    readings: dict[str, list[tuple[float, float]]] = {"sidecar": [], "registry": [], "bare grpcio": []}
    with tempfile.NamedTemporaryFile() as answer:
        for _ in range(repetitions):
            with instance() as made, registry(made) as (kms, service):
                readings["sidecar"].append((kms.started_seconds, kms.memory_mb()))
                readings["registry"].append((service.started_seconds, service.memory_mb()))
            port = free_port()
            arguments = ["benchmarks.bare_server", str(port), f"{ROUTING}/GetRoutingSnapshot={answer.name}"]
            with serving(arguments, "bare serving", f"127.0.0.1:{port}") as bare:
                readings["bare grpcio"].append((bare.started_seconds, bare.memory_mb()))
    print(f"\n## Start-up and memory, medians of {repetitions}\n")
    print("| process | seconds to serving | MB resident |")
    print("|---|---|---|")
    for name, values in readings.items():
        print(f"| {name} | {median(s for s, _ in values):.2f} | {median(m for _, m in values):.0f} |")


def main() -> None:
    """Run what is asked for; by default all that needs no peer, in some minutes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*DEFAULT, *BY_NAME], default=DEFAULT)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--keyring", choices=list(KEYRINGS), default="local", help="what to rewrap in")
    parser.add_argument("--wrappers", type=int, help="to rewrap: 100,000 locally, 20,000 in Vault")
    parser.add_argument("--rounds", type=int, default=5, help="of rotations and their floor in turn")
    parser.add_argument("--secrets", type=int, default=5000, help="to rotate here and in MLflow")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, grpcio {version('grpcio')}, protobuf {version('protobuf')}")
    if "reads" in options.what:
        reads(options.models, options.calls, options.repetitions)
    if "writes" in options.what:
        writes(200, options.repetitions)
    if "imports" in options.what:
        imports(options.repetitions)
    if "deletes" in options.what:
        deletes(options.repetitions)
    if "starts" in options.what:
        starts(options.repetitions)
    if "rewrap" in options.what:
        rewrap(options.keyring, options.wrappers or DEFAULT_WRAPPERS[options.keyring], options.rounds)
    if "mlflow" in options.what:
        mlflow(options.secrets, options.rounds)


if __name__ == "__main__":
    main()
