"""A registry's RoutingService on a free loopback port: real gRPC, a table that tests edit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from codevector.providers.v1 import routing_service_pb2 as pb
from codevector.providers.v1 import routing_service_pb2_grpc as pb_grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status


def status(code: int, reason: str, message: str = "told by the registry") -> status_pb2.Status:
    """A status with its ErrorInfo, as the registry sends them."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="codevector", metadata={"name": "x"}))
    return status_pb2.Status(code=code, message=message, details=[detail])


@dataclass
class RegistryDouble(pb_grpc.RoutingServiceServicer):
    """Serves ``snapshot`` and ``sealed``; ``on_fetch`` runs before each fetch of credentials."""

    snapshot: pb.RoutingSnapshot = field(default_factory=lambda: pb.RoutingSnapshot(revision=1, store_id="s"))
    sealed: dict[str, pb.SealedCredentialResult] = field(default_factory=dict)
    abort: status_pb2.Status | None = None
    on_fetch: Callable[[int], None] = lambda count: None
    fetch_count: int = 0
    whole_snapshots_sent: int = 0
    page_size_seen: list[int] = field(default_factory=list)

    def ListActiveProviderModels(  # noqa: N802
        self, request: pb.ListActiveProviderModelsRequest, context: grpc.ServicerContext
    ) -> pb.ListActiveProviderModelsResponse:
        self._refuse(context)
        self.page_size_seen.append(request.page_size)
        start = int(request.page_token or 0)
        entries = self.snapshot.provider_models
        return pb.ListActiveProviderModelsResponse(
            active_provider_models=entries[start : start + 2],
            next_page_token=str(start + 2) if start + 2 < len(entries) else "",
            revision=self.snapshot.revision,
            store_id=self.snapshot.store_id,
        )

    def GetRoutingSnapshot(  # noqa: N802
        self, request: pb.GetRoutingSnapshotRequest, context: grpc.ServicerContext
    ) -> pb.GetRoutingSnapshotResponse:
        self._refuse(context)
        known = request.if_revision_not == self.snapshot.revision
        if known and request.store_id in ("", self.snapshot.store_id):
            return pb.GetRoutingSnapshotResponse(not_modified=True)
        self.whole_snapshots_sent += 1
        return pb.GetRoutingSnapshotResponse(snapshot=self.snapshot)

    def BatchGetSealedCredentials(  # noqa: N802
        self, request: pb.BatchGetSealedCredentialsRequest, context: grpc.ServicerContext
    ) -> pb.BatchGetSealedCredentialsResponse:
        self._refuse(context)
        self.fetch_count += 1
        self.on_fetch(self.fetch_count)
        missing = pb.SealedCredentialResult(error=status(code_pb2.NOT_FOUND, "RESOURCE_NOT_FOUND"))
        return pb.BatchGetSealedCredentialsResponse(
            results=[self.sealed.get(name, missing) for name in request.providers]
        )

    def WatchRouting(  # noqa: N802
        self, request: pb.WatchRoutingRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchRoutingResponse]:
        """The snapshot in one chunk, and the end."""
        self._refuse(context)
        table = self.snapshot
        yield pb.WatchRoutingResponse(
            store_id=table.store_id,
            revision=table.revision,
            snapshot_chunk=pb.SnapshotChunk(
                first=True,
                last=True,
                providers=table.providers,
                provider_models=table.provider_models,
                models=table.models,
                reason=pb.SnapshotChunk.REASON_INITIAL,
            ),
        )

    def ReportAppliedRevision(  # noqa: N802
        self, request: pb.ReportAppliedRevisionRequest, context: grpc.ServicerContext
    ) -> pb.ReportAppliedRevisionResponse:
        self._refuse(context)
        return pb.ReportAppliedRevisionResponse()

    def _refuse(self, context: grpc.ServicerContext) -> None:
        if self.abort is not None:
            context.abort_with_status(rpc_status.to_status(self.abort))


@contextmanager
def serving(double: RegistryDouble) -> Iterator[str]:
    """Serve the double; gives ``host:port``."""
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    pb_grpc.add_RoutingServiceServicer_to_server(double, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(grace=None).wait()
