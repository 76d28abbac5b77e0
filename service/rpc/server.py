"""The gRPC server: services, health and reflection on one port, with the options they need."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import grpc
from codevector.providers.v1 import (
    model_service_pb2,
    provider_service_pb2,
    routing_service_pb2,
    system_service_pb2,
)
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from runtime import reflection
from service.domain.errors import Reason, Unavailable
from service.readmodel.watch import Watchers
from service.rpc.boundary import Boundary, Exchange, Fresh
from service.rpc.options import server_options

PROVIDER_SERVICE: ServiceDescriptor = provider_service_pb2.DESCRIPTOR.services_by_name["ProviderService"]
MODEL_SERVICE: ServiceDescriptor = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"]
ROUTING_SERVICE: ServiceDescriptor = routing_service_pb2.DESCRIPTOR.services_by_name["RoutingService"]
SYSTEM_SERVICE: ServiceDescriptor = system_service_pb2.DESCRIPTOR.services_by_name["SystemService"]

SERVICES = (PROVIDER_SERVICE, MODEL_SERVICE, ROUTING_SERVICE, SYSTEM_SERVICE)

STARTING_SECONDS = 1.0
"""After which a call that came too early is to be tried again."""

GOODBYE_SECONDS = 2.0
"""How long stopping waits for watchers to take the goodbye; who does not read is cut off later."""

KMS_WRAP = "kms.wrap"
"""Health name of what needs the sidecar to wrap: creating and replacing credentials, moving wrappers."""
KMS_UNWRAP = "kms.unwrap"
"""Health name of what needs it to open: moving and verifying wrappers."""


class PortTaken(Exception):
    """The address cannot be served on; the message is one sentence that says what to do."""


class Server:
    """A server that is bound to its address; it listens first, and serves once there is what to serve."""

    def __init__(self, address: str, boundary: Boundary, *, connections: int) -> None:
        """Bind the address. ``connections`` is how many it takes.

        Raises:
            PortTaken: the address cannot be bound.
        """
        _check_free(address)
        self._boundary = boundary
        self._watchers: Watchers | None = None
        self._names = [descriptor.full_name for descriptor in SERVICES]
        self._methods = _Methods(
            {
                f"/{service.full_name}/{method.name}": _refusing(method, boundary)
                for service in SERVICES
                for method in service.methods
            }
        )
        self._server = grpc.aio.server(options=server_options(connections))
        self._server.add_generic_rpc_handlers((self._methods,))
        self._health = health_aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._server.add_generic_rpc_handlers(tuple(_reflection_handlers(self._names)))
        try:
            self._server.add_insecure_port(address)
        except RuntimeError:
            raise PortTaken(_taken(address)) from None

    async def listen(self) -> None:
        """Say in the health of the server and of each service that it does not serve, and refuse calls."""
        await self._report(("", *self._names), works=False)
        await self._server.start()

    async def serve(
        self, services: Sequence[tuple[ServiceDescriptor, object]], watchers: Watchers, *, fresh: Fresh
    ) -> None:
        """Serve, and say so in the health of the server and of each service.

        ``services`` are descriptors, each with the servicer that has its methods. ``fresh`` waits for a
        revision where a call is answered from the routing table.
        """
        self._watchers = watchers
        self._methods.by_path = {
            f"/{service.full_name}/{method.name}": _handler(
                method, servicer, self._boundary, fresh if _is_from_table(method) else None
            )
            for service, servicer in services
            for method in service.methods
        }
        await self._report(("", *self._names), works=True)

    async def report_kms(self, wraps: bool, unwraps: bool) -> None:
        """Say in the health of each capability whether it works; before the first time neither is known.

        The server and its services stay healthy without the sidecar: all but these capabilities works.
        """
        await self._report((KMS_WRAP,), works=wraps)
        await self._report((KMS_UNWRAP,), works=unwraps)

    async def report_store(self, works: bool) -> None:
        """Say in the health of each service that needs the database whether that works.

        RoutingService answers from memory, and the process needs no restart: both stay healthy.
        """
        of_store = (PROVIDER_SERVICE, MODEL_SERVICE, SYSTEM_SERVICE)
        await self._report([descriptor.full_name for descriptor in of_store], works=works)

    async def close(self) -> None:
        """End at once, if that is not done: for a start that fails."""
        await self._server.stop(0)

    async def stop(self, grace_seconds: float, *, drain_seconds: float) -> None:
        """Turn health off, and serve for ``drain_seconds`` more, so that balancers look elsewhere.

        Then say goodbye to watchers, let calls finish for at most ``grace_seconds``, and end. Watchers go
        first: gRPC would wait the whole time for streams that do not end.
        """
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(drain_seconds)
        if self._watchers is not None:
            await self._watchers.drain(GOODBYE_SECONDS)
        await self._server.stop(grace_seconds)

    async def _report(self, names: Iterable[str], *, works: bool) -> None:
        status = health_pb2.HealthCheckResponse
        for name in names:
            await self._health.set(name, status.SERVING if works else status.NOT_SERVING)


def _check_free(address: str) -> None:
    """Try the address with a socket of our own: gRPC would print lines of its core before it fails.

    Raises:
        PortTaken: it cannot be bound.
    """
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except PermissionError:
            raise PortTaken(
                f"{address} may not be bound by this account: set CODEVECTOR_GRPC_PORT to 1024 or above"
            ) from None
        except OSError:
            raise PortTaken(_taken(address)) from None


def _taken(address: str) -> str:
    return f"{address} is taken: stop what listens there, or set CODEVECTOR_GRPC_PORT"


def _reflection_handlers(services: Sequence[str]) -> list[grpc.GenericRpcHandler]:
    listed = (*services, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, *reflection.VERSIONS)
    return reflection.aio_handlers(reflection.DescriptorIndex(reflection.described_files()), sorted(listed))


class _Methods(grpc.GenericRpcHandler):
    """The handlers of all methods by path, others of which may take their place while the server runs."""

    def __init__(self, by_path: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self.by_path = by_path

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self.by_path.get(handler_call_details.method)


async def _not_yet(_request: Message, _exchange: Exchange) -> Message:
    raise Unavailable(
        "the registry is starting, and reads its database: retry",
        reason=Reason.SERVER_STARTING,
        retry_after_seconds=STARTING_SECONDS,
    )


def _refusing(method: MethodDescriptor, boundary: Boundary) -> grpc.RpcMethodHandler[Any, Any]:
    """Return the handler of a method before there is a servicer; also of one that streams its response."""
    request_type = GetMessageClass(method.input_type)
    return grpc.unary_unary_rpc_method_handler(
        boundary.unary(method.name, request_type, _not_yet, read_only=True, fresh=None)
    )


def _is_from_table(method: MethodDescriptor) -> bool:
    """Whether a call is answered from the routing table, which another replica may be ahead of."""
    is_routing = method.containing_service.full_name == ROUTING_SERVICE.full_name
    return is_routing or method.name == "AwaitAppliedRevision"


def _handler(
    method: MethodDescriptor, servicer: object, boundary: Boundary, fresh: Fresh | None
) -> grpc.RpcMethodHandler[Any, Any]:
    """Return the handler: a stream of bytes, an answer from memory (no coroutine), or a plain call."""
    read_only = method.GetOptions().idempotency_level == method.GetOptions().NO_SIDE_EFFECTS
    request_type = GetMessageClass(method.input_type)
    handler = getattr(servicer, method.name)
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(
            boundary.stream(method.name, request_type, handler, fresh=fresh)
        )
    if not inspect.iscoroutinefunction(handler):
        return grpc.unary_unary_rpc_method_handler(
            boundary.instant(method.name, request_type, handler, fresh=fresh)
        )
    return grpc.unary_unary_rpc_method_handler(
        boundary.unary(method.name, request_type, handler, read_only=read_only, fresh=fresh)
    )
