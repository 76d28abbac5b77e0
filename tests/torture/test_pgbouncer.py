"""The registry behind PgBouncer in transaction mode: no statement that another session has prepared, no
limits that somebody else's session loses. It needs PgBouncer, Debian's package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from service.domain.errors import Reason, Unavailable
from service.store import Connecting, StoreStartError, migrate, open_store
from tests.support.servers.harness import running
from tests.support.servers.pgbouncer import pooled
from tests.support.servers.postgresql import PostgresServer
from tests.support.values.registry_values import ManualClock, a_provider
from tools import pgbouncer
from tools.steps import StepFailed

WRITERS = 8
WRITES = 400
POOLED = Connecting(pgbouncer=True)


@pytest.fixture
def program() -> Path:
    try:
        return pgbouncer.provide()
    except StepFailed as failure:
        pytest.skip(str(failure))


@pytest.fixture
def direct(postgres_server: PostgresServer) -> Iterator[str]:
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def url(program: Path, direct: str) -> Iterator[str]:
    with pooled(program, direct) as through:
        yield through


def test_writers_and_readers(url: str, rounds: Callable[[int], int], tell: Callable[[str], None]) -> None:
    migrate(url, how=POOLED)
    count = rounds(WRITES)
    with (
        closing(open_store(url, clock=ManualClock(), how=POOLED)) as store,
        ThreadPoolExecutor(WRITERS) as pool,
    ):

        def write(number: int) -> int:
            name = f"p{number}"
            store.write(lambda unit: unit.providers.insert(a_provider(name, display_name=name), None))
            return len(store.read(lambda unit: unit.providers.among([name])))

        assert sum(pool.map(write, range(count))) == count
        assert store.read(lambda unit: unit.log.head()).revision == count
    tell(f"{count} writes and reads over {WRITERS} threads: none failed")


def test_limits_hold_in_each_transaction(url: str, direct: str) -> None:
    migrate(url, how=POOLED)
    with (
        closing(open_store(url, clock=ManualClock(), how=POOLED)) as store,
        psycopg.connect(direct) as other,
    ):
        other.execute("UPDATE revision_counter SET revision = revision")
        with pytest.raises(Unavailable) as busy:
            store.write(lambda unit: unit.providers.insert(a_provider(), None))
    assert busy.value.reason is Reason.STORE_BUSY


def test_who_forgets_the_setting_is_told(url: str) -> None:
    with pytest.raises(StoreStartError, match="set CODEVECTOR_DATABASE_PGBOUNCER=1"):
        migrate(url)


def test_a_whole_registry(url: str) -> None:
    with running({"CODEVECTOR_DATABASE_URL": url, "CODEVECTOR_DATABASE_PGBOUNCER": "1"}) as made:
        made.stop_service()
        made.start_service()
        made.execute("service", "--health")
