"""Migrating and opening: the schema is what the rows say, and who may not start is told why in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text

from service.store import Store, StoreStartError, migrate, open_store
from service.store.migrating import HEAD
from service.store.rows import Base
from tests.support.values.registry_values import ManualClock, a_provider

T = TypeVar("T")


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def with_store(url: str, clock: ManualClock, work: Callable[[Store], T]) -> T:
    """What ``work`` makes of the store, which is open only as long."""
    store = open_store(url, clock=clock)
    try:
        return work(store)
    finally:
        store.close()


def set_schema_version(url: str, version: str) -> None:
    with connected(url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})


class TestMigrating:
    def test_gives_exactly_the_tables_that_the_rows_describe(self, empty_url: str) -> None:
        migrate(empty_url)
        with connected(empty_url) as connection:
            context = MigrationContext.configure(connection, opts={"compare_server_default": True})
            assert compare_metadata(context, Base.metadata) == []
            assert context.get_current_revision() == HEAD

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
        set_schema_version(url, "9999")
        with pytest.raises(StoreStartError, match="newer version"):
            migrate(url)
        set_schema_version(url, HEAD)

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


class TestOpening:
    def test_refuses_an_empty_database(self, empty_url: str, clock: ManualClock) -> None:
        with pytest.raises(StoreStartError, match="empty: migrate it first"):
            open_store(empty_url, clock=clock)

    def test_refuses_a_newer_database(self, url: str, clock: ManualClock) -> None:
        set_schema_version(url, "9999")
        with pytest.raises(StoreStartError, match="newer version"):
            open_store(url, clock=clock)
        set_schema_version(url, HEAD)

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
