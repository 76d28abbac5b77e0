"""What replicas share of routers, on both databases: what was said, by whom, and who watches where."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from alembic import command
from sqlalchemy import text

from service.domain.history import RevisionToken
from service.domain.routers import Flush, Heard, RouterKey, RouterRecord, Shared, Stamp
from service.store import Storage, Store, engines, migrate, open_store
from service.store.migrating import _config
from service.usecases.routing_source import routing_source
from tests.contract.store.test_opening import connected
from tests.support.values.registry_values import START, ManualClock, a_provider

PEER = "ipv4:10.1.2.3:4"
KEY = RouterKey("dev:loopback", "gw-1", bytes(15) + b"1")
OTHER = RouterKey("dev:loopback", "gw-1", b"")
BEGAN = Heard(START, PEER, began=True)
TABLE = RevisionToken(UUID(int=1, version=4), UUID(int=2, version=4), 3)


def flushed(
    store: Store, *heard: Heard, key: RouterKey = KEY, by: str = "one", seq: int = 0, **parts: object
) -> bool:
    """Write what a replica has heard of a router, under the flush after ``seq``."""
    flush = Flush(Stamp(by, seq), TABLE, [(key, one) for one in heard], joins=seq == 0)
    return store.flush_routers(replace(flush, **parts))  # type: ignore[arg-type]


def only(store: Store) -> RouterRecord:
    [record] = store.shared_routers({}).routers
    return record


@pytest.fixture
def tokens(store: Store) -> Sequence[RevisionToken]:
    """The tokens of nine revisions, from 0."""
    source = routing_source(store)
    found = [source.load().at]
    for number in range(8):
        store.write(lambda unit, number=number: unit.providers.insert(a_provider(f"p{number}"), None))  # type: ignore[misc]
        found.append(source.load().at)
    return found


def said(applied: RevisionToken, **parts: object) -> Heard:
    return replace(Heard(START, PEER, applied=applied, apply_time=START), **parts)  # type: ignore[arg-type]


class TestWhatWasSaid:
    def test_comes_back_as_it_was(self, store: Store, tokens: Sequence[RevisionToken]) -> None:
        flushed(store, replace(said(tokens[8]), began=True))
        assert only(store) == RouterRecord(
            KEY, tokens[8], True, START, START, PEER, False, (), Stamp("one", 1)
        )

    @pytest.mark.parametrize("column", ["store_id", "content_id"])
    def test_is_nothing_where_half_a_token_was_taken_away(
        self, store: Store, url: str, tokens: Sequence[RevisionToken], column: str
    ) -> None:
        flushed(store, replace(said(tokens[8]), began=True))
        with connected(url) as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA wal_autocheckpoint = 0")
            connection.execute(text(f"UPDATE routers SET {column} = ''"))  # noqa: S608 - from the list above
        assert only(store).applied is None

    def test_takes_no_revision(self, store: Store) -> None:
        before = store.read(lambda unit: unit.log.head())
        flushed(store, BEGAN)
        assert store.read(lambda unit: unit.log.head()) == before

    def test_makes_no_router_unless_a_watch_began(
        self, store: Store, tokens: Sequence[RevisionToken]
    ) -> None:
        flushed(store, said(tokens[8]), key=OTHER)
        flushed(store, replace(said(tokens[8]), began=True), seq=1 if shared(store) else 0)
        assert only(store).key == KEY

    @pytest.mark.parametrize(
        ("first", "second", "kept"),
        [
            pytest.param({}, {}, 8, id="the higher one"),
            pytest.param({}, {"sets": True}, 3, id="what is set"),
            pytest.param({"content_id": uuid4()}, {"over": True}, 3, id="a sound one over a lost one"),
            pytest.param({"store_id": uuid4()}, {}, 3, id="one of this store"),
        ],
    )
    def test_is_merged(
        self,
        store: Store,
        tokens: Sequence[RevisionToken],
        first: dict[str, UUID],
        second: dict[str, bool],
        kept: int,
    ) -> None:
        """Replicas that heard of the same router write in any order."""
        had = replace(tokens[8], **first)  # type: ignore[arg-type]
        flushed(store, replace(said(had), began=True))
        over = had.content_id if "over" in second else None
        flushed(store, said(tokens[3], over=over, sets="sets" in second), by="two")
        applied = only(store).applied
        assert applied is not None
        assert applied.revision == kept

    def test_a_sign_of_life_changes_nothing_else(self, store: Store, tokens: Sequence[RevisionToken]) -> None:
        flushed(store, replace(said(tokens[8]), began=True, stopped=True))
        flushed(store, Heard(START, "elsewhere"), by="two")
        got = only(store)
        assert (got.applied, got.stopped, got.peer, got.stamp) == (
            tokens[8],
            True,
            "elsewhere",
            Stamp("two", 1),
        )

    @pytest.mark.parametrize("part", ["store_id", "content_id", "revision"])
    def test_of_another_history_is_kept_and_not_proven(
        self, store: Store, tokens: Sequence[RevisionToken], part: str
    ) -> None:
        values: dict[str, UUID | int] = {"store_id": uuid4(), "content_id": uuid4(), "revision": 3}
        lost = replace(tokens[8], **{part: values[part]})  # type: ignore[arg-type]
        flushed(store, replace(said(lost), began=True))
        assert (only(store).applied, only(store).proven) == (lost, False)

    def test_is_forgotten_unless_somebody_wrote_since(self, store: Store) -> None:
        flushed(store, BEGAN)
        flushed(store, by="two", forgotten=[(KEY, Stamp("one", 0))])
        assert only(store).key == KEY
        flushed(store, by="two", seq=1, forgotten=[(KEY, Stamp("one", 1))])
        assert store.shared_routers({}).routers == []

    def test_only_what_is_new_is_read(self, store: Store) -> None:
        flushed(store, BEGAN)
        flushed(store, BEGAN, by="two", key=OTHER)
        assert len(store.shared_routers({}).routers) == 2
        assert [one.key for one in store.shared_routers({"one": 1}).routers] == [OTHER]
        assert store.shared_routers({"one": 1, "two": 1}).routers == []
        assert [one.key for one in store.shared_routers({"one": 1, "two": 0}).routers] == [OTHER]

    def test_a_thousand_at_once(self, store: Store) -> None:
        many = [(KEY._replace(watcher_id=f"gw-{number:04}"), BEGAN) for number in range(1000)]
        store.flush_routers(Flush(Stamp("one", 0), TABLE, many, opened=[one for one, _ in many], joins=True))
        assert len(store.shared_routers({}).routers) == 1000


def shared(store: Store) -> bool:
    return store.storage is Storage.POSTGRESQL


class TestReplicas:
    """Where there are several: on PostgreSQL."""

    @pytest.fixture
    def dialect(self) -> str:
        return "postgresql"

    def replicas(self, store: Store) -> Sequence[tuple[str, int]]:
        found: Shared = store.shared_routers({})
        return sorted((one.stamp.replica_id, one.stamp.flush_seq) for one in found.replicas)

    def test_count_their_flushes(self, store: Store) -> None:
        assert flushed(store)
        assert flushed(store, seq=1)
        assert flushed(store, by="two")
        assert self.replicas(store) == [("one", 2), ("two", 1)]
        assert {one.table for one in store.shared_routers({}).replicas} == {TABLE}

    def test_write_nothing_where_their_row_is_not_as_they_left_it(self, store: Store) -> None:
        flushed(store)
        assert not flushed(store, BEGAN, seq=4)
        assert store.shared_routers({}).routers == []

    def test_say_who_watches_them(self, store: Store) -> None:
        flushed(store, BEGAN, opened=[KEY])
        flushed(store, Heard(START, PEER), by="two", opened=[KEY])
        assert sorted(only(store).replicas) == ["one", "two"]
        flushed(store, Heard(START, PEER), seq=1, closed=[KEY])
        assert only(store).replicas == ("two",)

    @pytest.mark.parametrize(("seq", "gone"), [(1, True), (0, False)])
    def test_one_that_is_dead_goes_with_its_watches(self, store: Store, seq: int, gone: bool) -> None:
        flushed(store, BEGAN, opened=[KEY])
        flushed(store, by="two", dead=[Stamp("one", seq)])
        assert self.replicas(store) == [("two", 1)] if gone else [("one", 1), ("two", 1)]
        assert only(store).replicas == (() if gone else ("one",))
        assert flushed(store, seq=1) is not gone

    def test_one_that_leaves_takes_its_watches_along(self, store: Store) -> None:
        flushed(store, BEGAN, opened=[KEY])
        flushed(store, seq=1, leaves=True)
        assert self.replicas(store) == []
        assert only(store).replicas == ()


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
        connection.execute(
            text(
                "INSERT INTO registry "
                "(id, primary_key_version, key_names_seen, keyring_seq, audit_seq, audit_head, sweep_holder) "
                "VALUES (1, '', '[]', 0, 0, :head, '')"
            ),
            {"head": b""},
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
        assert flushed(store, BEGAN)
        assert KEY in {one.key for one in store.shared_routers({}).routers}


def test_routers_known_by_an_id_alone_go_on(empty_url: str) -> None:
    """As the earlier schema has them: with the empty session, of the one caller that there was."""
    config = _config()
    if (path := engines.sqlite_path(engines.parse_url(empty_url))) is not None:
        engines.make_private(path)
    applied = RevisionToken(uuid4(), uuid4(), 5)
    with connected(empty_url) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        connection.execute(
            text(
                "INSERT INTO routers "
                "(watcher_id, store_id, content_id, applied_revision, apply_time, seen_time, peer) "
                "VALUES ('gw-1', :store, :content, 5, 1, 2, 'ipv4:10.1.2.3:4')"
            ),
            {"store": str(applied.store_id), "content": str(applied.content_id)},
        )
    migrate(empty_url)
    with closing(open_store(empty_url, clock=ManualClock())) as store:
        [found] = store.shared_routers({}).routers
        assert (found.key, found.applied) == (RouterKey("dev:loopback", "gw-1", b""), applied)
        assert (found.proven, found.stopped, found.replicas) == (False, False, ())
