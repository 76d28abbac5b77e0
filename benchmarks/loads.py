"""Loading a registry through its API: is the last fifth as quick as the first?"""

from __future__ import annotations

import time
from collections.abc import Iterator

import grpc
from codevector.providers.v1 import provider_pb2, provider_service_pb2_grpc
from codevector.providers.v1 import provider_service_pb2 as pb

from benchmarks.limits import at_most
from benchmarks.processes import Server
from benchmarks.registry import registry
from service.catalog_files import load_catalogs
from service.domain.model import ProviderKind
from tests.support.servers.harness import ROOT, instance
from tests.support.servers.postgresql import running_server

MODELS_EACH = 10
FIFTHS = 5
LIMIT = 1.2
"""Of the CPU that a provider costs in the last fifth, to that in the first."""


def loads(provider_models: int) -> None:
    """One client creates providers with a credential, and imports ten models into each."""
    print(f"\n## Loads: {provider_models:,} provider models through the API, ten to a provider; one client\n")
    print("| database | providers a second: first, last fifth | CPU ms each: first, last | last to first |")
    print("|---|---|---|---|")
    with running_server() as server:
        for database, extra in (
            ("SQLite", {}),
            ("PostgreSQL", {"CODEVECTOR_DATABASE_URL": server.url(server.create_database())}),
        ):
            with (
                instance(extra) as made,
                registry(made) as (_, service),
                grpc.insecure_channel(service.address) as channel,
            ):
                fifths = list(_fifths(service, channel, provider_models // MODELS_EACH // FIFTHS))
            (rate, cpu), (last_rate, last_cpu) = fifths[0], fifths[-1]
            print(
                f"| {database} | {rate:.0f}, {last_rate:.0f} | {cpu:.1f}, {last_cpu:.1f} "
                f"| {at_most(last_cpu / cpu, LIMIT)} |",
                flush=True,
            )


def _fifths(service: Server, channel: grpc.Channel, providers: int) -> Iterator[tuple[float, float]]:
    """Providers a second, and CPU milliseconds of each, for every fifth of the load."""
    stub = provider_service_pb2_grpc.ProviderServiceStub(channel)
    key = provider_pb2.CredentialInput(api_key=provider_pb2.ApiKeyCredential(api_key="sk-" + "b" * 40))
    [catalog] = [one for one in load_catalogs(ROOT / "catalogs").list() if one.kind is ProviderKind.OPENAI]
    upstream_ids = [model.upstream_model_id for model in catalog.models[:MODELS_EACH]]
    for fifth in range(FIFTHS):
        started, before = time.perf_counter(), service.cpu_seconds()
        for number in range(providers):
            provider = provider_pb2.Provider(
                display_name=f"Provider {fifth} {number}", kind=provider_pb2.PROVIDER_KIND_OPENAI
            )
            made = stub.CreateProvider(pb.CreateProviderRequest(provider=provider, credential=key))
            answer = stub.ImportProviderModels(
                pb.ImportProviderModelsRequest(parent=made.name, upstream_model_ids=upstream_ids)
            )
            assert answer.created_count == MODELS_EACH
        seconds, cpu = time.perf_counter() - started, service.cpu_seconds() - before
        yield providers / seconds, cpu * 1e3 / providers
