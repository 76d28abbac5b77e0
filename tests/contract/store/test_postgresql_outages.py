"""Lost connections, which only a database server can inflict: SQLite has none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from service.domain.errors import Reason, Unavailable
from service.store import ReadUnit, Store, StoreStartError, WriteUnit, engines, migrate, open_store
from tests.support.servers.postgresql import PostgresServer, running_server
from tests.support.values.registry_values import ManualClock, a_provider


class Database:
    """A migrated database whose sessions can be ended from outside."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._name = server.create_database()
        self.url = server.url(self._name)
        migrate(self.url)

    def end_all_sessions(self) -> None:
        self._server.disconnect_all(self._name)

    def drop(self) -> None:
        self._server.drop_database(self._name)


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[Database]:
    made = Database(postgres_server)
    yield made
    made.drop()


@pytest.fixture
def store(database: Database, clock: ManualClock) -> Iterator[Store]:
    opened = open_store(database.url, clock=clock)
    yield opened
    opened.close()


@contextmanager
def ending_sessions_before_commit(database: Database) -> Iterator[None]:
    def end(_connection: object) -> None:
        database.end_all_sessions()

    event.listen(Engine, "commit", end)
    try:
        yield
    finally:
        event.remove(Engine, "commit", end)


class TestLostConnections:
    def test_between_units_go_unnoticed(self, store: Store, database: Database) -> None:
        store.write(lambda unit: unit.providers.insert(a_provider("a"), None))
        database.end_all_sessions()
        assert store.read(lambda unit: unit.log.head()).revision == 1
        database.end_all_sessions()
        assert store.write(lambda unit: unit.providers.insert(a_provider("b"), None)).revision == 2

    def test_within_a_unit_run_it_again(self, store: Store, database: Database) -> None:
        tries = []

        def work(unit: WriteUnit) -> int:
            unit.providers.insert(a_provider("a"), None)
            tries.append(unit.revision)
            if len(tries) == 1:
                database.end_all_sessions()
            return len(unit.provider_models.of("a")) + unit.revision

        assert store.write(work) == 1
        assert tries == [1, 1]

    def test_run_it_again_once_only(self, store: Store, database: Database) -> None:
        tries = []

        def work(unit: ReadUnit) -> None:
            tries.append(unit.log.head().revision)
            database.end_all_sessions()
            unit.log.head()

        with pytest.raises(Unavailable) as away:
            store.read(work)
        assert away.value.reason is Reason.STORE_UNAVAILABLE
        assert away.value.message.startswith("the database is ")
        assert tries == [0, 0]

    def test_while_committing_are_never_run_again(self, store: Store, database: Database) -> None:
        tries = []
        told: list[int] = []
        store.on_commit = lambda change_set: told.append(change_set.revision)

        def work(unit: WriteUnit) -> None:
            tries.append(unit.revision)
            unit.providers.insert(a_provider("a"), None)

        with ending_sessions_before_commit(database), pytest.raises(Unavailable) as in_doubt:
            store.write(work)
        assert "during the commit" in in_doubt.value.message
        assert (tries, told) == ([1], [])
        assert store.write(lambda unit: unit.providers.insert(a_provider("b"), None)).revision == 1


class TestServersThatAreAway:
    def test_are_told_as_unavailable(self, clock: ManualClock) -> None:
        with running_server() as server:
            database = Database(server)
            store = open_store(database.url, clock=clock)
            store.read(lambda unit: unit.log.head())
        with pytest.raises(Unavailable):
            store.read(lambda unit: unit.log.head())
        with pytest.raises(Unavailable):
            store.write(lambda unit: unit.providers.insert(a_provider(), None))
        store.close()

    def test_cannot_be_opened(self, tmp_path: Path, clock: ManualClock) -> None:
        url = f"postgresql://postgres:canary-pw@/registry?host={tmp_path}"
        with pytest.raises(StoreStartError, match="cannot be reached") as refused:
            open_store(url, clock=clock)
        assert "canary-pw" not in str(refused.value)
        with pytest.raises(StoreStartError, match="cannot be reached"):
            migrate(url)


class TestSessions:
    def test_are_bounded_in_time(self, database: Database) -> None:
        engine = engines.create(engines.parse_url(database.url))
        wanted = {
            "statement_timeout": "30s",
            "lock_timeout": "2s",
            "idle_in_transaction_session_timeout": "10s",
            "transaction_isolation": "read committed",
            "TimeZone": "UTC",
        }
        with engine.connect() as connection:
            found = {name: connection.scalar(text(f"SHOW {name}")) for name in wanted}
        engine.dispose()
        assert found == wanted
