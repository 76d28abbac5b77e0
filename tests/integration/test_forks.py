"""A database that lost commits takes the place of the one two registries serve: all tables end the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from codevector.providers.v1 import routing_service_pb2 as pb
from codevector.providers.v1 import system_service_pb2, system_service_pb2_grpc
from codevector_providers.router import Router

from tests.support.servers.api import Api, refused
from tests.support.servers.harness import Instance, wait_until
from tests.support.servers.postgresql import PostgresServer
from tests.support.servers.registry_pairs import two_registries
from tests.support.servers.watching import watching

Reason = pb.SnapshotChunk.Reason


@pytest.fixture
def pair(postgres_server: PostgresServer) -> Iterator[tuple[Instance, Instance]]:
    with two_registries(postgres_server) as made:
        yield made


def database_of(made: Instance) -> str:
    return made.environment["CODEVECTOR_DATABASE_URL"].partition("?")[0].rpartition("/")[2]


def eventually(work: Callable[[], Any]) -> Any:
    """What a write comes to once the registry has found its database again."""
    found: list[Any] = []

    def tried() -> bool:
        try:
            found.append(work())
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        return bool(found)

    wait_until(tried, seconds=20, what="the registry finds its database again")
    return found[0]


def table(made: Instance) -> pb.RoutingSnapshot:
    return made.routing.GetRoutingSnapshot(pb.GetRoutingSnapshotRequest(), timeout=10).snapshot


@pytest.mark.parametrize("writes_after", [1, 3, 6], ids=["fewer", "as many", "more"])
def test_every_table_is_the_databases(
    pair: tuple[Instance, Instance], postgres_server: PostgresServer, writes_after: int
) -> None:
    first, second = pair
    api = Api(first)
    kept = api.create().name
    copy = postgres_server.copy(database_of(first))
    lost = [eventually(api.create) for _ in range(3)]
    token = api.trailers["x-revision-token"]
    wait_until(lambda: table(second).revision == lost[-1].revision, what="the second replica follows")
    with (
        Router(second.address, kms_socket=second.router_socket, watcher_id="gw-1") as router,
        watching(second) as watch,
    ):
        watch.snapshot()
        assert router.wait_for(lost[-1].revision, seconds=20)

        away = postgres_server.replace(database_of(first), copy)
        made = [eventually(api.create).name for _ in range(writes_after)]
        wait_until(lambda: table(first) == table(second), seconds=20, what="both tables are the same")
        assert {one.name for one in table(first).providers} == {kept, *made}

        [reason] = [chunk.reason for chunk in watch.snapshot() if chunk.first]
        assert reason in (Reason.REASON_STORE_CHANGED, Reason.REASON_REVISION_AHEAD)
        wait_until(
            lambda: router.table is not None and set(router.table.providers) == {kept, *made},
            seconds=20,
            what="the router has the database's table",
        )
        assert second.channel is not None
        system = system_service_pb2_grpc.SystemServiceStub(second.channel)
        info = system.GetSystemInfo(system_service_pb2.GetSystemInfoRequest(), timeout=10)
        assert info.history_break_count >= 1
        assert info.last_history_break.lost_revision >= lost[-1].revision
        request = system_service_pb2.AwaitAppliedRevisionRequest(token=token)
        refusal = refused(lambda: system.AwaitAppliedRevision(request, timeout=10))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.OUT_OF_RANGE, "STORE_CHANGED") or (
            refusal.reason == "REVISION_AHEAD"
        )
    postgres_server.drop_database(away)
