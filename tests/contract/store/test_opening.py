"""Migrating and opening: the schema is what the rows say, and who may not start is told why in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text

from service.store import (
    SchemaCheck,
    Store,
    StoreStartError,
    WriteUnit,
    check_schema,
    engines,
    migrate,
    migrating,
    open_store,
    sqlite_file,
)
from service.store.migrating import HEAD, _config
from service.store.rows import Base
from tests.support.values.registry_values import ManualClock, a_provider

T = TypeVar("T")

NEWER = "9999"
OLDEST = "0007"
"""The oldest schema whose programs work with this one's."""
"""The schema of a program that is not written yet."""


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


ID = "12345678-1234-1234-1234-123456789abc"
RESOURCE = {
    "state": 1,
    "labels": "{}",
    "create_time": 0,
    "update_time": 0,
    "revision": 1,
    "etag": "e",
}
PROVIDER = RESOURCE | {
    "kind": 12,
    "config": '{"base_url":"https://one.example/v1"}',
    "headers": "{}",
    "annotations": "{}",
}
BEFORE_CHECKS: dict[str, list[dict[str, object]]] = {
    "revision_counter": [
        {"id": 1, "revision": 1, "compact_revision": 0}
        | dict.fromkeys(("store_id", "commit_id", "parent_id", "compact_id"), ID)
    ],
    "registry": [
        {"id": 1, "primary_key_version": "", "key_names_seen": "[]", "keyring_seq": 0, "sweep_holder": ""}
    ],
    "change_log": [
        {"revision": 1, "ordinal": 0, "kind": "", "name": "", "op": "?", "commit_time": -1, "commit_id": ""}
    ],
    "sidecars": [{"audit_public_key": bytes(32), "audit_seq": -1, "audit_head": b"", "notice_time": 0}],
    "idempotency": [
        {"principal": "p", "method": "m", "request_id": "r", "fingerprint": b"", "resource": ""}
        | {"expire_time": 10**18}
    ],
    "routers": [
        {"principal": "p", "watcher_id": "w", "session": "no", "store_id": "", "content_id": ""}
        | {"applied_revision": -1, "seen_time": 0, "peer": "", "stopped": 0, "writer_id": "", "writer_seq": 0}
    ],
    "providers": [
        PROVIDER
        | {"provider_id": name, "uid": ID[:-1] + last, "display_name": name, "display_name_key": name}
        | {"labels": labels}
        for name, last, labels in (("bad", "0", "{"), ("good", "1", "{}"))
    ],
    "provider_models": [
        RESOURCE
        | {"provider_id": "good", "model_id": "bad", "uid": ID, "upstream_model_id": "u", "display_name": ""}
        | {"display_name_key": "", "kind": 1, "source": 2, "catalog_version": "", "context_window": -1}
        | {"max_output_tokens": 0, "embedding_dimensions": 0, "capabilities": "[]", "needs_review": False}
        | {"overridden_fields": "[]"}
    ],
    "models": [
        RESOURCE
        | {"model_id": "bad", "uid": ID, "display_name": "", "display_name_key": "", "description": ""}
        | {"kind": 1, "annotations": "{}", "revision": -1}
    ],
}
"""Rows of schema 0005."""


def delete_bad(unit: WriteUnit) -> None:
    model = unit.models.get("bad")
    assert model is not None
    unit.models.delete(model)
    unit.provider_models.delete(list(unit.provider_models.among([("good", "bad")]).values()))
    provider = unit.providers.get("bad")
    assert provider is not None
    unit.providers.delete(provider)


def with_store(url: str, clock: ManualClock, work: Callable[[Store], T]) -> T:
    """What ``work`` makes of the store, which is open only as long."""
    store = open_store(url, clock=clock)
    try:
        return work(store)
    finally:
        store.close()


def set_schema_version(url: str, version: str, *, oldest: str) -> None:
    """As a program of schema ``version`` leaves the database, which allows programs of ``oldest``."""
    with connected(url) as connection:
        connection.execute(
            text("UPDATE alembic_version SET version_num = :version, oldest_schema = :oldest"),
            {"version": version, "oldest": oldest},
        )


def migrate_to(url: str, schema: str) -> None:
    """As an earlier program has left the database."""
    if (path := sqlite_file(url)) is not None:
        engines.make_private(path)
    config = _config()
    with connected(url) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, schema)


