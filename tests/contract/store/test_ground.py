"""A SQLite database whose files are deleted, replaced or overwritten under the registry, and its restore."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import pytest

from service.domain.errors import Unavailable
from service.domain.history import RevisionToken
from service.domain.model import Provider, SealedCredential
from service.domain.routers import Flush, Heard, RouterKey, Stamp
from service.store import Loss, Store, StoreStartError, Swap, WriteUnit, ground, migrate, open_store, restore
from service.store.ground import CHECKPOINT_BYTES
from tests.support.values.registry_values import START, ManualClock, a_credential, a_provider

TABLE = RevisionToken(UUID(int=1, version=4), UUID(int=2, version=4), 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a home whose name means something in a URL."""
    home = tmp_path / "x#y?z%41"
    home.mkdir()
    return home / "registry.db"


@pytest.fixture
def url(path: Path) -> str:
    migrate(url_of(path))
    return url_of(path)


@pytest.fixture
def store(url: str, clock: ManualClock) -> Iterator[Store]:
    opened = open_store(url, clock=clock)
    yield opened
    opened.close()


def url_of(path: Path) -> str:
    return f"sqlite:///{quote(str(path))}"


def beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def add(store: Store, provider_id: str) -> None:
    store.write(lambda unit: unit.providers.insert(a_provider(provider_id), None))


