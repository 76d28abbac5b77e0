"""Two registries on one PostgreSQL and one sidecar, as replicas behind a balancer are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.support.servers.harness import Instance, running
from tests.support.servers.ports import free_port
from tests.support.servers.postgres_cluster import Cluster
from tests.support.servers.postgresql import PostgresServer


@contextmanager
def two_registries(
    server: PostgresServer | Cluster, *, notify: bool = True
) -> Iterator[tuple[Instance, Instance]]:
    """The second has nothing but its port and a home to itself.

    Without ``notify`` they do as behind PgBouncer, and tell each other nothing.
    """
    database = server.create_database()
    with ExitStack() as stack:
        stack.callback(server.drop_database, database)
        first = stack.enter_context(
            running(
                {
                    "CODEVECTOR_DATABASE_URL": server.url(database),
                    "CODEVECTOR_DATABASE_PGBOUNCER": str(int(not notify)),
                }
            )
        )
        home = first.home / "second"
        home.mkdir(mode=0o700)
        port = free_port()
        second = Instance(
            port,
            home,
            {
                **first.environment,
                "CODEVECTOR_HOME": str(home),
                "CODEVECTOR_GRPC_PORT": str(port),
                "CODEVECTOR_KMS_REGISTRY_SOCKET": str(first.home / "kms" / "registry.sock"),
                "CODEVECTOR_REGISTRY_SECRET_FILE": str(first.home / "registry.secret"),
            },
        )
        stack.callback(second.close)
        second.start_service()
        yield first, second
