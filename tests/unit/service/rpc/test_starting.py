"""A registry that still reads its database listens, says that it does not serve, and refuses calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event

import grpc
import pytest
from codevector.providers.v1 import provider_service_pb2, routing_service_pb2
from codevector.providers.v1.provider_service_pb2_grpc import ProviderServiceStub
from codevector.providers.v1.routing_service_pb2_grpc import RoutingServiceStub
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service import app
from service.domain.errors import Reason
from service.readmodel.live import Source, load
from service.readmodel.snapshot import Codec, Snapshot
from tests.support.servers.api import refused
from tests.support.servers.harness import PATIENCE_SECONDS
from tests.support.servers.ports import free_port
from tests.support.servers.wired import wired

SERVICES = ("", "codevector.providers.v1.ProviderService", "codevector.providers.v1.RoutingService")


def test_says_so_and_then_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, go_on = Event(), Event()

    def held_up(source: Source, codec: Codec) -> Snapshot:
        reading.set()
        assert go_on.wait(PATIENCE_SECONDS)
        return load(source, codec)

    monkeypatch.setattr(app, "load", held_up)
    port = free_port()
    with (
        ExitStack() as serving,
        ThreadPoolExecutor(1) as pool,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        started = pool.submit(serving.enter_context, wired({"CODEVECTOR_GRPC_PORT": str(port)}))
        try:
            assert reading.wait(PATIENCE_SECONDS)
            assert health_of(channel) == {health_pb2.HealthCheckResponse.NOT_SERVING}
            providers, routing = ProviderServiceStub(channel), RoutingServiceStub(channel)
            for call in (
                lambda: providers.ListProviders(provider_service_pb2.ListProvidersRequest()),
                lambda: routing.GetRoutingSnapshot(routing_service_pb2.GetRoutingSnapshotRequest()),
                lambda: list(routing.WatchRouting(routing_service_pb2.WatchRoutingRequest())),
            ):
                refusal = refused(call)
                assert refusal.code is grpc.StatusCode.UNAVAILABLE
                assert refusal.reason == Reason.SERVER_STARTING.value
        finally:
            go_on.set()
        started.result()
        assert health_of(channel) == {health_pb2.HealthCheckResponse.SERVING}
        assert routing.GetRoutingSnapshot(routing_service_pb2.GetRoutingSnapshotRequest()).HasField(
            "snapshot"
        )


def health_of(channel: grpc.Channel) -> set[int]:
    check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
    return {check(health_pb2.HealthCheckRequest(service=name)).status for name in SERVICES}
