"""Routers that report and watch, and the operator who lists and waits for them."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from codevector.providers.v1 import routing_service_pb2 as routing
from codevector.providers.v1 import system_service_pb2 as pb
from google.protobuf.duration_pb2 import Duration

from tests.support.servers.api import Api
from tests.support.servers.harness import wait_until
from tests.support.servers.served import Served


class Desk:
    """Routers and operators of one registry."""

    def __init__(self, registry: Served) -> None:
        self.registry = registry
        self.api = Api(registry)
        self._streams: list[grpc.Call] = []  # gRPC cancels those that nobody holds

    def head(self) -> routing.RoutingSnapshot:
        return self.registry.routing.GetRoutingSnapshot(routing.GetRoutingSnapshotRequest()).snapshot

    def report(
        self, watcher_id: str, token: str | None = None, *, stopping: bool = False, session: bytes = b""
    ) -> None:
        """Say that a router routes by the table as it is now, or by that of ``token``."""
        self.registry.routing.ReportAppliedRevision(
            routing.ReportAppliedRevisionRequest(
                watcher_id=watcher_id,
                token=self.head().token if token is None else token,
                stopping=stopping,
                session=session,
            )
        )

    def watch(self, watcher_id: str, *, session: bytes = b"") -> grpc.Call:
        """Open a watch and read its beginning."""
        request = routing.WatchRoutingRequest(watcher_id=watcher_id, session=session)
        stream = self.registry.routing.WatchRouting(request)
        next(stream)
        self._streams.append(stream)
        return stream

    def meet(self, watcher_id: str, token: str | None = None, *, session: bytes = b"") -> None:
        """Let a router watch, report, and be cut off."""
        stream = self.watch(watcher_id, session=session)
        self.report(watcher_id, token, session=session)
        stream.cancel()
        wait_until(
            lambda: all(not one.watching for one in self.list(watcher_id).routers), what="the watch ends"
        )

    def list(self, filter: str = "", **paging: object) -> pb.ListRoutersResponse:  # noqa: A002
        request = pb.ListRoutersRequest(filter=filter, **paging)  # type: ignore[arg-type]
        return self.registry.system.ListRouters(request)

    def listed(self) -> Sequence[str]:
        return [one.watcher_id for one in self.list().routers]

    def wait(
        self, revision: int = 0, seconds: float = 0, *, token: str = ""
    ) -> pb.AwaitAppliedRevisionResponse:
        timeout = Duration()
        timeout.FromMilliseconds(int(seconds * 1000))
        return self.registry.system.AwaitAppliedRevision(
            pb.AwaitAppliedRevisionRequest(revision=revision, token=token, timeout=timeout), timeout=60
        )
