"""Who has which revision, and waiting until all have one: real reports and real watches."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import grpc
import pytest
from codevector.providers.v1 import provider_service_pb2 as provider_pb
from codevector.providers.v1 import routing_service_pb2 as routing
from codevector.providers.v1 import system_service_pb2 as pb
from google.protobuf.duration_pb2 import Duration

from service.readmodel import live
from tests.support.servers.api import before_the_deadline, refused
from tests.support.servers.desk import Desk
from tests.support.servers.harness import wait_until
from tests.support.servers.wired import wired
from tests.support.values.router_table import token_with


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A registry of its own: other tests' watchers would count here."""
    with wired() as made:
        yield Desk(made)


class TestListing:
    def test_shows_who_watches_and_who_has_what(self, desk: Desk) -> None:
        desk.api.create()
        stream = desk.watch("gw-1")
        desk.report("gw-1")
        desk.meet("gw-2", "")
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
        desk.meet("gw-a")
        desk.meet("gw-b", "")
        desk.watch("gw-c")
        desk.report("gw-c")
        got = desk.list(text)
        assert ([one.watcher_id for one in got.routers], got.total_size) == (expected, len(expected))

    def test_pages(self, desk: Desk) -> None:
        for number in range(5):
            desk.watch(f"gw-{number}")
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
        assert refused(lambda: desk.registry.system.ListRouters(request_)).reason == reason


class TestReporting:
    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            (routing.ReportAppliedRevisionRequest(), "watcher_id"),
            (routing.ReportAppliedRevisionRequest(watcher_id="two words"), "watcher_id"),
            (routing.ReportAppliedRevisionRequest(watcher_id="x" * 129), "watcher_id"),
            (routing.ReportAppliedRevisionRequest(watcher_id="x", revision=1), "store_id"),
            (routing.ReportAppliedRevisionRequest(watcher_id="x", revision=-1), "revision"),
            (routing.ReportAppliedRevisionRequest(watcher_id="x", token="not a token"), "token"),
        ],
    )
    def test_refuses(self, desk: Desk, request_: routing.ReportAppliedRevisionRequest, field: str) -> None:
        got = refused(lambda: desk.registry.routing.ReportAppliedRevision(request_))
        assert (got.code, got.fields[0]) == (grpc.StatusCode.INVALID_ARGUMENT, field)
        assert desk.list().total_size == 0


class TestWaiting:
    def test_a_deletion_is_waited_for_until_the_last_router_has_it(self, desk: Desk) -> None:
        made = desk.api.create()
        for watcher_id in ("gw-1", "gw-2", "gw-3"):
            desk.meet(watcher_id)
        deleted = desk.registry.providers.DeleteProvider(
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
        desk.meet("gw-1", "")
        desk.api.create()
        assert not desk.wait().reached
        desk.report("gw-1", stopping=True)
        assert desk.wait().reached

    def test_without_routers_there_is_nothing_to_wait_for(self, desk: Desk) -> None:
        desk.api.create()
        got = desk.wait(0, 30)
        assert (got.reached, got.router_count, got.revision) == (True, 0, desk.head().revision)

    def test_a_token_stands_for_its_write(self, desk: Desk) -> None:
        desk.api.create()
        token = desk.api.trailers["x-revision-token"]
        desk.meet("gw-1")
        got = desk.wait(token=token)
        assert (got.reached, got.revision) == (True, desk.head().revision)

    @pytest.mark.parametrize(
        ("parts", "reason"),
        [
            pytest.param({"content_id": uuid4()}, "STORE_CHANGED", id="a lost write"),
            pytest.param({"store_id": uuid4()}, "STORE_CHANGED", id="another store"),
            pytest.param({"revision": 2**62}, "REVISION_AHEAD", id="not reached"),
        ],
    )
    def test_a_write_that_is_not_in_this_history_is_refused(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch, parts: dict[str, object], reason: str
    ) -> None:
        desk.api.create()
        token = token_with(desk.api.trailers["x-revision-token"], **parts)
        monkeypatch.setattr(live, "REACH_SECONDS", 0.05)
        got = refused(lambda: desk.wait(token=token))
        assert (got.code, got.reason) == (grpc.StatusCode.OUT_OF_RANGE, reason)

    def test_a_table_of_another_history_is_not_applied(self, desk: Desk) -> None:
        desk.api.create()
        desk.meet("gw-1", token_with(desk.head().token, content_id=uuid4()))
        assert desk.list().routers[0].applied_revision == 0
        assert not desk.wait().reached

    def test_a_revision_that_is_not_there_yet_is_refused(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live, "REACH_SECONDS", 0.05)
        got = refused(lambda: desk.wait(10_000))
        assert (got.code, got.reason) == (grpc.StatusCode.OUT_OF_RANGE, "REVISION_AHEAD")
        assert got.metadata == {"current_revision": str(desk.head().revision)}

    def test_a_short_deadline_gets_an_answer_too(self, desk: Desk) -> None:
        desk.watch("gw-1")
        desk.api.create()
        request = pb.AwaitAppliedRevisionRequest(timeout=Duration(seconds=50))
        got = before_the_deadline(lambda: desk.registry.system.AwaitAppliedRevision(request, timeout=2))
        assert not got.reached

    @pytest.mark.parametrize("timeout", [Duration(seconds=56), Duration(seconds=-1)])
    def test_refuses(self, desk: Desk, timeout: Duration) -> None:
        request = pb.AwaitAppliedRevisionRequest(timeout=timeout)
        assert refused(lambda: desk.registry.system.AwaitAppliedRevision(request)).fields == ("timeout",)
