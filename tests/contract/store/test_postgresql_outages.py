"""Lost connections, which only a database server can inflict: SQLite has none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, text

from service.domain.errors import Reason, Unavailable
from service.store import (
    Connecting,
    ReadUnit,
    Store,
    StoreStartError,
    WriteUnit,
    engines,
    migrate,
    open_store,
)
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


LIMITS = {"statement_timeout": "30s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "10s"}


@contextmanager
def connected(url: str, how: Connecting) -> Iterator[Connection]:
    engine = engines.create(engines.parse_url(url), how)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def shown(connection: Connection, names: Iterable[str]) -> dict[str, object]:
    return {name: connection.scalar(text(f"SHOW {name}")) for name in names}


class TestSessions:
    def test_are_bounded_in_time(self, database: Database) -> None:
        wanted = LIMITS | {"transaction_isolation": "read committed", "TimeZone": "UTC"}
        with connected(database.url, Connecting()) as connection:
            assert shown(connection, wanted) == wanted

    def test_are_bounded_by_the_transaction_behind_a_pooler(self, database: Database) -> None:
        without = dict.fromkeys(LIMITS, "0")
        with connected(database.url, Connecting(pgbouncer=True)) as connection:
            assert shown(connection, LIMITS) == LIMITS
            connection.rollback()
            session = connection.connection.cursor()
            assert {name: session.execute(f"SHOW {name}").fetchone()[0] for name in LIMITS} == without

    def test_prepare_nothing_behind_a_pooler(self, database: Database) -> None:
        with connected(database.url, Connecting(pgbouncer=True)) as connection:
            for _ in range(20):
                connection.scalar(text("SELECT 7"))
            assert connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0

    def test_say_who_uses_them(self, database: Database) -> None:
        name = "codevector serve " + "h" * 64 + "-4711-0a1b2c3d"
        with connected(database.url, Connecting(application_name=name)) as connection:
            found = connection.scalar(text("SHOW application_name"))
        assert len(found) == 63
        assert found.startswith("codevector serve hhh")
        assert found.endswith("-4711-0a1b2c3d")
        with connected(f"{database.url}&application_name=mine", Connecting()) as connection:
            assert connection.scalar(text("SHOW application_name")) == "mine"

    def test_are_no_more_than_was_asked_for(
        self, database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engines, "POOL_TIMEOUT_SECONDS", 0.01)
        store = open_store(database.url, clock=clock, how=Connecting(max_connections=1))

        def work(unit: ReadUnit) -> None:
            with pytest.raises(Unavailable) as busy:
                store.read(lambda other: other.log.head())
            assert (busy.value.reason, busy.value.metadata) == (Reason.STORE_BUSY, {"cause": "POOL"})
            unit.log.head()

        store.read(work)
        store.read(lambda unit: unit.log.head())
        store.close()

    def test_have_their_password_from_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "password"
        with running_server() as server:
            database = Database(server)
            server.demand_passwords("asked")
            how = Connecting(password_file=file)
            url = database.url.replace("postgres@", "asked@")
            with pytest.raises(StoreStartError, match=r"refuses this account.*28P01"):
                migrate(url, how=how)
            for password in ("first", "second"):
                server.execute(f"ALTER ROLE asked PASSWORD '{password}'")
                file.write_text(f"{password}\n")
                file.chmod(0o600)
                with connected(url, how) as connection:
                    assert connection.scalar(text("SELECT current_user")) == "asked"

    def test_of_a_url_that_libpq_does_not_take_are_refused(self, database: Database) -> None:
        for wrong, says in (
            ("nonsense=1", "a parameter that libpq does not take"),
            ("port=1,2,3", "two ways"),
        ):
            with pytest.raises(StoreStartError, match=says):
                migrate(f"{database.url}&{wrong}")
