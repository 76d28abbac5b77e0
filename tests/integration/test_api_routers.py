"""Who has which revision, and waiting until all have one: real reports, real watches, over restarts too."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import grpc
import pytest
from codevector.providers.v1 import provider_service_pb2 as provider_pb
from codevector.providers.v1 import routing_service_pb2 as routing
from codevector.providers.v1 import system_service_pb2 as pb
from codevector.providers.v1 import system_service_pb2_grpc as pb_grpc
from google.protobuf.duration_pb2 import Duration

from tests.support.servers.api import Api, refused
from tests.support.servers.harness import Instance, running, wait_until
from tests.support.servers.postgresql import PostgresServer
from tests.support.servers.registry_pairs import two_registries


@pytest.fixture
def desk() -> Iterator[Desk]:
    """An installation of its own: other tests' watchers would count here."""
    with running() as instance:
        yield Desk(instance)


class Desk:
    """Routers and operators of one installation."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.api = Api(instance)
        self._streams: list[grpc.Call] = []  # gRPC cancels those that nobody holds

    @property
    def system(self) -> pb_grpc.SystemServiceStub:
        assert self.instance.channel is not None
        return pb_grpc.SystemServiceStub(self.instance.channel)

    def head(self) -> routing.RoutingSnapshot:
        return self.instance.routing.GetRoutingSnapshot(routing.GetRoutingSnapshotRequest()).snapshot

    def report(self, watcher_id: str, revision: int | None = None, *, stopping: bool = False) -> None:
        head = self.head()
        self.instance.routing.ReportAppliedRevision(
            routing.ReportAppliedRevisionRequest(
                watcher_id=watcher_id,
                revision=head.revision if revision is None else revision,
                store_id=head.store_id,
                stopping=stopping,
            )
        )

    def watch(self, watcher_id: str) -> grpc.Call:
        """Open a watch and read its beginning."""
        stream = self.instance.routing.WatchRouting(routing.WatchRoutingRequest(watcher_id=watcher_id))
        next(stream)
        self._streams.append(stream)
        return stream

    def list(self, filter: str = "", **paging: object) -> pb.ListRoutersResponse:  # noqa: A002
        request = pb.ListRoutersRequest(filter=filter, **paging)  # type: ignore[arg-type]
        return self.system.ListRouters(request)

    def listed(self) -> Sequence[str]:
        return [one.watcher_id for one in self.list().routers]

    def wait(self, revision: int = 0, seconds: float = 0) -> pb.AwaitAppliedRevisionResponse:
        timeout = Duration()
        timeout.FromMilliseconds(int(seconds * 1000))
        return self.system.AwaitAppliedRevision(
            pb.AwaitAppliedRevisionRequest(revision=revision, timeout=timeout), timeout=60
        )


class TestListing:
    def test_shows_who_watches_and_who_has_what(self, desk: Desk) -> None:
        desk.api.create()
        stream = desk.watch("gw-1")
        desk.report("gw-1")
        desk.report("gw-2", 0)
        got = desk.list()
        first, second = got.routers
        revision = desk.head().revision
        assert (first.watcher_id, first.applied_revision, first.watching) == ("gw-1", revision, True)
        assert first.HasField("apply_time")
        assert not first.HasField("forget_time")
        assert (second.watcher_id, second.applied_revision, second.watching) == ("gw-2", 0, False)
        assert second.forget_time.seconds - second.seen_time.seconds == 600
        assert second.peer.startswith("ipv4:127.0.0.1:")
        assert (got.total_size, got.revision, got.min_applied_revision) == (2, revision, 0)
        stream.cancel()
        wait_until(lambda: not desk.list().routers[0].watching, what="the watch ends")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("applied_revision < 1", ["gw-b"]),
            ("watching = true", ["gw-c"]),
            ("watcher_id : gw AND NOT watching = true", ["gw-a", "gw-b"]),
            ("gw-a", ["gw-a"]),
            ("seen_time > 2100-01-01T00:00:00Z", []),
        ],
    )
    def test_filters(self, desk: Desk, text: str, expected: list[str]) -> None:
        desk.api.create()
        desk.report("gw-a")
        desk.report("gw-b", 0)
        desk.watch("gw-c")
        desk.report("gw-c")
        got = desk.list(text)
        assert ([one.watcher_id for one in got.routers], got.total_size) == (expected, len(expected))

    def test_pages(self, desk: Desk) -> None:
        for number in range(5):
            desk.report(f"gw-{number}")
        seen: list[str] = []
        token = ""
        while True:
            page = desk.list(page_size=2, page_token=token)
            assert page.total_size == 5
            seen += [one.watcher_id for one in page.routers]
            token = page.next_page_token
            if not token:
                break
        assert seen == [f"gw-{number}" for number in range(5)]

    @pytest.mark.parametrize(
        ("request_", "reason"),
        [
            (pb.ListRoutersRequest(filter="applied_revision <"), "INVALID_FILTER"),
            (pb.ListRoutersRequest(filter="speed = 3"), "INVALID_FILTER"),
            (pb.ListRoutersRequest(page_token="made-up"), "INVALID_PAGE_TOKEN"),
            (pb.ListRoutersRequest(page_size=-1), "INVALID_FIELD"),
        ],
    )
    def test_refuses(self, desk: Desk, request_: pb.ListRoutersRequest, reason: str) -> None:
        assert refused(lambda: desk.system.ListRouters(request_)).reason == reason


class TestReporting:
    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            (routing.ReportAppliedRevisionRequest(), "watcher_id"),
            (routing.ReportAppliedRevisionRequest(watcher_id="two words"), "watcher_id"),
            (routing.ReportAppliedRevisionRequest(watcher_id="x" * 129), "watcher_id"),
            (routing.ReportAppliedRevisionRequest(watcher_id="x", revision=1), "store_id"),
            (routing.ReportAppliedRevisionRequest(watcher_id="x", revision=-1), "revision"),
        ],
    )
    def test_refuses(self, desk: Desk, request_: routing.ReportAppliedRevisionRequest, field: str) -> None:
        got = refused(lambda: desk.instance.routing.ReportAppliedRevision(request_))
        assert (got.code, got.fields[0]) == (grpc.StatusCode.INVALID_ARGUMENT, field)
        assert desk.list().total_size == 0


class TestWaiting:
    def test_a_deletion_is_waited_for_until_the_last_router_has_it(self, desk: Desk) -> None:
        made = desk.api.create()
        for watcher_id in ("gw-1", "gw-2", "gw-3"):
            desk.report(watcher_id)
        deleted = desk.instance.providers.DeleteProvider(
            provider_pb.DeleteProviderRequest(name=made.name)
        ).revision
        assert deleted == desk.head().revision
        desk.report("gw-1")
        desk.report("gw-2")
        got = desk.wait(deleted)
        assert (got.reached, got.router_count, got.applied_count) == (False, 3, 2)
        assert [one.watcher_id for one in got.lagging] == ["gw-3"]
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(desk.wait, deleted, 30)
            desk.report("gw-3")
            got = waiting.result()
        assert (got.reached, got.router_count, got.applied_count) == (True, 3, 3)
        assert not got.lagging

    def test_a_router_that_stops_is_waited_for_no_longer(self, desk: Desk) -> None:
        desk.report("gw-1", 0)
        desk.api.create()
        assert not desk.wait().reached
        desk.report("gw-1", stopping=True)
        assert desk.wait().reached

    def test_without_routers_there_is_nothing_to_wait_for(self, desk: Desk) -> None:
        desk.api.create()
        got = desk.wait(0, 30)
        assert (got.reached, got.router_count, got.revision) == (True, 0, desk.head().revision)

    def test_a_revision_that_is_not_there_yet_is_refused(self, desk: Desk) -> None:
        got = refused(lambda: desk.wait(10_000))
        assert (got.code, got.reason) == (grpc.StatusCode.OUT_OF_RANGE, "REVISION_AHEAD")
        assert got.metadata == {"current_revision": str(desk.head().revision)}

    def test_a_short_deadline_gets_an_answer_too(self, desk: Desk) -> None:
        desk.report("gw-1", 0)
        desk.api.create()
        timeout = Duration(seconds=50)
        got = desk.system.AwaitAppliedRevision(pb.AwaitAppliedRevisionRequest(timeout=timeout), timeout=2)
        assert not got.reached

    @pytest.mark.parametrize("timeout", [Duration(seconds=56), Duration(seconds=-1)])
    def test_refuses(self, desk: Desk, timeout: Duration) -> None:
        request = pb.AwaitAppliedRevisionRequest(timeout=timeout)
        assert refused(lambda: desk.system.AwaitAppliedRevision(request)).fields == ("timeout",)


class TestRestarts:
    @pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
    def test_a_router_that_is_cut_off_is_still_waited_for(self, desk: Desk, killed: bool) -> None:
        """Whatever was heard more than some seconds before a crash, and everything before a stop."""
        desk.report("cut-off")
        if killed:
            wait_until(lambda: self._kept(desk) == ["cut-off"], what="what the router said is stored")
            desk.instance.kill_service()
        else:
            desk.instance.stop_service()
        desk.instance.start_service()
        desk.api.create()
        got = desk.wait()
        assert (got.reached, got.router_count) == (False, 1)
        assert (got.lagging[0].watcher_id, got.lagging[0].watching) == ("cut-off", False)
        assert got.lagging[0].forget_time.seconds > time.time()

    def test_a_router_of_another_replica_is_waited_for(self, postgres_server: PostgresServer) -> None:
        with two_registries(postgres_server) as (first, second):
            here, there = Desk(first), Desk(second)
            stream = there.watch("elsewhere")
            wait_until(lambda: here.listed() == ["elsewhere"], what="the other replica hears of it")
            here.api.create()
            got = here.wait()
            assert (got.reached, [one.watcher_id for one in got.lagging]) == (False, ["elsewhere"])
            revision = here.head().revision
            wait_until(lambda: there.head().revision == revision, what="the other replica follows")
            there.report("elsewhere")
            assert here.wait(revision, seconds=50).reached
            stream.cancel()
            there.report("elsewhere", stopping=True)
            wait_until(lambda: here.listed() == [], what="the other replica hears that it stopped")

    @staticmethod
    def _kept(desk: Desk) -> list[str]:
        with closing(sqlite3.connect(desk.instance.home / "registry.db")) as sql:
            return [row[0] for row in sql.execute("SELECT watcher_id FROM routers")]
