"""Data keys in bulk: the work list, compare-and-swap, quarantine, the lease, the digest."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from service.domain.model import SealedCredential, State, StoredWrapper
from service.store import Backlog, Failed, RewrapUnit, Store, Swap, open_store
from tests.support.values.registry_values import ManualClock, a_credential, a_provider, a_provider_model

OLD, NEW = "keyVersions/v1", "keyVersions/v2"


@pytest.fixture
def corrupt(url: str) -> Callable[[str], None]:
    """Runs one statement past the store, as somebody with a shell would."""

    def run(statement: str) -> None:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text(statement))
        engine.dispose()

    return run


def sealed_providers(store: Store, count: int, *, key_version: str = OLD) -> list[SealedCredential]:
    """Providers p0, p1, … with a credential each; their sealed credentials in key order."""
    made = []
    for number in range(count):
        view, sealed = a_credential()
        sealed = replace(sealed, key_version=key_version)
        provider = replace(a_provider(f"p{number}"), credential=view)
        store.write(lambda unit, p=provider, s=sealed: unit.providers.insert(p, s))  # type: ignore[misc]
        made.append(sealed)
    return sorted(made, key=lambda one: str(one.dek_id))


def stale(store: Store, *, primary: str = NEW, after: str = "", limit: int = 100) -> list[StoredWrapper]:
    return store.read(lambda unit: unit.data_keys.stale(primary, after=after, limit=limit))


def backlog(store: Store, *, primary: str = NEW) -> Backlog:
    return store.read(lambda unit: unit.data_keys.backlog(primary))


def moved(item: StoredWrapper, wrapped: bytes = b"moved") -> Swap:
    return Swap(item.dek_id, item.key_version, wrapped, NEW)


def failed(item: StoredWrapper, *, counted: bool = True) -> Failed:
    return Failed(item.dek_id, item.key_version, "CREDENTIAL_CORRUPT", counted)


class TestWorkList:
    def test_is_empty_without_credentials(self, store: Store) -> None:
        assert stale(store) == []
        assert backlog(store) == Backlog({}, 0, 0)

    def test_holds_what_is_not_under_the_primary_in_key_order(self, store: Store) -> None:
        made = sealed_providers(store, 5)
        found = stale(store)
        assert [item.dek_id for item in found] == [str(one.dek_id) for one in made]
        assert found[0] == StoredWrapper(
            str(made[0].dek_id), made[0].wrapped_data_key, OLD, made[0].context, made[0].commitment
        )
        assert stale(store, primary=OLD) == []

    def test_comes_in_pages(self, store: Store) -> None:
        made = sealed_providers(store, 5)
        first = stale(store, limit=2)
        rest = stale(store, after=first[-1].dek_id)
        assert [item.dek_id for item in first + rest] == [str(one.dek_id) for one in made]

    def test_counts_by_version(self, store: Store) -> None:
        sealed_providers(store, 3)
        [item, *_] = stale(store)
        store.rewrap(lambda unit: unit.swap([moved(item)]))
        counted = backlog(store)
        assert counted == Backlog({OLD: 2, NEW: 1}, 2, 0)
        assert (counted.total, counted.remaining) == (3, 2)


class TestSwap:
    def test_stores_the_wrapper_and_its_version_and_nothing_else(self, store: Store) -> None:
        [sealed] = sealed_providers(store, 1)
        before = store.read(
            lambda unit: (unit.log.head(), unit.data_keys.providers_digest(), unit.routing_entries())
        )
        [item] = stale(store)
        assert store.rewrap(lambda unit: unit.swap([moved(item)])) == 1
        assert store.read(lambda unit: unit.providers.sealed_credentials(["p0"])) == {
            "p0": replace(sealed, wrapped_data_key=b"moved", key_version=NEW)
        }
        after = store.read(
            lambda unit: (unit.log.head(), unit.data_keys.providers_digest(), unit.routing_entries())
        )
        assert after == before

    def test_of_many_is_one_transaction(self, store: Store) -> None:
        sealed_providers(store, 20)
        items = stale(store)
        assert store.rewrap(lambda unit: unit.swap([moved(item) for item in items])) == 20
        assert stale(store) == []

    def test_of_none_does_nothing(self, store: Store) -> None:
        assert store.rewrap(lambda unit: unit.swap([])) == 0

    def test_loses_to_whoever_was_first(self, store: Store) -> None:
        sealed_providers(store, 3)
        items = stale(store)
        assert store.rewrap(lambda unit: unit.swap([moved(items[1], b"first")])) == 1
        assert store.rewrap(lambda unit: unit.swap([moved(item, b"second") for item in items])) == 2
        stored = {
            pair.data_key.wrapped for pair in store.read(lambda unit: unit.data_keys.pairs(after="", limit=9))
        }
        assert stored == {b"first", b"second"}

    def test_loses_to_a_credential_that_was_replaced_or_deleted(self, store: Store) -> None:
        sealed_providers(store, 2)
        items = stale(store)
        provider = store.read(lambda unit: unit.providers.get("p0"))
        assert provider is not None
        view, sealed = a_credential(version=2)
        store.write(lambda unit: unit.providers.update(provider, replace(provider, credential=view), sealed))
        gone = store.read(lambda unit: unit.providers.get("p1"))
        assert gone is not None
        store.write(lambda unit: unit.providers.delete(gone))
        assert store.rewrap(lambda unit: unit.swap([moved(item) for item in items])) == 0
        assert store.read(lambda unit: unit.providers.sealed_credentials(["p0"])) == {"p0": sealed}

    def test_an_error_leaves_nothing(self, store: Store) -> None:
        sealed_providers(store, 1)
        [item] = stale(store)

        def work(unit: RewrapUnit) -> None:
            unit.swap([moved(item)])
            raise RuntimeError

        with pytest.raises(RuntimeError):
            store.rewrap(work)
        assert stale(store) == [item]


class TestQuarantine:
    def test_begins_with_the_third_failure(self, store: Store) -> None:
        sealed_providers(store, 2)
        item, other = stale(store)
        for remaining in (2, 2, 1):
            store.rewrap(lambda unit: unit.fail([failed(item)]))
            assert backlog(store).remaining == remaining
        assert stale(store) == [other]
        assert backlog(store) == Backlog({OLD: 2}, 2, 1)
        [fault] = store.read(lambda unit: unit.data_keys.quarantined(NEW, limit=100))
        assert (fault.dek_id, fault.key_version, fault.failed_count, fault.fault) == (
            item.dek_id,
            OLD,
            3,
            "CREDENTIAL_CORRUPT",
        )
        assert fault.provider_id in ("p0", "p1")

    def test_faults_that_pass_are_noted_and_not_counted(self, store: Store) -> None:
        sealed_providers(store, 1)
        [item] = stale(store)
        for _ in range(5):
            store.rewrap(lambda unit: unit.fail([failed(item, counted=False)]))
        assert backlog(store).quarantined == 0
        [fault] = store.read(lambda unit: unit.data_keys.faults([item.dek_id]))
        assert (fault.failed_count, fault.fault) == (0, "CREDENTIAL_CORRUPT")

    def test_ends_when_released(self, store: Store) -> None:
        sealed_providers(store, 2)
        item, _ = stale(store)
        for _ in range(3):
            store.rewrap(lambda unit: unit.fail([failed(item)]))
        assert store.rewrap(lambda unit: unit.release_quarantined()) == 1
        assert len(stale(store)) == 2

    def test_a_move_forgets_failures(self, store: Store) -> None:
        sealed_providers(store, 1)
        [item] = stale(store)
        store.rewrap(lambda unit: unit.fail([failed(item)]))
        store.rewrap(lambda unit: unit.swap([moved(item)]))
        [fault] = store.read(lambda unit: unit.data_keys.faults([item.dek_id]))
        assert (fault.failed_count, fault.fault, fault.key_version) == (0, "", NEW)

    def test_a_failure_of_what_was_moved_meanwhile_is_none(self, store: Store) -> None:
        sealed_providers(store, 1)
        [item] = stale(store)
        store.rewrap(lambda unit: unit.swap([moved(item)]))
        store.rewrap(lambda unit: unit.fail([failed(item)]))
        [fault] = store.read(lambda unit: unit.data_keys.faults([item.dek_id]))
        assert fault.failed_count == 0


class TestLease:
    def test_is_held_by_one_until_it_expires(self, store: Store, clock: ManualClock) -> None:
        assert store.rewrap(lambda unit: unit.take_lease("a", seconds=10))
        assert not store.rewrap(lambda unit: unit.take_lease("b", seconds=10))
        clock.advance(seconds=9)
        assert store.rewrap(lambda unit: unit.take_lease("a", seconds=10))
        clock.advance(seconds=9)
        assert not store.rewrap(lambda unit: unit.take_lease("b", seconds=10))
        clock.advance(seconds=1)
        assert store.rewrap(lambda unit: unit.take_lease("b", seconds=10))
        assert store.read(lambda unit: unit.data_keys.sweep_lease().holder) == "b"

    def test_is_given_back_by_its_holder_alone(self, store: Store) -> None:
        store.rewrap(lambda unit: unit.take_lease("a", seconds=10))
        store.rewrap(lambda unit: unit.give_lease("b"))
        assert store.read(lambda unit: unit.data_keys.sweep_lease().holder) == "a"
        store.rewrap(lambda unit: unit.give_lease("a"))
        assert store.rewrap(lambda unit: unit.take_lease("b", seconds=10))

    def test_takes_no_revision(self, store: Store) -> None:
        store.rewrap(lambda unit: unit.take_lease("a", seconds=10))
        assert store.read(lambda unit: unit.log.head().revision) == 0


class TestPairs:
    def test_bring_what_a_wrapper_must_agree_with(self, store: Store) -> None:
        [sealed] = sealed_providers(store, 1)
        provider = store.read(lambda unit: unit.providers.get("p0"))
        [pair] = store.read(lambda unit: unit.data_keys.pairs(after="", limit=10))
        assert provider is not None
        assert pair.credential is not None
        assert pair.credential.provider_id == "p0"
        assert pair.credential.provider_uid == provider.uid
        assert pair.credential.version == sealed.version
        assert pair.credential.header == sealed.envelope[:56]
        assert store.read(lambda unit: unit.data_keys.pairs(after=pair.data_key.dek_id, limit=10)) == []

    def test_show_data_keys_and_credentials_that_have_lost_each_other(
        self, store: Store, corrupt: Callable[[str], None], dialect: str
    ) -> None:
        sealed_providers(store, 2)
        if dialect == "postgresql":
            corrupt("ALTER TABLE credentials DISABLE TRIGGER ALL")
        corrupt(
            "UPDATE credentials SET dek_id = '00000000-0000-4000-8000-00000000ffff' WHERE provider_id = 'p0'"
        )
        pairs = store.read(lambda unit: unit.data_keys.pairs(after="", limit=10))
        assert sorted(pair.credential is None for pair in pairs) == [False, True]
        assert store.read(lambda unit: unit.data_keys.orphaned_credentials()) == ["p0"]
        if dialect == "postgresql":
            corrupt("DELETE FROM credentials WHERE provider_id = 'p0'")
            corrupt("ALTER TABLE credentials ENABLE TRIGGER ALL")


class TestDigest:
    @staticmethod
    def of(store: Store) -> bytes:
        return store.read(lambda unit: unit.data_keys.providers_digest()).sha256

    def test_counts_what_it_covers(self, store: Store) -> None:
        sealed_providers(store, 2)
        store.write(lambda unit: unit.provider_models.insert([a_provider_model("m1", provider_id="p0")]))
        digest = store.read(lambda unit: unit.data_keys.providers_digest())
        head = store.read(lambda unit: unit.log.head())
        assert (digest.providers, digest.credentials, digest.provider_models) == (2, 2, 1)
        assert (digest.revision, digest.store_id) == (head.revision, head.store_id)

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE providers SET etag = etag || '0' WHERE provider_id = 'p0'",
            "UPDATE providers SET update_time = update_time + 1 WHERE provider_id = 'p1'",
            "UPDATE providers SET revision = revision + 1 WHERE provider_id = 'p1'",
            "UPDATE credentials SET prefix = 'sk-x' WHERE provider_id = 'p0'",
            "UPDATE credentials SET version = 2 WHERE provider_id = 'p0'",
            "UPDATE provider_models SET needs_review = NOT needs_review",
            "DELETE FROM provider_models",
        ],
    )
    def test_shows_any_change_of_any_row(
        self, store: Store, corrupt: Callable[[str], None], statement: str
    ) -> None:
        sealed_providers(store, 2)
        store.write(lambda unit: unit.provider_models.insert([a_provider_model("m1", provider_id="p0")]))
        before = self.of(store)
        assert self.of(store) == before
        corrupt(statement)
        assert self.of(store) != before

    def test_is_the_same_for_the_same_rows_on_either_database(
        self, store: Store, clock: ManualClock, migrated_file: Path, tmp_path: Path
    ) -> None:
        """So a move from one database to the other can be checked by it."""
        copy = tmp_path / "copy.db"
        shutil.copyfile(migrated_file, copy)
        view, sealed = a_credential()
        provider, model = replace(a_provider("p0"), credential=view), a_provider_model("m1", provider_id="p0")
        with closing(open_store(f"sqlite:///{copy}", clock=clock)) as other:
            for each in (store, other):
                each.write(lambda unit: unit.providers.insert(provider, sealed))
                each.write(lambda unit: unit.provider_models.insert([model]))
            assert self.of(other) == self.of(store)

    def test_shows_what_the_registry_itself_changes(self, store: Store) -> None:
        [_] = sealed_providers(store, 1)
        before = self.of(store)
        provider = store.read(lambda unit: unit.providers.get("p0"))
        assert provider is not None
        store.write(lambda unit: unit.providers.update(provider, replace(provider, state=State.DISABLED)))
        assert self.of(store) != before
