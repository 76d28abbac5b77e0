"""How long it takes until every table is the database's again after it went back."""

from __future__ import annotations

import sqlite3
import statistics
from collections.abc import Callable, Sequence
from contextlib import closing

from tests.support.servers.api import Api
from tests.support.servers.envoy import balanced
from tests.support.servers.harness import running, wait_until
from tests.support.servers.openbao import OpenBao
from tests.support.servers.postgresql import PostgresServer
from tests.support.servers.replicas import three_registries
from tests.support.servers.watching import connect
from tests.support.storms.replica_storm import Acknowledged, routing, until_all_agree, write

ROUNDS = 20
LOST = 3


def figures(what: str, seconds: Sequence[float]) -> str:
    return f"{what}: p50 {statistics.median(seconds):.2f} s, max {max(seconds):.2f} s of {len(seconds)}"


def written(address: str, count: int) -> list[str]:
    """Names of providers that were created; the registries may have to find their database first."""
    made: list[Acknowledged] = []

    def enough() -> bool:
        one = write(channel)
        if one is not None:
            made.append(one)
        return len(made) == count

    with connect(address) as channel:
        wait_until(enough, what="writes are acknowledged")
    return [one.name for one in made]


def test_another_database_under_three_registries(
    postgres_server: PostgresServer,
    openbao: OpenBao,
    rounds: Callable[[int], int],
    tell: Callable[[str], None],
) -> None:
    seconds, kept = [], set[str]()
    with (
        three_registries(postgres_server, openbao) as registries,
        balanced(registries) as balancer,
        routing(balancer, count=3) as routers,
    ):
        url = registries[0].environment["CODEVECTOR_DATABASE_URL"]
        database = url.partition("?")[0].rpartition("/")[2]
        for _ in range(rounds(ROUNDS)):
            kept |= set(written(balancer.address, 1))
            copy = postgres_server.copy(database)
            lost = written(balancer.address, LOST)
            until_all_agree(registries, routers, least={*kept, *lost})
            away = postgres_server.replace(database, copy)
            seconds.append(until_all_agree(registries, routers, least=kept, without=lost))
            postgres_server.drop_database(away)
    tell(figures("a fork under three registries and three routers", seconds))


def test_a_restore_of_one_registry(rounds: Callable[[int], int], tell: Callable[[str], None]) -> None:
    """From when it serves again; restoring and starting are not counted."""
    seconds, kept = [], set[str]()
    with running() as made, routing(made, count=3) as routers:
        for number in range(rounds(ROUNDS)):
            kept.add(Api(made).create().name)
            backup = made.home / f"backup-{number}"
            with closing(sqlite3.connect(made.home / "registry.db")) as connection:
                connection.execute("VACUUM INTO ?", (str(backup),))
            lost = {Api(made).create().name for _ in range(LOST)}
            until_all_agree([made], routers, least=kept | lost)
            made.stop_service()
            made.execute("service", "restore", str(backup))
            made.start_service()
            seconds.append(until_all_agree([made], routers, least=kept, without=lost))
    tell(figures("a restore of one registry with three routers", seconds))
