"""Creates with a seal, in sequence, and imports of the largest catalog."""

from __future__ import annotations

import time
from statistics import median

import grpc
from codevector.providers.v1 import provider_pb2, provider_service_pb2_grpc
from codevector.providers.v1 import provider_service_pb2 as pb

from benchmarks.registry import registry
from tests.support.servers.harness import instance


def writes(creates: int, repetitions: int) -> None:
    """Creates with a seal in sequence, and imports of the largest catalog into fresh providers."""
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
