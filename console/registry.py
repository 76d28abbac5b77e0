"""The registry as the console sees it: three services over one connection, each call in the user's name."""

from __future__ import annotations

from codevector.providers.v1 import (
    model_service_pb2_grpc,
    provider_service_pb2_grpc,
    system_service_pb2_grpc,
)

from console import session
from runtime.calls import CallRefused, Peer, Refusal

__all__ = ["CallRefused", "Refusal", "Registry"]

CALL_SECONDS = 10.0
_AWAY = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})


class Registry(Peer):
    """One connection for the whole process: the first call makes it, and gRPC keeps it."""

    def __init__(self, address: str) -> None:
        super().__init__("the registry", address, metadata=session.metadata)
        self.address = address
        self.providers = provider_service_pb2_grpc.ProviderServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.system = system_service_pb2_grpc.SystemServiceStub(self.channel)


def is_away(refusal: Refusal) -> bool:
    """Return whether the registry itself is missing, and not something that it needs."""
    return refusal.status in _AWAY and not refusal.reason