def providers(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT provider_id FROM providers")}


def store_id(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        [(found,)] = connection.execute("SELECT store_id FROM revision_counter")
        return str(found)


def remove_database(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        beside(path, end).unlink()


def remove_log(path: Path) -> None:
    beside(path, "-wal").unlink()


def copy_over(path: Path) -> None:
    shutil.copyfile(beside(path, ".older"), path)


def rename_over(path: Path) -> None:
    os.replace(beside(path, ".older"), path)


TAKEN_AWAY = [
    pytest.param(remove_database, "was deleted or replaced", id="all files deleted"),
    pytest.param(Path.unlink, "was deleted or replaced", id="database deleted"),
    pytest.param(rename_over, "was deleted or replaced", id="another file moved there"),
    pytest.param(copy_over, "was overwritten", id="an older copy over it"),
    pytest.param(remove_log, "lost its write-ahead log", id="log deleted"),
]


class TestLoss:
    @pytest.fixture
    def losses(self, store: Store) -> list[Loss]:
        found: list[Loss] = []
        store.on_loss = found.append
        return found

    @pytest.fixture(autouse=True)
    def older_copy(self, store: Store, path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("VACUUM INTO ?", (str(beside(path, ".older")),))

    @pytest.mark.parametrize(("take_away", "what"), TAKEN_AWAY)
    def test_is_noticed_before_the_next_acknowledgement(
        self, store: Store, path: Path, losses: list[Loss], take_away: Callable[[Path], None], what: str
    ) -> None:
        add(store, "acknowledged")
        take_away(path)
        with pytest.raises(Unavailable, match=what):
            add(store, "in-doubt")
        assert [loss.what for loss in losses] == [what]
        for call in (
            lambda: add(store, "later"),
            lambda: store.read(lambda unit: unit.log.head()),
            store.look,
        ):
            with pytest.raises(Unavailable, match=what):
                call()
        assert len(losses) == 1

    @pytest.mark.parametrize(("take_away", "what"), TAKEN_AWAY)
    def test_is_noticed_without_a_write(
        self, store: Store, path: Path, losses: list[Loss], take_away: Callable[[Path], None], what: str
    ) -> None:
        store.look()
        take_away(path)
        with pytest.raises(Unavailable, match=what):
            store.look()
        assert [loss.what for loss in losses] == [what]

    @pytest.mark.parametrize("take_away", [remove_database, Path.unlink, rename_over])
    def test_keeps_a_copy_of_all_that_was_acknowledged(
        self, store: Store, path: Path, losses: list[Loss], take_away: Callable[[Path], None]
    ) -> None:
        add(store, "acknowledged")
        take_away(path)
        with pytest.raises(Unavailable):
            store.look()
        [loss] = losses
        assert loss.kept is not None
        assert providers(loss.kept) == {"acknowledged"}
        assert loss.kept.stat().st_mode & 0o777 == 0o600

    def test_of_the_log_loses_nothing(self, store: Store, path: Path) -> None:
        add(store, "acknowledged")
        remove_log(path)
        with pytest.raises(Unavailable):
            store.look()
        assert providers(path) == {"acknowledged"}

    @pytest.mark.parametrize("take_away", [copy_over, rename_over])
    def test_leaves_no_log_that_would_be_read_into_another_database(
        self, store: Store, path: Path, take_away: Callable[[Path], None]
    ) -> None:
        add(store, "acknowledged")
        take_away(path)
        with pytest.raises(Unavailable):
            store.look()
        copy = beside(path, ".looked-at")
        shutil.copyfile(path, copy)  # as the next start finds it
        assert not beside(path, "-wal").exists()
        assert not beside(path, "-shm").exists()
        assert providers(copy) == set()
        assert [found.name for found in path.parent.glob("*.aside-*")] == [
            "registry.db-wal.aside-20260415T120000Z"
        ]


class TestCheckpoints:
    def test_are_no_loss(self, store: Store) -> None:
        for number in range(3):
            add(store, f"p{number}")
            store.write(lambda unit: unit.providers.delete(a_provider(f"p{number}")))  # noqa: B023 - runs now
            store.look()

    def test_keep_the_log_short(self, store: Store, path: Path) -> None:
        big = {f"k{number}": "v" * 4000 for number in range(60)}
        for number in range(40):
            provider = a_provider(f"p{number}", annotations=big)
            store.write(lambda unit, provider=provider: unit.providers.insert(provider, None))  # type: ignore[misc]
        assert beside(path, "-wal").stat().st_size < 2 * CHECKPOINT_BYTES
        assert path.stat().st_size > CHECKPOINT_BYTES
        store.look()

    @pytest.mark.parametrize(
        "commit",
        [
            pytest.param(
                lambda store, n: store.rewrap(lambda unit: unit.take_lease("a", seconds=n)), id="rewrap"
            ),
            pytest.param(
                lambda store, n: store.flush_routers(
                    Flush(
                        Stamp("one", n),
                        TABLE,
                        [(RouterKey("", f"gw-{n}", b""), Heard(START, "", began=True))],
                    )
                ),
                id="routers",
            ),
        ],
    )
    def test_follow_commits_without_a_revision(
        self,
        store: Store,
        path: Path,
        monkeypatch: pytest.MonkeyPatch,
        commit: Callable[[Store, int], object],
    ) -> None:
        monkeypatch.setattr(ground, "CHECKPOINT_BYTES", 64 << 10)
        for number in range(60):
            commit(store, number)
        assert beside(path, "-wal").stat().st_size < 2 * (64 << 10)
        store.look()

    def test_wait_for_readers(self, store: Store, path: Path) -> None:
        def read(unit: object) -> None:
            add(store, "p1")
            store.look()

        store.read(read)
        store.look()


class TestLock:
    def test_is_on_the_file_whatever_its_name(self, store: Store, path: Path, clock: ManualClock) -> None:
        link, other = path.with_name("link.db"), path.with_name("other.db")
        link.symlink_to(path)
        os.link(path, other)
        for name in (link, other):
            with pytest.raises(StoreStartError, match="another instance is running"):
                open_store(url_of(name), clock=clock)


class TestRestore:
    @pytest.fixture
    def backup(self, url: str, path: Path, tmp_path: Path, clock: ManualClock) -> Path:
        """Taken when there was one provider; the database has gone on since."""
        backup = tmp_path / "backup.db"
        with closing(open_store(url, clock=clock)) as store:
            add(store, "early")
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("VACUUM INTO ?", (str(backup),))
            add(store, "late")
        return backup

    def test_brings_the_backup_back_and_keeps_what_was_there(
        self, url: str, path: Path, backup: Path, clock: ManualClock
    ) -> None:
        done = restore(url, backup, now=START)
        assert done.revision == 1
        assert done.kept == beside(path, ".replaced-20260415T120000Z")
        assert providers(done.kept) == {"early", "late"}
        assert providers(path) == {"early"}
        assert store_id(path) != store_id(backup)
        assert path.stat().st_mode & 0o777 == 0o600
        with closing(open_store(url, clock=clock)) as store:
            add(store, "after")

    def test_works_where_the_database_is_gone(self, url: str, path: Path, backup: Path) -> None:
        path.unlink()
        assert restore(url, backup, now=START).kept is None
        assert providers(path) == {"early"}

    def test_takes_the_log_beside_a_copied_database_along(self, url: str, path: Path, tmp_path: Path) -> None:
        copied = tmp_path / "copied.db"
        with closing(open_store(url, clock=ManualClock())) as store:
            add(store, "only-in-the-log")
            for end in ("", "-wal"):
                shutil.copyfile(beside(path, end), beside(copied, end))
        path.unlink()
        restore(url, copied, now=START)
        assert providers(path) == {"only-in-the-log"}
        assert not beside(path, "-wal").exists()

    def test_does_not_mix_the_old_log_into_the_restored_database(
        self, url: str, path: Path, backup: Path
    ) -> None:
        beside(path, "-wal").write_bytes(b"left over by a crash")
        restore(url, backup, now=START)
        assert providers(path) == {"early"}
        assert beside(path, ".replaced-20260415T120000Z-wal").read_bytes() == b"left over by a crash"

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            pytest.param(None, "backup file .* not found", id="missing"),
            pytest.param(b"", "holds no registry", id="empty"),
            pytest.param(b"not a database" * 400, "damaged, or not a SQLite database", id="something else"),
        ],
    )
    def test_refuses_what_is_no_backup_and_changes_nothing(
        self, url: str, path: Path, tmp_path: Path, backup: Path, content: bytes | None, text: str
    ) -> None:
        wrong = tmp_path / "wrong.db"
        if content is not None:
            wrong.write_bytes(content)
        with pytest.raises(StoreStartError, match=text):
            restore(url, wrong, now=START)
        assert providers(path) == {"early", "late"}
        assert sorted(found.name for found in path.parent.glob("registry.db*")) == ["registry.db"]

    def test_refuses_a_damaged_backup(self, url: str, path: Path, backup: Path) -> None:
        damaged = bytearray(backup.read_bytes())
        damaged[4096 : 4096 * 12] = os.urandom(4096 * 11)
        backup.write_bytes(damaged)
        with pytest.raises(StoreStartError, match="damaged"):
            restore(url, backup, now=START)
        assert providers(path) == {"early", "late"}

    def test_refuses_while_the_registry_runs(self, url: str, backup: Path, clock: ManualClock) -> None:
        with (
            closing(open_store(url, clock=clock)),
            pytest.raises(StoreStartError, match="another instance is running"),
        ):
            restore(url, backup, now=START)

    def test_is_for_sqlite(self, backup: Path) -> None:
        with pytest.raises(StoreStartError, match="SQLite"):
            restore("postgresql://host/registry", backup, now=START)


def test_a_damaged_database_does_not_start(url: str, path: Path, clock: ManualClock) -> None:
    with closing(open_store(url, clock=clock)) as store:
        for number in range(300):
            add(store, f"p{number}")
    damaged = bytearray(path.read_bytes())
    middle = len(damaged) // 2 // 4096 * 4096
    damaged[middle : middle + 8192] = os.urandom(8192)
    path.write_bytes(damaged)
    with pytest.raises(StoreStartError, match="python -m service restore FILE"):
        open_store(url, clock=clock)


def anywhere(path: Path, octets: bytes) -> bool:
    """Whether some file beside the database, or itself, holds these bytes."""
    return any(octets in each.read_bytes() for each in path.parent.iterdir())


def sealed_provider(store: Store) -> SealedCredential:
    view, sealed = a_credential()
    store.write(lambda unit: unit.providers.insert(a_provider("acme", credential=view), sealed))
    return sealed


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Another process that reads: SQLite's log cannot be emptied meanwhile."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM providers").fetchall()
        yield


class TestWhatIsDestroyed:
    def test_is_gone_from_all_files_a_look_after_a_reader_was_in_the_way(
        self, store: Store, path: Path
    ) -> None:
        sealed = sealed_provider(store)
        view, replacing = a_credential(version=2)

        def replace_credential(unit: WriteUnit) -> None:
            before = unit.providers.get("acme")
            assert before is not None
            unit.providers.update(before, replace(before, credential=view), replacing)

        with reading(path):
            store.write(replace_credential)
            store.look()
            assert anywhere(path, sealed.envelope)
        store.look()
        assert not anywhere(path, sealed.envelope)
        assert not anywhere(path, sealed.wrapped_data_key)
        assert anywhere(path, replacing.envelope)

    def test_is_gone_a_look_after_wrapped_keys_were_moved(self, store: Store, path: Path) -> None:
        sealed = sealed_provider(store)
        swap = Swap(str(sealed.dek_id), sealed.key_version, b"moved-to-another-version", "keyVersions/v2")
        assert store.rewrap(lambda unit: unit.swap([swap])) == 1
        store.look()
        assert not anywhere(path, sealed.wrapped_data_key)
        assert anywhere(path, swap.wrapped)

    def test_is_gone_a_look_after_the_next_start(self, url: str, path: Path, clock: ManualClock) -> None:
        with closing(open_store(url, clock=clock)) as store:
            sealed = sealed_provider(store)
            with reading(path):  # at a moment before the deletion, and the process ends meanwhile
                store.write(lambda unit: unit.providers.delete(a_stored(unit)))
                for end in ("", "-wal"):
                    shutil.copyfile(beside(path, end), beside(path, end).with_name(f"left.db{end}"))
        left = path.with_name("left.db")
        with closing(open_store(url_of(left), clock=clock)) as store:
            assert sealed.envelope in beside(left, "-wal").read_bytes() + left.read_bytes()
            store.look()
            assert sealed.envelope not in beside(left, "-wal").read_bytes() + left.read_bytes()


def a_stored(unit: WriteUnit) -> Provider:
    found = unit.providers.get("acme")
    assert found is not None
    return found


class TestALink:
    def test_leads_to_the_same_database(
        self, path: Path, url: str, clock: ManualClock, tmp_path: Path
    ) -> None:
        link = tmp_path / "elsewhere" / "other.db"
        link.parent.mkdir()
        link.symlink_to(path)
        with closing(open_store(url_of(link), clock=clock)) as store:
            add(store, "acme")
            store.look()
            with pytest.raises(StoreStartError, match="another instance is running"):
                open_store(url, clock=clock)
        assert providers(path) == {"acme"}
        assert [*link.parent.iterdir()] == [link]