@contextmanager
def newer(url: str, *, oldest: str) -> Iterator[None]:
    set_schema_version(url, NEWER, oldest=oldest)
    try:
        yield
    finally:
        set_schema_version(url, HEAD, oldest=OLDEST)


def checks(connection: Connection, schema: str | None = None) -> dict[str, dict[str, str]]:
    """The conditions of all CHECK constraints by table and name, as the database spells them."""
    inspector = inspect(connection)
    return {
        table: {
            str(check["name"]): check["sqltext"]
            for check in inspector.get_check_constraints(table, schema=schema)
        }
        for table in Base.metadata.tables
    }


class TestMigrating:
    # SQLAlchemy reads of a constraint that it is NOT VALID, and warns of what it has read.
    @pytest.mark.filterwarnings("ignore:Can't validate argument 'dialect_options'")
    def test_gives_exactly_the_tables_that_the_rows_describe(self, empty_url: str) -> None:
        migrate(empty_url)
        with connected(empty_url) as connection:
            context = MigrationContext.configure(connection, opts={"compare_server_default": True})
            assert compare_metadata(context, Base.metadata) == []
            assert context.get_current_revision() == HEAD

    def test_gives_exactly_the_checks_that_the_rows_describe(self, empty_url: str, dialect: str) -> None:
        migrate(empty_url)
        with connected(empty_url) as connection:
            new = "ATTACH ':memory:' AS described" if dialect == "sqlite" else "CREATE SCHEMA described"
            connection.execute(text(new))
            translated = connection.execution_options(schema_translate_map={None: "described"})
            Base.metadata.create_all(translated)
            described = checks(connection, "described")
            assert checks(connection) == described
            assert [table for table, found in described.items() if not found] == ["data_keys"]

    def test_leaves_rows_as_they_are_that_checks_refuse(
        self, empty_url: str, clock: ManualClock, dialect: str
    ) -> None:
        """One bad row in each table, of the schema before the checks: the registry starts, and says which."""
        config = _config()
        if (path := engines.sqlite_path(engines.parse_url(empty_url))) is not None:
            engines.make_private(path)
        with connected(empty_url) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0005")
            for table, rows in BEFORE_CHECKS.items():
                for row in rows:
                    names = ", ".join(row)
                    marks = ", ".join(f":{name}" for name in row)
                    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), row)  # noqa: S608
        migrate(empty_url)
        with connected(empty_url) as connection:
            for table, rows in BEFORE_CHECKS.items():
                assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == len(rows)  # noqa: S608

        def look(store: Store) -> None:
            assert store.check_rows().findings() == {
                "providers/bad": ("providers.labels",),
                "providers/good/models/bad": ("provider_models.context_window",),
                "models/bad": ("models.revision",),
                "table sidecars": ("sidecars.audit_seq",),
                "table idempotency": ("idempotency.expire_time",),
            }
            names = [entry.name for entry in store.read(lambda unit: unit.routing_entries())]
            assert names == ["providers/good"]
            assert store.shared_routers({}).routers == []
            store.write(delete_bad)
            assert store.check_rows().findings().keys() == {"table sidecars", "table idempotency"}

        with_store(empty_url, clock, look)

    def test_sorts_text_by_bytes_everywhere(self, empty_url: str, dialect: str) -> None:
        migrate(empty_url)
        with connected(empty_url) as connection:
            inspector = inspect(connection)
            for table in Base.metadata.sorted_tables:
                keys = {name for index in inspector.get_indexes(table.name) for name in index["column_names"]}
                keys |= set(inspector.get_pk_constraint(table.name)["constrained_columns"])
                for column in inspector.get_columns(table.name):
                    collation = getattr(column["type"], "collation", None)
                    if column["name"] in keys and hasattr(column["type"], "collation"):
                        assert collation == ("C" if dialect == "postgresql" else None), column["name"]

    def test_again_changes_nothing(self, empty_url: str, clock: ManualClock) -> None:
        migrate(empty_url)
        with_store(
            empty_url, clock, lambda store: store.write(lambda u: u.providers.insert(a_provider(), None))
        )
        before = with_store(empty_url, clock, lambda store: store.read(lambda unit: unit.log.head()))
        migrate(empty_url)
        assert with_store(empty_url, clock, lambda store: store.read(lambda unit: unit.log.head())) == before

    def test_refuses_a_newer_database(self, url: str) -> None:
        with newer(url, oldest=NEWER), pytest.raises(StoreStartError, match="newer version"):
            migrate(url)

    def test_by_several_at_once_makes_one_store(
        self, empty_url: str, clock: ManualClock, dialect: str
    ) -> None:
        def attempt(_: int) -> StoreStartError | None:
            try:
                migrate(empty_url)
            except StoreStartError as error:
                return error
            return None

        with ThreadPoolExecutor(4) as pool:
            errors = [error for error in pool.map(attempt, range(4)) if error]
        # PostgreSQL's lock waits; the one on a file says at once who is in the way.
        assert all("another instance" in str(error) for error in errors)
        assert not errors or dialect == "sqlite"
        assert (
            with_store(empty_url, clock, lambda store: store.read(lambda unit: unit.log.head())).revision == 0
        )


