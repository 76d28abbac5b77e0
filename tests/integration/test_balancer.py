"""The shipped configuration of Envoy: a registry that alone lost its database gets nothing it cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import pytest
from codevector.providers.v1 import provider_pb2, routing_service_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from tests.support.servers.envoy import Balancer, balanced
from tests.support.servers.harness import Instance, instance, wait_until
from tests.support.servers.postgresql import PostgresServer

ROLES = ("first_replica", "second_replica")
CALLS = 20
CALL_SECONDS = 60


@pytest.fixture
def registries(postgres_server: PostgresServer) -> Iterator[list[Instance]]:
    """Two on one database, each with an account of its own, which can be locked out."""
    database = postgres_server.create_database()
    with ExitStack() as stack:
        for role in ROLES:
            postgres_server.execute(f"CREATE ROLE {role} LOGIN SUPERUSER")
            stack.callback(postgres_server.execute, f"DROP ROLE {role}")
        stack.callback(postgres_server.drop_database, database)
        made = []
        for role in ROLES:
            url = postgres_server.url(database).replace("postgres@", f"{role}@")
            one = stack.enter_context(instance({"CODEVECTOR_DATABASE_URL": url}))
            one.start_kms()
            one.start_service()
            made.append(one)
        yield made


def reads(balancer: Balancer) -> bool:
    try:
        balancer.providers.ListProviders(pb.ListProvidersRequest(), timeout=CALL_SECONDS)
    except grpc.RpcError:
        return False
    return True


def calls(balancer: Balancer, name: str) -> None:
    """Writes, reads and routing snapshots, none of which is retried.

    Envoy's page says that a registry is well or not before all of Envoy knows it: some reads come first.
    """
    wait_until(lambda: all(reads(balancer) for _ in range(10)), what="Envoy goes by what it says")
    for number in range(CALLS):
        provider = provider_pb2.Provider(
            display_name=f"{name} {number}", kind=provider_pb2.PROVIDER_KIND_OPENAI
        )
        created = balancer.providers.CreateProvider(
            pb.CreateProviderRequest(provider=provider), timeout=CALL_SECONDS
        )
        balancer.providers.GetProvider(pb.GetProviderRequest(name=created.name), timeout=CALL_SECONDS)
        snapshot(balancer)


def snapshot(balancer: Balancer) -> int:
    request = routing_service_pb2.GetRoutingSnapshotRequest()
    return balancer.routing.GetRoutingSnapshot(request, timeout=CALL_SECONDS).snapshot.revision


def test_a_registry_without_its_database(registries: list[Instance], postgres_server: PostgresServer) -> None:
    with balanced(registries) as balancer:
        balancer.connect()
        calls(balancer, "all is well")

        lock_out(postgres_server, ROLES[1])
        wait_until(lambda: balancer.healthy() == 1, what="Envoy leaves the one without its database")
        assert balancer.healthy("routing") == 2
        calls(balancer, "one is left")

        lock_out(postgres_server, ROLES[0])
        wait_until(lambda: balancer.healthy() == 0, what="nobody has a database")
        with pytest.raises(grpc.RpcError) as refused:
            balancer.providers.ListProviders(pb.ListProvidersRequest(), timeout=CALL_SECONDS)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert snapshot(balancer) > 0, "each has the table that it had last"

        for role in ROLES:
            postgres_server.execute(f"ALTER ROLE {role} LOGIN")
        wait_until(lambda: balancer.healthy() == 2, what="all have their database again")
        calls(balancer, "all is well again")
        balancer.disconnect()


def lock_out(server: PostgresServer, role: str) -> None:
    server.execute(f"ALTER ROLE {role} NOLOGIN")
    server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'")  # noqa: S608
