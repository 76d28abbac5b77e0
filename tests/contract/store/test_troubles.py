"""What is wrong with a database is told apart on real ones: whoever calls learns whether to wait, whoever
operates what to mend. None of it is a bug of the service."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, event

from service.domain.errors import Reason, Unavailable
from service.store import Store, StoreStartError, migrate, open_store
from tests.support.servers.postgresql import PostgresServer
from tests.support.values.registry_values import ManualClock, a_provider

SERVE = "serve_here"


def refused(act: Callable[[], object]) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        act()
    return caught.value


def write(store: Store, provider_id: str = "acme") -> None:
    store.write(lambda unit: unit.providers.insert(a_provider(provider_id), None))


def write_many(store: Store) -> None:
    """More than fits into the pages of an empty database."""
    names = [f"a{number}" for number in range(100)]
    store.write(
        lambda unit: [unit.providers.insert(a_provider(name, display_name=name), None) for name in names]
    )


def revision(store: Store) -> int:
    return store.read(lambda unit: unit.log.head()).revision


@dataclass(slots=True)
class Database:
    """A migrated PostgreSQL database, with an account that may use it and not own it."""

    server: PostgresServer
    name: str

    @property
    def url(self) -> str:
        return self.server.url(self.name).replace("postgres@", f"{SERVE}@")

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection]:
        url = self.server.url(self.name)
        with closing(psycopg.connect(url, autocommit=True)) as connection:
            yield connection

    def execute(self, statement: str) -> None:
        with self.session() as connection:
            connection.execute(statement.encode())


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[Database]:
    made = Database(postgres_server, postgres_server.create_database())
    migrate(postgres_server.url(made.name))
    made.execute(f"CREATE ROLE {SERVE} LOGIN")
    made.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {SERVE}")
    yield made
    made.execute(f"DROP OWNED BY {SERVE}")
    made.execute(f"DROP ROLE {SERVE}")
    postgres_server.drop_database(made.name)


@pytest.fixture
def store(database: Database, clock: ManualClock) -> Iterator[Store]:
    opened = open_store(database.url, clock=clock)
    yield opened
    opened.close()


class TestPostgresql:
    def test_that_another_transaction_holds_up_is_busy(self, store: Store, database: Database) -> None:
        with database.session() as other, other.transaction():
            other.execute("UPDATE revision_counter SET revision = revision")
            error = refused(lambda: write(store))
        assert (error.reason, error.metadata) == (
            Reason.STORE_BUSY,
            {"cause": "LOCK", "sqlstate": "55P03"},
        )
        write(store)

    def test_that_is_read_only_is_left_for_another_connection(self, store: Store, database: Database) -> None:
        database.execute(f"ALTER ROLE {SERVE} SET default_transaction_read_only = on")
        database.server.disconnect_all(database.name)
        error = refused(lambda: write(store))
        assert (error.reason, error.metadata) == (
            Reason.STORE_UNAVAILABLE,
            {"cause": "READ_ONLY", "sqlstate": "25006"},
        )
        assert revision(store) == 0
        # No session ends here: the store itself has to leave those that are read-only.
        database.execute(f"ALTER ROLE {SERVE} RESET default_transaction_read_only")
        write(store)

    @pytest.mark.parametrize(
        ("right", "needed"),
        [
            ("INSERT ON providers", "INSERT on providers"),
            ("UPDATE ON revision_counter", "UPDATE on revision_counter"),
        ],
    )
    def test_that_refuses_a_right_has_it_named(
        self, store: Store, database: Database, right: str, needed: str
    ) -> None:
        database.execute(f"REVOKE {right} FROM {SERVE}")
        error = refused(lambda: write(store))
        assert error.reason is Reason.STORE_UNAVAILABLE
        assert error.metadata == {"cause": "RIGHTS", "sqlstate": "42501", "right": needed}
        assert f"grant it {needed}" in error.message
        database.execute(f"GRANT {right} TO {SERVE}")
        write(store)

    @pytest.mark.parametrize(
        ("sqlstate", "reason", "cause"),
        [
            ("53100", Reason.STORE_UNAVAILABLE, "DISK"),
            ("53200", Reason.STORE_UNAVAILABLE, "MEMORY"),
            ("53300", Reason.STORE_UNAVAILABLE, "CONNECTIONS"),
            ("58030", Reason.STORE_UNAVAILABLE, "DAMAGE"),
            ("XX001", Reason.STORE_UNAVAILABLE, "DAMAGE"),
            ("57014", Reason.STORE_BUSY, "SLOW"),
            ("40001", Reason.STORE_BUSY, "CONTENTION"),
            ("40P01", Reason.STORE_BUSY, "CONTENTION"),
        ],
    )
    def test_that_raises_a_state_has_it_named(
        self, store: Store, database: Database, sqlstate: str, reason: Reason, cause: str
    ) -> None:
        database.execute(
            "CREATE FUNCTION raises() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE 'canary-7f3a9d' USING ERRCODE = '{sqlstate}'; END $$"
        )
        database.execute("CREATE TRIGGER raises BEFORE INSERT ON providers EXECUTE FUNCTION raises()")
        error = refused(lambda: write(store))
        assert (error.reason, error.metadata) == (reason, {"cause": cause, "sqlstate": sqlstate})
        assert "canary" not in error.message

    def test_without_its_tables_is_away(self, store: Store, database: Database) -> None:
        database.execute("ALTER TABLE providers RENAME TO gone")
        error = refused(lambda: write(store))
        assert (error.reason, error.metadata["cause"]) == (Reason.STORE_UNAVAILABLE, "SCHEMA")

    def test_that_locks_the_account_out_is_away(self, store: Store, database: Database) -> None:
        database.execute(f"ALTER ROLE {SERVE} NOLOGIN")
        database.server.disconnect_all(database.name)
        error = refused(lambda: write(store))
        assert (error.reason, error.metadata) == (
            Reason.STORE_UNAVAILABLE,
            {"cause": "LOGIN", "sqlstate": "28000"},
        )

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (lambda url: url.replace(SERVE, "nobody"), "refuses this account.* .SQLSTATE 28000."),
            (lambda url: url.replace("/test_", "/no_test_"), "does not exist under this name.*3D000"),
            (lambda _: f"postgresql://{SERVE}:canary@127.0.0.1:1/test_1", "cannot be reached$"),
        ],
        ids=["no such role", "no such database", "nobody there"],
    )
    def test_that_cannot_be_opened_says_why(
        self, database: Database, clock: ManualClock, change: Callable[[str], str], says: str
    ) -> None:
        with pytest.raises(StoreStartError, match=says) as refusal:
            open_store(change(database.url), clock=clock)
        assert "test_" not in str(refusal.value)
        assert "canary" not in str(refusal.value)

    def test_that_may_not_be_migrated_says_which_right_is_missing(
        self, postgres_server: PostgresServer, database: Database
    ) -> None:
        name = postgres_server.create_database()
        with pytest.raises(StoreStartError, match=r"grant it CREATE on public .SQLSTATE 42501."):
            migrate(postgres_server.url(name).replace("postgres@", f"{SERVE}@"))
        postgres_server.drop_database(name)


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process has the database to itself for as long."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
        process.communicate()


class TestSqlite:
    @pytest.fixture
    def path(self, migrated_file: Path, tmp_path: Path) -> Path:
        path = tmp_path / "registry.db"
        path.write_bytes(migrated_file.read_bytes())
        return path

    @pytest.fixture
    def store(self, path: Path, clock: ManualClock) -> Iterator[Store]:
        opened = open_store(f"sqlite:///{path}", clock=clock)
        yield opened
        opened.close()

    def test_that_another_process_holds_is_busy(self, store: Store, path: Path) -> None:
        with held(path):
            error = refused(lambda: write(store))
            assert revision(store) == 0
        assert (error.reason, error.metadata) == (Reason.STORE_BUSY, {"cause": "LOCK"})
        write(store)

    @pytest.mark.parametrize(
        ("pragma", "cause"), [("query_only = ON", "READ_ONLY"), ("max_page_count = 1", "DISK")]
    )
    def test_that_takes_no_writes_is_away(
        self, path: Path, clock: ManualClock, pragma: str, cause: str
    ) -> None:
        def set_up(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute(f"PRAGMA {pragma}")

        event.listen(Engine, "connect", set_up)
        try:
            with closing(open_store(f"sqlite:///{path}", clock=clock)) as store:
                error = refused(lambda: write_many(store))
                assert revision(store) == 0
        finally:
            event.remove(Engine, "connect", set_up)
        assert (error.reason, error.metadata) == (Reason.STORE_UNAVAILABLE, {"cause": cause})
