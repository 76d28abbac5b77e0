"""What is kept of routers: the newest that was said, on both databases."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from alembic import command
from sqlalchemy import text

from service.domain.history import RevisionToken
from service.domain.routers import RouterRecord
from service.store import Store, engines, migrate, open_store
from service.store.migrating import _config
from service.usecases.routing_source import routing_source
from tests.contract.store.test_opening import connected
from tests.support.values.registry_values import START, ManualClock, a_provider

NAMELESS = RouterRecord("gw-2", None, None, START, "")
SECOND = timedelta(seconds=1)


@pytest.fixture
def applied(store: Store) -> RevisionToken:
    """What a router has applied: the newest of eight revisions."""
    for number in range(8):
        store.write(lambda unit, number=number: unit.providers.insert(a_provider(f"p{number}"), None))  # type: ignore[misc]
    return routing_source(store).load().at


@pytest.fixture
def record(applied: RevisionToken) -> RouterRecord:
    return RouterRecord("gw-1", applied, START, START, "ipv4:10.1.2.3:4")


class TestRouters:
    def test_come_back_as_they_were(self, store: Store, record: RouterRecord) -> None:
        store.save_routers([NAMELESS, record], [])
        assert store.routers() == [record, NAMELESS]

    def test_take_no_revision(self, store: Store, record: RouterRecord) -> None:
        before = store.read(lambda unit: unit.log.head())
        store.save_routers([record], [])
        assert store.read(lambda unit: unit.log.head()) == before

    @pytest.mark.parametrize(("seconds", "kept"), [(1, 8), (0, 8), (-1, 7)])
    def test_what_was_heard_last_is_kept(
        self, store: Store, record: RouterRecord, seconds: int, kept: int
    ) -> None:
        """Replicas that heard of the same router write in any order."""
        older = store.read(lambda unit: unit.log.content_id(7))
        assert older is not None
        assert record.applied is not None
        store.save_routers(
            [replace(record, applied=replace(record.applied, content_id=older, revision=7))], []
        )
        said = replace(record, seen_time=START + seconds * SECOND)
        store.save_routers([said], [])
        assert [one.applied.revision for one in store.routers() if one.applied] == [kept]

    @pytest.mark.parametrize("other", ["store_id", "content_id", "revision"])
    def test_what_was_applied_of_another_history_is_not_told(
        self, store: Store, record: RouterRecord, other: str
    ) -> None:
        assert record.applied is not None
        values: dict[str, UUID | int] = {"store_id": uuid4(), "content_id": uuid4(), "revision": 3}
        store.save_routers([replace(record, applied=replace(record.applied, **{other: values[other]}))], [])  # type: ignore[arg-type]
        assert [one.applied for one in store.routers()] == [None]

    def test_those_that_are_gone_are_dropped(self, store: Store, record: RouterRecord) -> None:
        store.save_routers([record, NAMELESS], [])
        store.save_routers([], ["gw-1", "never-heard-of"])
        assert store.routers() == [NAMELESS]

    def test_a_thousand_at_once(self, store: Store, record: RouterRecord) -> None:
        many = [replace(record, watcher_id=f"gw-{number:04}") for number in range(1000)]
        store.save_routers(many, [])
        store.save_routers(many[:500], [one.watcher_id for one in many[500:]])
        assert store.routers() == many[:500]


@pytest.mark.parametrize("schema", ["0001", "0002"])
def test_a_database_of_an_earlier_schema_is_brought_up_to_date(empty_url: str, schema: str) -> None:
    """With what it holds. What was committed before has ids that nobody knows."""
    config = _config()
    if (path := engines.sqlite_path(engines.parse_url(empty_url))) is not None:
        engines.make_private(path)
    with connected(empty_url) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, schema)
        connection.execute(
            text(
                "INSERT INTO revision_counter (id, revision, compact_revision, store_id) "
                "VALUES (1, 3, 0, :id)"
            ),
            {"id": str(uuid4())},
        )
        for revision, ordinal in ((1, 0), (1, 1), (3, 0)):
            connection.execute(
                text(
                    "INSERT INTO change_log (revision, ordinal, kind, name, op, payload, commit_time) "
                    "VALUES (:revision, :ordinal, 'provider', 'providers/acme', 'remove', NULL, 1)"
                ),
                {"revision": revision, "ordinal": ordinal},
            )
    migrate(empty_url)
    with closing(open_store(empty_url, clock=ManualClock())) as store:
        first, third = store.read(lambda unit: unit.log.changes_since(0))
        assert (first.revision, len(first.changes), third.revision) == (1, 2, 3)
        assert first.commit_id != third.commit_id
        assert store.read(lambda unit: unit.log.content_id(2)) == first.commit_id
        store.save_routers([NAMELESS], [])
        assert store.routers() == [NAMELESS]
