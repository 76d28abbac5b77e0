"""What is kept of routers: the newest that was said, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from alembic import command
from sqlalchemy import inspect

from service.domain.routers import RouterRecord
from service.store import Store, migrate
from service.store.migrating import _config
from service.store.rows import RouterRow
from tests.contract.store.test_opening import connected
from tests.support.values.registry_values import START

RECORD = RouterRecord("gw-1", "store", 7, START, START, "ipv4:10.1.2.3:4")
NAMELESS = RouterRecord("gw-2", "", 0, None, START, "")
SECOND = timedelta(seconds=1)


class TestRouters:
    def test_come_back_as_they_were(self, store: Store) -> None:
        store.save_routers([NAMELESS, RECORD], [])
        assert store.routers() == [RECORD, NAMELESS]

    def test_take_no_revision(self, store: Store) -> None:
        before = store.read(lambda unit: unit.head())
        store.save_routers([RECORD], [])
        assert store.read(lambda unit: unit.head()) == before

    @pytest.mark.parametrize(("seconds", "kept"), [(1, 8), (0, 8), (-1, 7)])
    def test_what_was_heard_last_is_kept(self, store: Store, seconds: int, kept: int) -> None:
        """Replicas that heard of the same router write in any order."""
        store.save_routers([RECORD], [])
        said = replace(RECORD, applied_revision=8, seen_time=START + seconds * SECOND)
        store.save_routers([said], [])
        assert [one.applied_revision for one in store.routers()] == [kept]

    def test_those_that_are_gone_are_dropped(self, store: Store) -> None:
        store.save_routers([RECORD, NAMELESS], [])
        store.save_routers([], ["gw-1", "never-heard-of"])
        assert store.routers() == [NAMELESS]

    def test_a_thousand_at_once(self, store: Store) -> None:
        many = [replace(RECORD, watcher_id=f"gw-{number:04}") for number in range(1000)]
        store.save_routers(many, [])
        store.save_routers(many[:500], [one.watcher_id for one in many[500:]])
        assert store.routers() == many[:500]


def test_a_database_of_the_first_schema_is_brought_up_to_date(url: str) -> None:
    config = _config()
    with connected(url) as connection:
        RouterRow.__table__.drop(connection)  # type: ignore[attr-defined]
        config.attributes["connection"] = connection
        command.stamp(config, "0001")
    migrate(url)
    with connected(url) as connection:
        assert inspect(connection).has_table("routers")
