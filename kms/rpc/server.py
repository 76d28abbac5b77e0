"""One gRPC server per role and socket: two servers on one path would share it silently (grpc#28755)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import grpc
from codevector.kms.v1 import key_admin_service_pb2 as admin_pb2
from codevector.kms.v1 import key_management_service_pb2 as management_pb2
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from protovalidate import Validator
from structlog.typing import FilteringBoundLogger

from kms.audit.keyring import AuditedKeyring, AuditedVersions, Principal
from kms.audit.log import Audit
from kms.keyring import OpenKeyring
from kms.rpc import sockets
from kms.rpc.boundary import Boundary
from kms.rpc.pages import PageTokens
from kms.rpc.refusals import RefusedCalls
from kms.rpc.roles import ADMIN, MANAGEMENT, Role
from kms.rpc.servicers import KeyAdmin, KeyManagement
from runtime import reflection
from runtime.unix_targets import unix_target

_HEALTH = "grpc.health.v1.Health"
_THREADS_PER_ROLE = 8
_REFLECTION_THREADS = 2
_GRACE_SECONDS = 2.0  # no call takes longer; open health watches always use it up
_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 1 << 20),
    ("grpc.max_metadata_size", 16 << 10),
    ("grpc.max_concurrent_streams", 100),
    # What connects and does not speak HTTP/2 is disconnected.
    ("grpc.server_handshake_timeout_ms", 5_000),
    # Clients ping idle connections every 30 s; the default minimum of 5 min would disconnect them.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


@contextmanager
def serving(
    opened: OpenKeyring,
    places: Mapping[Role, Path],
    *,
    connections: int,
    audit: Audit,
    refusals: RefusedCalls,
    release: str,
    clock: Callable[[], datetime],
    random: Callable[[int], bytes],
    logger: FilteringBoundLogger,
) -> Iterator[None]:
    """Serve every role on its socket until the context ends; running calls get 2 s to finish.

    Each socket takes ``connections``: clients of one role cannot take the open files from another.

    Raises:
        SocketError: a socket cannot be bound; nothing is served.
    """
    pages = PageTokens(random(32))
    index = reflection.DescriptorIndex(reflection.described_files())
    listed = (ADMIN, MANAGEMENT, _HEALTH, *reflection.VERSIONS)
    validator = Validator()
    with ExitStack() as stack:
        running = []
        for role, path in places.items():
            principal = Principal(role.value, str(path))
            management = KeyManagement(
                AuditedKeyring(opened.keyring, audit, principal), audit, release=release, clock=clock
            )
            admin = KeyAdmin(AuditedVersions(opened.versions, audit, principal), audit, pages=pages)
            boundary = Boundary(principal, role, validator, logger, refusals)
            healthy = health.HealthServicer()
            described = ThreadPoolExecutor(_REFLECTION_THREADS, thread_name_prefix="kms-reflection")
            stack.callback(described.shutdown, wait=False)
            server = grpc.server(
                ThreadPoolExecutor(_THREADS_PER_ROLE, thread_name_prefix=f"kms-{role.value}"),
                handlers=[
                    boundary.handlers(
                        _service(management_pb2.DESCRIPTOR, MANAGEMENT), management.behaviours()
                    ),
                    boundary.handlers(_service(admin_pb2.DESCRIPTOR, ADMIN), admin.behaviours()),
                    *reflection.handlers(index, listed, described),
                ],
                options=(*_OPTIONS, ("grpc.max_allowed_incoming_connections", connections)),
            )
            health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
            for name in ("", MANAGEMENT, ADMIN):
                healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
            _bind(server, path)
            stack.callback(path.unlink, missing_ok=True)
            running.append((server, healthy))
        stack.callback(_stop, running)
        for server, _ in running:
            server.start()
        yield


def _bind(server: grpc.Server, path: Path) -> None:
    sockets.claim(path)
    try:
        server.add_insecure_port(unix_target(path))
    except RuntimeError:
        raise sockets.SocketError(f"the socket {path} cannot be bound") from None
    sockets.restrict(path)


def _stop(running: Sequence[tuple[grpc.Server, health.HealthServicer]]) -> None:
    for _, healthy in running:
        healthy.enter_graceful_shutdown()
    stopping = [server.stop(_GRACE_SECONDS) for server, _ in running]
    for stopped in stopping:
        stopped.wait()


def _service(file: FileDescriptor, full_name: str) -> ServiceDescriptor:
    return file.services_by_name[full_name.rpartition(".")[2]]
