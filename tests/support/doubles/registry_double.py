"""A registry's RoutingService on a free loopback port: real gRPC, a table and watches that tests drive."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue

import grpc
from codevector.providers.v1 import routing_service_pb2 as pb
from codevector.providers.v1 import routing_service_pb2_grpc as pb_grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

PATIENCE_SECONDS = 60.0


def status(code: int, reason: str, message: str = "told by the registry") -> status_pb2.Status:
    """A status with its ErrorInfo, as the registry sends them."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="codevector", metadata={"name": "x"}))
    return status_pb2.Status(code=code, message=message, details=[detail])


@dataclass(eq=False)
class Watch:
    """One open watch: what it asked for, and what it is still to be sent. None ends it."""

    request: pb.WatchRoutingRequest
    metadata: dict[str, str]
    outbox: SimpleQueue[pb.WatchRoutingResponse | status_pb2.Status | None] = field(
        default_factory=SimpleQueue
    )

    def send(self, *messages: pb.WatchRoutingResponse) -> None:
        for message in messages:
            self.outbox.put(message)

    def fail(self, code: int = code_pb2.UNAVAILABLE, reason: str = "STORE_UNAVAILABLE") -> None:
        self.outbox.put(status(code, reason))

    def end(self) -> None:
        self.outbox.put(None)


@dataclass
class RegistryDouble(pb_grpc.RoutingServiceServicer):
    """Serves ``snapshot`` and ``sealed``; ``on_fetch`` runs before each fetch of credentials.

    A watch is sent the snapshot first, or a bookmark where it resumes, unless ``greets`` is off.
    """

    snapshot: pb.RoutingSnapshot = field(default_factory=lambda: pb.RoutingSnapshot(revision=1, store_id="s"))
    sealed: dict[str, pb.SealedCredentialResult] = field(default_factory=dict)
    abort: status_pb2.Status | None = None
    on_fetch: Callable[[int], None] = lambda count: None
    greets: bool = True
    fetch_count: int = 0
    whole_snapshots_sent: int = 0
    page_size_seen: list[int] = field(default_factory=list)
    metadata_seen: list[dict[str, str]] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)
    reports: list[pb.ReportAppliedRevisionRequest] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

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
            token=self.token(),
        )

    def GetRoutingSnapshot(  # noqa: N802
        self, request: pb.GetRoutingSnapshotRequest, context: grpc.ServicerContext
    ) -> pb.GetRoutingSnapshotResponse:
        self._refuse(context)
        if request.if_token_not == self.token():
            return pb.GetRoutingSnapshotResponse(not_modified=True)
        self.whole_snapshots_sent += 1
        response = pb.GetRoutingSnapshotResponse(snapshot=self.snapshot)
        response.snapshot.token = self.token()
        return response

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
        self._refuse(context)
        watch = Watch(request, _metadata(context))
        if self.greets:
            watch.send(self.bookmark() if request.resume_token else self.chunk())
        context.add_callback(watch.end)
        with self.news:
            self.watches.append(watch)
            self.news.notify_all()
        while (message := watch.outbox.get()) is not None:
            if isinstance(message, status_pb2.Status):
                context.abort_with_status(rpc_status.to_status(message))
            yield message

    def ReportAppliedRevision(  # noqa: N802
        self, request: pb.ReportAppliedRevisionRequest, context: grpc.ServicerContext
    ) -> pb.ReportAppliedRevisionResponse:
        self._refuse(context)
        with self.news:
            self.reports.append(request)
            self.news.notify_all()
        return pb.ReportAppliedRevisionResponse()

    def wait(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of the watches and reports seen; fail the test when it does not."""
        with self.news:
            assert self.news.wait_for(holds, PATIENCE_SECONDS)

    def watch(self, number: int) -> Watch:
        """The watch of this number, from 1, once it is open."""
        self.wait(lambda: len(self.watches) >= number)
        return self.watches[number - 1]

    def chunk(
        self, reason: pb.SnapshotChunk.Reason = pb.SnapshotChunk.REASON_INITIAL
    ) -> pb.WatchRoutingResponse:
        """The snapshot, as one chunk."""
        table = self.snapshot
        chunk = pb.SnapshotChunk(
            first=True,
            last=True,
            providers=table.providers,
            provider_models=table.provider_models,
            models=table.models,
            reason=reason,
        )
        return pb.WatchRoutingResponse(
            store_id=table.store_id, revision=table.revision, token=self.token(), snapshot_chunk=chunk
        )

    def bookmark(self, revision: int = 0, *, draining: bool = False) -> pb.WatchRoutingResponse:
        """A sign of life, of the snapshot's revision unless told otherwise."""
        return pb.WatchRoutingResponse(
            store_id=self.snapshot.store_id,
            revision=revision or self.snapshot.revision,
            token=self.token(revision),
            bookmark=pb.Bookmark(draining=draining),
        )

    def change_set(self, revision: int, *changes: pb.RoutingChange) -> pb.WatchRoutingResponse:
        """What one revision changes."""
        return pb.WatchRoutingResponse(
            store_id=self.snapshot.store_id,
            revision=revision,
            token=self.token(revision),
            change_set=pb.ChangeSet(changes=changes),
        )

    def token(self, revision: int = 0) -> str:
        """What stands for a revision of the snapshot's store; to routers it is opaque."""
        return f"{self.snapshot.store_id}@{revision or self.snapshot.revision}"

    def _refuse(self, context: grpc.ServicerContext) -> None:
        self.metadata_seen.append(_metadata(context))
        if self.abort is not None:
            context.abort_with_status(rpc_status.to_status(self.abort))


def _metadata(context: grpc.ServicerContext) -> dict[str, str]:
    return {key: str(value) for key, value in context.invocation_metadata()}


@contextmanager
def serving(
    double: RegistryDouble, *, port: int = 0, credentials: grpc.ServerCredentials | None = None
) -> Iterator[str]:
    """Serve the double; gives ``host:port``."""
    server = grpc.server(ThreadPoolExecutor(max_workers=16), options=[("grpc.so_reuseport", 0)])
    pb_grpc.add_RoutingServiceServicer_to_server(double, server)
    address = f"127.0.0.1:{port}"
    bound = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        server.stop(grace=None).wait()
