"""A database that lost commits takes the place of the one two registries serve: all tables end the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from codevector.providers.v1 import routing_service_pb2 as pb
from codevector.providers.v1 import system_service_pb2, system_service_pb2_grpc
from codevector_providers.router import Router

from tests.support.servers.api import Api, refused
from tests.support.servers.harness import Instance, wait_until
from tests.support.servers.postgres_cluster import Cluster, running_cluster
from tests.support.servers.postgresql import PostgresServer
from tests.support.servers.registry_pairs import two_registries
from tests.support.servers.watching import watching

Reason = pb.SnapshotChunk.Reason


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running_cluster() as made:
        yield made


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

    wait_until(tried, seconds=60, what="the registry finds its database again")
    return found[0]


def table(made: Instance) -> pb.RoutingSnapshot:
    return made.routing.GetRoutingSnapshot(pb.GetRoutingSnapshotRequest(), timeout=60).snapshot


def every_table_ends_the_same(
    pair: tuple[Instance, Instance],
    remember: Callable[[], None],
    lose: Callable[[], None],
    *,
    writes_after: int = 1,
) -> None:
    """What is written between ``remember`` and ``lose`` is gone, and everybody comes to know it."""
    first, second = pair
    api = Api(first)
    kept = api.create().name
    remember()
    lost = [eventually(api.create) for _ in range(3)]
    wait_until(lambda: table(first).revision == lost[-1].revision, what="the table has what is written")
    token = table(first).token
    wait_until(lambda: table(second).revision == lost[-1].revision, what="the second replica follows")
    with (
        Router(second.address, kms_socket=second.router_socket, watcher_id="gw-1") as router,
        watching(second) as watch,
    ):
        watch.snapshot()
        assert router.wait_for(lost[-1].revision, seconds=60)

        lose()
        made = [eventually(api.create).name for _ in range(writes_after)]
        wait_until(lambda: table(first) == table(second), what="both tables are the same")
        assert {one.name for one in table(first).providers} == {kept, *made}

        [reason] = [chunk.reason for chunk in watch.snapshot() if chunk.first]
        assert reason in (Reason.REASON_STORE_CHANGED, Reason.REASON_REVISION_AHEAD)
        wait_until(
            lambda: router.table is not None and set(router.table.providers) == {kept, *made},
            what="the router has the database's table",
        )
        assert second.channel is not None
        system = system_service_pb2_grpc.SystemServiceStub(second.channel)
        info = system.GetSystemInfo(system_service_pb2.GetSystemInfoRequest(), timeout=60)
        assert info.history_break_count >= 1
        assert info.last_history_break.lost_revision >= lost[-1].revision
        request = system_service_pb2.AwaitAppliedRevisionRequest(token=token)
        refusal = refused(lambda: system.AwaitAppliedRevision(request, timeout=60))
        assert refusal.code is grpc.StatusCode.OUT_OF_RANGE
        assert refusal.reason in ("STORE_CHANGED", "REVISION_AHEAD")


@pytest.mark.parametrize("writes_after", [1, 3, 6], ids=["fewer", "as many", "more"])
def test_a_copy_in_the_place_of_the_database(
    pair: tuple[Instance, Instance], postgres_server: PostgresServer, writes_after: int
) -> None:
    database, copies, away = database_of(pair[0]), list[str](), list[str]()
    every_table_ends_the_same(
        pair,
        lambda: copies.append(postgres_server.copy(database)),
        lambda: away.append(postgres_server.replace(database, copies[0])),
        writes_after=writes_after,
    )
    postgres_server.drop_database(away[0])


def test_a_dump_in_the_place_of_the_database(cluster: Cluster) -> None:
    dumps: list[Path] = []
    with two_registries(cluster) as pair:
        every_table_ends_the_same(
            pair, lambda: dumps.append(cluster.dump()), lambda: cluster.restore(dumps[0])
        )


def test_a_standby_that_lost_commits_is_promoted(cluster: Cluster) -> None:
    def remember() -> None:
        cluster.start_standby()
        cluster.cut_off()

    def lose() -> None:
        cluster.kill("a")
        cluster.promote()

    with two_registries(cluster) as pair:
        every_table_ends_the_same(pair, remember, lose)


def test_a_recovery_to_a_point_in_time(cluster: Cluster) -> None:
    backups: list[Path] = []

    def remember() -> None:
        backups.append(cluster.copy("backup"))
        cluster.ask("a", "SELECT pg_create_restore_point('before')")

    with two_registries(cluster) as pair:
        every_table_ends_the_same(pair, remember, lambda: cluster.recover(backups[0], until="before"))


def test_a_standby_that_has_everything_changes_nothing(cluster: Cluster) -> None:
    """The history is the same: no break, no snapshot, and a write's token still holds."""
    with two_registries(cluster) as (first, second):
        api = Api(first)
        cluster.start_standby()
        cluster.confirm_writes()
        kept = [api.create().name for _ in range(3)]
        wait_until(lambda: len(table(second).providers) == 3, what="the second replica follows")
        with watching(second) as watch:
            watch.snapshot()
            cluster.kill("a")
            cluster.promote()
            made = eventually(api.create)
            assert {one.name for one in table(first).providers} == {*kept, made.name}
            assert watch.change_set().revision == made.revision
        assert second.channel is not None
        system = system_service_pb2_grpc.SystemServiceStub(second.channel)
        info = system.GetSystemInfo(system_service_pb2.GetSystemInfoRequest(), timeout=60)
        assert info.history_break_count == 0
