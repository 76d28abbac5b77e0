"""Who has which revision, over restarts of the registry and beside a second one."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest

from tests.support.servers.desk import Desk
from tests.support.servers.grpcurl import Grpcurl
from tests.support.servers.harness import Instance, running, wait_until
from tests.support.servers.postgresql import PostgresServer, end_listening
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
        desk.meet("cut-off")
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

    @staticmethod
    def _kept(instance: Instance) -> list[str]:
        with closing(sqlite3.connect(instance.home / "registry.db")) as sql:
            return [row[0] for row in sql.execute("SELECT watcher_id FROM routers")]


class TestReplicas:
    """Two registries on one PostgreSQL."""

    @pytest.fixture
    def desks(self, postgres_server: PostgresServer) -> Iterator[tuple[Desk, Desk]]:
        with two_registries(postgres_server) as (first, second):
            yield Desk(first), Desk(second)

    def test_a_router_of_another_replica_is_waited_for(self, desks: tuple[Desk, Desk]) -> None:
        """At once: an answer is at least as new as its call."""
        here, there = desks
        stream = there.watch("elsewhere")
        here.api.create()
        assert not here.wait().reached
        wait_until(lambda: [one.watcher_id for one in here.wait().lagging] == ["elsewhere"], what="who it is")
        revision = here.head().revision
        wait_until(lambda: there.head().revision == revision, what="the other replica follows")
        there.report("elsewhere")
        assert here.wait(revision, seconds=50).reached
        stream.cancel()
        wait_until(lambda: not there.list().routers[0].watching, what="the watch ends")
        there.report("elsewhere", stopping=True)
        assert here.wait(seconds=50).router_count == 0

    def test_a_read_at_one_shows_what_was_written_at_the_other(self, desks: tuple[Desk, Desk]) -> None:
        """By the token of the write, with grpcurl, and without waiting for anything else."""
        here, there = desks
        for number in range(5):
            writer, reader = (here, there) if number % 2 else (there, here)
            name = writer.api.create().name
            got = Grpcurl(reader.registry.address).call(
                "codevector.providers.v1.RoutingService/GetRoutingSnapshot",
                header=f"x-min-revision: {writer.api.trailers['x-revision-token']}",
            )
            assert name in [one["name"] for one in got["snapshot"]["providers"]]

    def test_lost_notices_cost_time_alone(self, desks: tuple[Desk, Desk]) -> None:
        """Whatever one replica tells the other while the connections for it are ended again and again."""
        here, there = desks
        there.watch("elsewhere")
        url = _instance(here).environment["CODEVECTOR_DATABASE_URL"]
        for _ in range(3):
            wait_until(lambda: end_listening(url) > 0, what="they listen, until they are cut off")
            self._write_and_wait(here, there)

    def test_replicas_that_tell_each_other_nothing(self, postgres_server: PostgresServer) -> None:
        """As behind a pooler, through which nothing is heard."""
        with two_registries(postgres_server, notify=False) as (first, second):
            here, there = Desk(first), Desk(second)
            there.watch("elsewhere")
            self._write_and_wait(here, there)
            assert not end_listening(first.environment["CODEVECTOR_DATABASE_URL"])

    @staticmethod
    def _write_and_wait(here: Desk, there: Desk) -> None:
        """Write at one, have the router of the other apply that, and ask the first whether it has."""
        here.api.create()
        token = here.api.trailers["x-revision-token"]
        wait_until(lambda: there.head().token == token, what="the other replica has it")
        there.report("elsewhere", token)
        assert here.wait(token=token, seconds=50).reached

    def test_reports_may_go_to_any_replica(self, desks: tuple[Desk, Desk]) -> None:
        """As a balancer spreads them: the watch is on one, each report and the stop on the next."""
        here, there = desks
        sessions = [bytes([number]) * 16 for number in range(4)]
        for number, session in enumerate(sessions):
            desks[number % 2].watch(f"gw-{number}", session=session)
        for turn in range(3):
            here.api.create()
            token = here.api.trailers["x-revision-token"]
            for number, session in enumerate(sessions):
                desks[(number + turn) % 2].report(f"gw-{number}", token, session=session)
            for desk in desks:
                got = desk.wait(token=token, seconds=50)
                assert (got.reached, got.router_count, got.applied_count) == (True, 4, 4)
        for number, session in enumerate(sessions):
            desks[(number + 1) % 2].report(f"gw-{number}", session=session, stopping=True)
        for desk in desks:
            assert desk.wait(seconds=50).reached
        wait_until(lambda: not [*here.listed(), *there.listed()], what="nobody counts, though all watch")

    def test_a_rolling_restart_with_a_fixed_name(self, desks: tuple[Desk, Desk]) -> None:
        """The new process watches, then the old one stops: the new one is waited for."""
        here, there = desks
        old, new = b"o" * 16, b"n" * 16
        here.watch("gateway-0", session=old)
        here.report("gateway-0", session=old)
        there.watch("gateway-0", session=new)
        here.api.create()
        token = here.api.trailers["x-revision-token"]
        here.report("gateway-0", session=old, stopping=True)
        for desk in desks:
            assert not desk.wait(token=token).reached
        for desk in desks:
            wait_until(partial(self._lags, desk, token, new), what="the new process is waited for")
        there.report("gateway-0", token, session=new)
        assert here.wait(token=token, seconds=50).reached

    def test_a_replica_that_was_killed_is_not_waited_for_in_the_end(self, desks: tuple[Desk, Desk]) -> None:
        here, there = desks
        there.watch("gateway-0", session=b"0" * 16)
        here.api.create()
        token = here.api.trailers["x-revision-token"]
        here.report("gateway-0", token, session=b"0" * 16)
        assert here.wait(token=token, seconds=50).reached
        _instance(there).kill_service()
        assert here.wait(token=token, seconds=50).reached
        [router] = here.list().routers
        assert (router.watching, router.forget_time.seconds > time.time()) == (False, True)

    @staticmethod
    def _lags(desk: Desk, token: str, session: bytes) -> bool:
        return session.hex()[:8] in [one.session_id for one in desk.wait(token=token).lagging]

    def test_a_paused_replica_with_an_older_watch_is_never_passed_over(
        self, desks: tuple[Desk, Desk]
    ) -> None:
        here, there = desks
        there.watch("gateway-0", session=b"0" * 16)
        there.report("gateway-0", session=b"0" * 16)
        service = _instance(there).service
        assert service is not None
        service.child.send_signal(signal.SIGSTOP)
        try:
            here.api.create()
            token = here.api.trailers["x-revision-token"]
            got = here.wait(token=token, seconds=15)
            assert (got.reached, [one.watcher_id for one in got.lagging]) == (False, ["gateway-0"])
        finally:
            service.child.send_signal(signal.SIGCONT)
        there.report("gateway-0", token, session=b"0" * 16)
        assert here.wait(token=token, seconds=50).reached
        wait_until(lambda: here.list().routers[0].watching, what="the replica counts as alive again")

    def test_a_replica_that_stops_leaves_at_once(self, desks: tuple[Desk, Desk]) -> None:
        here, there = desks
        there.watch("gateway-0", session=b"0" * 16)
        there.report("gateway-0", session=b"0" * 16)
        _instance(there).stop_service()
        got = here.wait(seconds=50)
        assert (got.reached, got.router_count, list(got.silent_replicas)) == (True, 1, [])
        assert not got.lagging


def _instance(desk: Desk) -> Instance:
    assert isinstance(desk.registry, Instance)
    return desk.registry
