"""Units of work: one transaction, one revision, all or nothing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from service.domain.errors import FailedPrecondition, Reason
from service.domain.model import Provider, State
from service.domain.routing import ChangeSet
from service.store import KmsRecord, ReadUnit, Store, WriteUnit
from tests.support.values.registry_values import DRY_RUN, ManualClock, a_provider, a_provider_model


def insert(store: Store, provider_id: str) -> Provider:
    return store.write(lambda unit: unit.providers.insert(a_provider(provider_id), None))


class TestRevisions:
    def test_a_new_store_is_at_revision_zero(self, store: Store) -> None:
        head = store.read(lambda unit: unit.log.head())
        assert (head.revision, head.compact_revision) == (0, 0)

    def test_every_unit_that_changes_something_takes_the_next(self, store: Store) -> None:
        assert [insert(store, provider_id).revision for provider_id in ("a", "b", "c")] == [1, 2, 3]
        assert store.read(lambda unit: unit.log.head()).revision == 3

    def test_a_unit_of_many_changes_takes_one(self, store: Store) -> None:
        def work(unit: WriteUnit) -> int:
            unit.providers.insert(a_provider("acme"), None)
            unit.provider_models.insert([a_provider_model(f"m{n}") for n in range(20)])
            unit.providers.insert(a_provider("other"), None)
            return unit.revision

        assert store.write(work) == 1
        assert store.read(lambda unit: unit.log.head()).revision == 1

    def test_reading_takes_none(self, store: Store) -> None:
        assert store.write(lambda unit: unit.providers.get("nobody")) is None
        assert insert(store, "a").revision == 1

    def test_changing_something_into_itself_takes_none(self, store: Store, clock: ManualClock) -> None:
        before = insert(store, "a")
        clock.advance(minutes=1)
        after = store.write(
            lambda unit: unit.providers.update(before, replace(before, revision=77, etag="other"))
        )
        assert after == before
        assert store.read(lambda unit: (unit.providers.get("a"), unit.log.head().revision)) == (before, 1)

    def test_an_error_takes_none_and_leaves_nothing(self, store: Store) -> None:
        def work(unit: WriteUnit) -> None:
            unit.providers.insert(a_provider("a"), None)
            raise FailedPrecondition("no", reason=Reason.PROVIDER_HAS_MODELS)

        with pytest.raises(FailedPrecondition):
            store.write(work)
        assert store.read(lambda unit: (unit.providers.get("a"), unit.log.head().revision)) == (None, 0)

    def test_bookkeeping_alone_is_committed_without_one(self, store: Store) -> None:
        row = KmsRecord(b"\x01" * 16, "keyVersions/v1", ("keyVersions/v1",), 7)
        store.write(lambda unit: unit.kms.record(row))
        store.write(
            lambda unit: unit.requests.remember(
                "me", "Import", "r-1", b"f", "providers/a", ttl=timedelta(hours=1)
            )
        )
        assert store.read(lambda unit: unit.log.head()).revision == 0
        assert store.read(lambda unit: unit.kms.get()) == row
        assert store.read(lambda unit: unit.requests.get("me", "Import", "r-1")) is not None

    def test_visible_revision_is_where_the_answer_of_a_unit_can_be_read(self, store: Store) -> None:
        def work(unit: WriteUnit) -> tuple[int, int]:
            before = unit.visible_revision
            unit.providers.insert(a_provider("b"), None)
            return before, unit.visible_revision

        insert(store, "a")
        assert store.write(work) == (1, 2)

    def test_concurrent_writers_leave_no_gap(self, store: Store) -> None:
        told: list[int] = []
        store.on_commit = lambda change_set: told.append(change_set.revision)
        barrier = threading.Barrier(6)

        def writer(number: int) -> list[int]:
            barrier.wait()
            return [insert(store, f"w{number}-{n}").revision for n in range(8)]

        with ThreadPoolExecutor(6) as pool:
            revisions = [revision for taken in pool.map(writer, range(6)) for revision in taken]
        assert sorted(revisions) == sorted(told) == list(range(1, 49))
        sets = store.read(lambda unit: unit.log.changes_since(0))
        assert [change_set.revision for change_set in sets] == list(range(1, 49))

    def test_concurrent_read_modify_write_loses_no_update(self, store: Store) -> None:
        insert(store, "a")

        def bump(unit: WriteUnit) -> None:
            before = unit.providers.get("a")
            assert before is not None
            count = int(before.annotations.get("count", "0"))
            unit.providers.update(before, replace(before, annotations={"count": str(count + 1)}))

        with ThreadPoolExecutor(6) as pool:
            for done in [pool.submit(store.write, bump) for _ in range(30)]:
                done.result()
        after = store.read(lambda unit: unit.providers.get("a"))
        assert after is not None
        assert (after.annotations, after.revision) == ({"count": "30"}, 31)


class TestValidateOnly:
    def test_shows_what_would_be_and_leaves_nothing(self, store: Store) -> None:
        told: list[int] = []
        store.on_commit = lambda change_set: told.append(change_set.revision)
        preview = store.write(lambda unit: unit.providers.insert(a_provider("a"), None), DRY_RUN)
        assert preview.revision == 1
        assert store.read(lambda unit: (unit.providers.get("a"), unit.log.head().revision)) == (None, 0)
        assert told == []

    def test_then_the_act_answers_the_same(self, store: Store) -> None:
        provider = a_provider("a")
        preview = store.write(lambda unit: unit.providers.insert(provider, None), DRY_RUN)
        assert store.write(lambda unit: unit.providers.insert(provider, None)) == preview


class TestOnCommit:
    def test_is_told_each_revision_after_its_commit_in_the_same_thread(self, store: Store) -> None:
        told: list[tuple[int, int, int]] = []

        def told_of(change_set: ChangeSet) -> None:
            seen = store.read(lambda unit: unit.log.head().revision)
            told.append((change_set.revision, seen, threading.get_ident()))

        store.on_commit = told_of
        insert(store, "a")
        store.write(lambda unit: unit.providers.get("a"))
        store.write(lambda unit: unit.kms.record(KmsRecord(None, "v", (), 1)))
        insert(store, "b")
        me = threading.get_ident()
        assert told == [(1, 1, me), (2, 2, me)]


class TestReadUnits:
    def test_see_one_revision_throughout(self, store: Store) -> None:
        before = insert(store, "a")

        def work(unit: ReadUnit) -> None:
            assert unit.log.head().revision == 1
            store.write(
                lambda writing: writing.providers.update(before, replace(before, state=State.DISABLED))
            )
            assert unit.log.head().revision == 1
            assert unit.providers.get("a") == before
            assert len(unit.routing_entries()) == 1

        store.read(work)
        assert store.read(lambda unit: (unit.log.head().revision, unit.routing_entries())) == (2, [])


class TestWriteUnits:
    def test_read_what_they_have_written(self, store: Store) -> None:
        def work(unit: WriteUnit) -> None:
            first = unit.providers.insert(a_provider("a"), None)
            assert unit.providers.get("a") == first
            second = unit.providers.update(first, replace(first, display_name="Renamed"))
            assert unit.providers.get("a") == second
            [model] = unit.provider_models.insert([a_provider_model("m", provider_id="a")])
            assert unit.provider_models.of("a") == [model]
            changed = unit.provider_models.update(model, replace(model, state=State.DISABLED))
            assert unit.provider_models.get("a", "m") == changed
            unit.provider_models.delete([changed])
            assert unit.provider_models.get("a", "m") is None
            unit.providers.delete(second)
            assert unit.providers.get("a") is None

        store.write(work)

    def test_stamp_time_revision_and_etag(self, store: Store, clock: ManualClock) -> None:
        created = insert(store, "a")
        assert created.create_time == created.update_time == clock.now
        clock.advance(microseconds=1)
        updated = store.write(
            lambda unit: unit.providers.update(created, replace(created, display_name="New"))
        )
        assert updated.create_time == created.create_time
        assert updated.update_time == clock.now
        assert updated.revision == 2
        assert created.etag.startswith("1-")
        assert updated.etag.startswith("2-")
        assert store.read(lambda unit: unit.providers.get("a")) == updated
