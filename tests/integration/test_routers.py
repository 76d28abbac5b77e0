"""Who has which revision, over restarts of the registry and beside a second one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.servers.desk import Desk
from tests.support.servers.harness import Instance, running, wait_until
from tests.support.servers.postgresql import PostgresServer
from tests.support.servers.registry_pairs import two_registries


@pytest.fixture
def instance() -> Iterator[Instance]:
    """An installation of its own: it is restarted."""
    with running() as made:
        yield made


class TestRestarts:
    @pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
    def test_a_router_that_is_cut_off_is_still_waited_for(self, instance: Instance, killed: bool) -> None:
        """Whatever was heard more than some seconds before a crash, and everything before a stop."""
        desk = Desk(instance)
        desk.report("cut-off")
        if killed:
            wait_until(lambda: self._kept(instance) == ["cut-off"], what="what the router said is stored")
            instance.kill_service()
        else:
            instance.stop_service()
        instance.start_service()
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
    def _kept(instance: Instance) -> list[str]:
        with closing(sqlite3.connect(instance.home / "registry.db")) as sql:
            return [row[0] for row in sql.execute("SELECT watcher_id FROM routers")]
