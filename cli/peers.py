"""The servers a command talks to."""

from __future__ import annotations

from pathlib import Path

from codevector.kms.v1 import key_admin_service_pb2_grpc, key_management_service_pb2_grpc
from codevector.providers.v1 import provider_service_pb2_grpc, system_service_pb2_grpc

from runtime.calls import Peer


class Registry(Peer):
    """The registry, as operators see it."""

    def __init__(self, address: str) -> None:
        super().__init__(f"registry {address}", address)
        self.system = system_service_pb2_grpc.SystemServiceStub(self.channel)
        self.providers = provider_service_pb2_grpc.ProviderServiceStub(self.channel)


class Sidecar(Peer):
    """The key sidecar on one of its sockets, whose role decides which calls it takes."""

    def __init__(self, role: str, socket: Path) -> None:
        super().__init__(f"{role} socket {socket}", f"unix:{socket}", socket=socket)
        self.admin = key_admin_service_pb2_grpc.KeyAdminServiceStub(self.channel)
        self.management = key_management_service_pb2_grpc.KeyManagementServiceStub(self.channel)