class TestCheckingTheSchema:
    def test_of_a_database_that_is_up_to_date_has_nothing_to_do(self, url: str) -> None:
        assert check_schema(url, to=None) == SchemaCheck(HEAD, OLDEST, HEAD, rolling=True)

    def test_of_one_from_before_the_rule_says_that_all_must_stop(self, empty_url: str) -> None:
        migrate_to(empty_url, "0006")
        found = check_schema(empty_url, to="0007")
        assert found == SchemaCheck("0006", "0006", "0007", rolling=False)
        migrate(empty_url)
        assert check_schema(empty_url, to=None) == SchemaCheck(HEAD, OLDEST, HEAD, rolling=True)

    def test_knows_no_schema_after_its_own(self, url: str) -> None:
        with pytest.raises(StoreStartError, match=f"knows schemas up to {HEAD}"):
            check_schema(url, to=NEWER)

    def test_of_an_empty_database_is_refused(self, empty_url: str) -> None:
        with pytest.raises(StoreStartError, match="empty: migrate it first"):
            check_schema(empty_url, to=None)


class TestMigrations:
    def test_allow_an_older_schema_or_their_own(self) -> None:
        numbers = sorted(migrating._allowed())
        assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
        for number, oldest in migrating._allowed().items():
            assert oldest in numbers
            assert oldest <= number


class TestOpening:
    def test_refuses_an_empty_database(self, empty_url: str, clock: ManualClock) -> None:
        with pytest.raises(StoreStartError, match="empty: migrate it first"):
            open_store(empty_url, clock=clock)

    def test_refuses_a_newer_database(self, url: str, clock: ManualClock) -> None:
        with newer(url, oldest=NEWER), pytest.raises(StoreStartError, match="newer version"):
            open_store(url, clock=clock)

    def test_takes_a_newer_database_that_allows_it(self, url: str, clock: ManualClock) -> None:
        with newer(url, oldest=HEAD):
            migrate(url)
            assert check_schema(url, to=None) == SchemaCheck(NEWER, HEAD, NEWER, rolling=True)
            stored = with_store(
                url, clock, lambda store: store.write(lambda unit: unit.providers.insert(a_provider(), None))
            )
            assert stored.revision == 1

    @pytest.mark.parametrize("nonsense", ["", "12345", "now"])
    def test_refuses_a_newer_database_whose_rule_cannot_be_read(
        self, url: str, clock: ManualClock, nonsense: str
    ) -> None:
        with newer(url, oldest=nonsense), pytest.raises(StoreStartError):
            open_store(url, clock=clock)

    def test_stores_have_ids_of_their_own(self, url: str, empty_url: str, clock: ManualClock) -> None:
        migrate(empty_url)
        ids = {
            with_store(each, clock, lambda store: store.read(lambda unit: unit.log.head().store_id))
            for each in (url, empty_url, url)
        }
        assert len(ids) == 2

    def test_a_closed_store_can_be_opened_again_with_all_its_data(self, url: str, clock: ManualClock) -> None:
        stored = with_store(
            url, clock, lambda store: store.write(lambda unit: unit.providers.insert(a_provider(), None))
        )
        assert (
            with_store(url, clock, lambda store: store.read(lambda unit: unit.providers.get("acme")))
            == stored
        )
