"""What a balancer sees in the health of each service: the database goes, the registry stops."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import timedelta

import grpc
import pytest
from codevector.providers.v1 import provider_service_pb2, routing_service_pb2
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.servers.harness import Instance, running, wait_until
from tests.support.servers.postgresql import PostgresServer

NAMES = (
    "",
    "kms.wrap",
    *(f"codevector.providers.v1.{name}Service" for name in ("Routing", "Provider", "Model", "System")),
)
UNTOUCHED = NAMES[:3]
NEED_THE_DATABASE = NAMES[3:]
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
CALL_SECONDS = 60
AGED_SECONDS = 2.0
"""Less than a database is away before that is said, and more than two looks at it are apart."""


def health(made: Instance) -> dict[str, int]:
    assert made.channel is not None
    check = health_pb2_grpc.HealthStub(made.channel).Check  # type: ignore[attr-defined]
    return {
        name: int(check(health_pb2.HealthCheckRequest(service=name), timeout=CALL_SECONDS).status)
        for name in NAMES
    }


def is_well(made: Instance) -> bool:
    try:
        return set(health(made).values()) == {SERVING}
    except grpc.RpcError:  # NOT_FOUND: how the sidecar is, is not known yet
        return False


def logged(made: Instance) -> list[dict[str, object]]:
    assert made.service is not None
    lines = made.service.stderr.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def causes(made: Instance) -> set[tuple[object, object]]:
    """Why the database was away, as the log has it."""
    return {
        (line.get("cause"), line.get("sqlstate")) for line in logged(made) if line["event"] == "store_away"
    }


def table_ages(made: Instance) -> Iterator[float]:
    """What a router is told of the table's age, in seconds, once a second."""
    request = routing_service_pb2.WatchRoutingRequest(bookmark_interval=Duration(seconds=1))
    watch = made.routing.WatchRouting(request, timeout=CALL_SECONDS)
    for message in watch:
        if message.WhichOneof("event") == "bookmark":
            age: timedelta = message.bookmark.table_age.ToTimedelta()
            yield age.total_seconds()


class TestDatabase:
    @pytest.fixture
    def database(self, postgres_server: PostgresServer) -> Iterator[str]:
        name = postgres_server.create_database()
        yield name
        postgres_server.drop_database(name)

    def test_that_is_away_takes_along_what_needs_it_and_nothing_else(
        self, postgres_server: PostgresServer, database: str
    ) -> None:
        with running({"CODEVECTOR_DATABASE_URL": postgres_server.url(database)}) as made:
            wait_until(lambda: is_well(made), what="all is well")
            postgres_server.close_to_all(database)
            wait_until(
                lambda: {health(made)[name] for name in NEED_THE_DATABASE} == {NOT_SERVING},
                what="what needs the database says so",
            )
            assert {health(made)[name] for name in UNTOUCHED} == {SERVING}
            assert next(age for age in table_ages(made) if age > AGED_SECONDS)
            wait_until(lambda: ("NO_DATABASE", "55000") in causes(made), what="the log says why")
            made.routing.GetRoutingSnapshot(
                routing_service_pb2.GetRoutingSnapshotRequest(), timeout=CALL_SECONDS
            )
            postgres_server.open_to_all(database)
            wait_until(lambda: is_well(made), what="all is well again")
            assert next(age for age in table_ages(made) if age < AGED_SECONDS) >= 0

            # A demoted server: everything can be read, and nothing written.
            name = f'"{database}"'
            postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
            postgres_server.disconnect_all(database)
            wait_until(
                lambda: {health(made)[name] for name in NEED_THE_DATABASE} == {NOT_SERVING},
                what="what cannot be written says so",
            )
            wait_until(lambda: ("READ_ONLY", "25006") in causes(made), what="the log says why")
            postgres_server.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
            wait_until(lambda: is_well(made), what="it has found a server that can be written")
            assert not [line for line in logged(made) if line["event"] == "kms_away" or "stack" in line]


class TestStop:
    def test_is_seen_before_calls_are_refused(self) -> None:
        with running({"CODEVECTOR_DRAIN_SECONDS": "60"}) as made:
            wait_until(lambda: is_well(made), what="all is well")
            assert made.service is not None
            made.service.child.send_signal(signal.SIGTERM)
            wait_until(lambda: set(health(made).values()) == {NOT_SERVING}, what="it says that it stops")
            # 60 s from the signal: whoever asks after a pause of that length is not answered any more.
            made.providers.ListProviders(provider_service_pb2.ListProvidersRequest(), timeout=CALL_SECONDS)
            assert made.service.child.poll() is None
