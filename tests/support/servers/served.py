"""A registry that answers, wherever it runs: its address, a channel to it and the stubs of its services."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from codevector.providers.v1 import (
    model_service_pb2_grpc,
    provider_service_pb2_grpc,
    routing_service_pb2_grpc,
    system_service_pb2_grpc,
)


@dataclass(slots=True)
class Served(ABC):
    """The registry on a port of this machine. ``channel`` is None while it does not serve."""

    port: int
    channel: grpc.Channel | None = field(default=None, init=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    @abstractmethod
    def registry_socket(self) -> Path:
        """Where its sidecar wraps."""

    @property
    @abstractmethod
    def router_socket(self) -> Path:
        """Where its sidecar unwraps."""

    @property
    def providers(self) -> provider_service_pb2_grpc.ProviderServiceStub:
        return provider_service_pb2_grpc.ProviderServiceStub(self._open_channel())

    @property
    def models(self) -> model_service_pb2_grpc.ModelServiceStub:
        return model_service_pb2_grpc.ModelServiceStub(self._open_channel())

    @property
    def routing(self) -> routing_service_pb2_grpc.RoutingServiceStub:
        return routing_service_pb2_grpc.RoutingServiceStub(self._open_channel())

    @property
    def system(self) -> system_service_pb2_grpc.SystemServiceStub:
        return system_service_pb2_grpc.SystemServiceStub(self._open_channel())

    def connect(self) -> None:
        """Open the channel, which no other test shares: gRPC would hand out one connection for an address."""
        self.channel = grpc.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1)])

    def disconnect(self) -> None:
        if self.channel is not None:
            self.channel.close()
            self.channel = None

    def _open_channel(self) -> grpc.Channel:
        assert self.channel is not None
        return self.channel
