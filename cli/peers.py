"""The servers that a command calls. Stubs are imported with their first use: each costs the start some
milliseconds."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cli.failures import ExitCode, Failure
from runtime.calls import CallRefused, Peer
from runtime.unix_targets import unix_target

if TYPE_CHECKING:
    from codevector.kms.v1.key_admin_service_pb2_grpc import KeyAdminServiceStub
    from codevector.kms.v1.key_management_service_pb2_grpc import KeyManagementServiceStub
    from codevector.providers.v1.model_service_pb2_grpc import ModelServiceStub
    from codevector.providers.v1.provider_service_pb2_grpc import ProviderServiceStub
    from codevector.providers.v1.routing_service_pb2_grpc import RoutingServiceStub
    from codevector.providers.v1.system_service_pb2_grpc import SystemServiceStub

_EXIT_CODES = {
    "INVALID_ARGUMENT": ExitCode.USAGE,
    "OUT_OF_RANGE": ExitCode.USAGE,
    "NOT_FOUND": ExitCode.NOT_FOUND,
    "UNAUTHENTICATED": ExitCode.AUTH,
    "PERMISSION_DENIED": ExitCode.AUTH,
    "ABORTED": ExitCode.CONFLICT,
    "ALREADY_EXISTS": ExitCode.CONFLICT,
    "FAILED_PRECONDITION": ExitCode.CONFLICT,
    "UNAVAILABLE": ExitCode.UNAVAILABLE,
    "DEADLINE_EXCEEDED": ExitCode.UNAVAILABLE,
}


class Registry(Peer):
    """The registry, as operators see it."""

    def __init__(self, address: str) -> None:
        super().__init__(f"registry {address}", address)

    @cached_property
    def system(self) -> SystemServiceStub:
        from codevector.providers.v1.system_service_pb2_grpc import SystemServiceStub

        return SystemServiceStub(self.channel)

    @cached_property
    def providers(self) -> ProviderServiceStub:
        from codevector.providers.v1.provider_service_pb2_grpc import ProviderServiceStub

        return ProviderServiceStub(self.channel)

    @cached_property
    def models(self) -> ModelServiceStub:
        from codevector.providers.v1.model_service_pb2_grpc import ModelServiceStub

        return ModelServiceStub(self.channel)

    @cached_property
    def routing(self) -> RoutingServiceStub:
        from codevector.providers.v1.routing_service_pb2_grpc import RoutingServiceStub

        return RoutingServiceStub(self.channel)


class Sidecar(Peer):
    """The key sidecar on one of its sockets, whose role decides which calls it takes."""

    def __init__(self, role: str, socket: Path) -> None:
        super().__init__(f"{role} socket {socket}", unix_target(socket), socket=socket)

    @cached_property
    def admin(self) -> KeyAdminServiceStub:
        from codevector.kms.v1.key_admin_service_pb2_grpc import KeyAdminServiceStub

        return KeyAdminServiceStub(self.channel)

    @cached_property
    def management(self) -> KeyManagementServiceStub:
        from codevector.kms.v1.key_management_service_pb2_grpc import KeyManagementServiceStub

        return KeyManagementServiceStub(self.channel)


def exit_code_of(refused: CallRefused) -> ExitCode:
    """Return the exit code of a command that ends with this refusal."""
    return _EXIT_CODES.get(refused.status, ExitCode.ERROR)


def failure_of(refused: CallRefused, *, verbose: bool = False) -> Failure:
    """Return the failure of a command that ends with this refusal; ``verbose`` adds all that the server
    said."""
    refusal = refused.refusal
    violations = (*refusal.fields, *refusal.preconditions)
    lines = [f"field: {each}" for each in violations if each.description not in refusal.message]
    lines.append(f"reason: {refusal.reason or refusal.status}")
    if refusal.request_id:
        lines.append(f"request: {refusal.request_id}")
    if verbose:
        lines.append(f"status: {refused.status}")
        lines += [f"{name}: {value}" for name, value in sorted(refusal.metadata.items())]
    # Who refused is of interest only where the server itself did not answer.
    sentence = refusal.message if refusal.request_id else str(refused)
    return Failure(sentence, code=exit_code_of(refused), lines=lines)
