"""Three registries on one PostgreSQL, each with a sidecar of its own, the sidecars on one OpenBao."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.servers.harness import Instance, Process, instance, wait_until
from tests.support.servers.openbao import OpenBao
from tests.support.servers.postgres_cluster import Cluster
from tests.support.servers.postgresql import PostgresServer

COUNT = 3


@contextmanager
def three_registries(
    database: PostgresServer | Cluster, openbao: OpenBao, extra: Sequence[dict[str, str]] = ()
) -> Iterator[list[Instance]]:
    """As three hosts are: they share the database, the key in OpenBao, the deployment and the secret.

    ``extra`` is added to each one's environment.
    """
    name = database.create_database()
    key = openbao.transit_key()
    role = openbao.app_role(openbao.policy("sidecar", key))
    shared = {
        "CODEVECTOR_DATABASE_URL": database.url(name),
        "CODEVECTOR_KEYRING": f"vault-transit:{key.mount}/{key.key}",
        "VAULT_ADDR": openbao.address,
        "VAULT_ROLE_ID": role.role_id,
        "VAULT_SECRET_ID": role.secret_id.reveal(),
    }
    with ExitStack() as stack:
        stack.callback(database.drop_database, name)
        made = []
        for number in range(COUNT):
            own = extra[number] if number < len(extra) else {}
            one = stack.enter_context(instance({**shared, **own}))
            one.start_kms()
            one.start_service()
            made.append(one)
        yield made


@contextmanager
def paused(process: Process | None) -> Iterator[None]:
    """A process that takes part in nothing for a while, and knows nothing of it."""
    assert process is not None
    child = process.child
    child.send_signal(signal.SIGSTOP)
    state = Path(f"/proc/{child.pid}/stat")
    wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", what="it is stopped")
    try:
        yield
    finally:
        child.send_signal(signal.SIGCONT)
