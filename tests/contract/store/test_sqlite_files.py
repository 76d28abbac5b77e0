"""What a database in a file needs beyond SQL: one process, private files, and bytes gone when deleted."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from service.domain.model import Provider, SealedCredential
from service.store import ReadUnit, Store, StoreStartError, engines, migrate, open_store
from tests.support.values.registry_values import DRY_RUN, ManualClock, a_credential, a_provider


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "registry.db"


@pytest.fixture
def url(path: Path) -> str:
    url = f"sqlite:///{path}"
    migrate(url)
    return url


@pytest.fixture
def store(url: str, clock: ManualClock) -> Iterator[Store]:
    opened = open_store(url, clock=clock)
    yield opened
    opened.close()


def with_credential(store: Store) -> tuple[Provider, SealedCredential]:
    view, sealed = a_credential()
    provider = a_provider(credential=view)
    return store.write(lambda unit: unit.providers.insert(provider, sealed)), sealed


def files_holding(needle: bytes, path: Path) -> list[str]:
    return [found.name for found in sorted(path.parent.iterdir()) if needle in found.read_bytes()]


class TestOneProcess:
    def test_is_all_that_may_run(self, store: Store, url: str, clock: ManualClock) -> None:
        for start in (lambda: open_store(url, clock=clock), lambda: migrate(url)):
            with pytest.raises(StoreStartError, match=r"another instance is running on .*registry\.db"):
                start()
        assert store.read(lambda unit: unit.log.head()).revision == 0

    def test_leaves_no_lock_behind_when_killed(self, url: str, clock: ManualClock) -> None:
        code = (
            "import sys\n"
            "from datetime import UTC, datetime\n"
            "from service.store import open_store\n"
            "store = open_store(sys.argv[1], clock=lambda: datetime.now(UTC))\n"
            "print('open', flush=True)\n"
            "sys.stdin.read()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"open\n"
            with pytest.raises(StoreStartError):
                open_store(url, clock=clock)
            process.send_signal(signal.SIGKILL)
        open_store(url, clock=clock).close()


class TestFiles:
    def test_are_private(self, store: Store, path: Path) -> None:
        with_credential(store)
        modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
        assert set(modes) == {"registry.db", "registry.db-wal", "registry.db-shm"}
        assert set(modes.values()) == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_are_made_private(self, url: str, path: Path, clock: ManualClock) -> None:
        path.chmod(0o644)
        open_store(url, clock=clock).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_that_are_no_database_are_refused(self, path: Path, clock: ManualClock) -> None:
        path.parent.mkdir()
        path.write_bytes(b"not a database" * 100)
        for start in (
            lambda: open_store(f"sqlite:///{path}", clock=clock),
            lambda: migrate(f"sqlite:///{path}"),
        ):
            with pytest.raises(StoreStartError, match=r"registry\.db cannot be used"):
                start()

    @pytest.mark.parametrize("kind", ["a folder", "below a file"])
    def test_that_cannot_be_opened_are_refused(self, tmp_path: Path, kind: str) -> None:
        target = tmp_path / "x"
        if kind == "a folder":
            target.mkdir()
        else:
            target.write_text("")
            target = target / "registry.db"
        with pytest.raises(StoreStartError, match="cannot open the database file"):
            migrate(f"sqlite:///{target}")


class TestPragmas:
    def test_hold_on_every_connection(self, url: str) -> None:
        engine = engines.create(engines.parse_url(url))
        wanted = {
            "journal_mode": "wal",
            "synchronous": 2,  # FULL
            "foreign_keys": 1,
            "busy_timeout": 2000,
            "secure_delete": 1,
            "trusted_schema": 0,
            "cache_size": -65536,
        }
        with engine.connect() as first, engine.connect() as second:
            for connection in (first, second):
                found = {name: connection.scalar(text(f"PRAGMA {name}")) for name in wanted}
                assert found == wanted
        engine.dispose()


class TestShredding:
    """Neither the database nor its log holds a credential's bytes once it is replaced or deleted."""

    def test_after_replacing(self, store: Store, path: Path) -> None:
        before, old = with_credential(store)
        assert files_holding(old.wrapped_data_key, path)
        view, new = a_credential(2)
        store.write(lambda unit: unit.providers.update(before, replace(before, credential=view), new))
        for needle in (old.envelope, old.wrapped_data_key):
            assert files_holding(needle, path) == []
        assert files_holding(new.wrapped_data_key, path) == ["registry.db"]

    def test_after_deleting(self, store: Store, path: Path) -> None:
        provider, sealed = with_credential(store)
        store.write(lambda unit: unit.providers.delete(provider))
        for needle in (sealed.envelope, sealed.wrapped_data_key):
            assert files_holding(needle, path) == []

    def test_waits_for_readers_until_the_next_commit(self, store: Store, path: Path) -> None:
        provider, sealed = with_credential(store)

        def read(unit: ReadUnit) -> None:
            assert unit.providers.get("acme") == provider
            store.write(lambda writing: writing.providers.delete(provider))

        store.read(read)
        assert files_holding(sealed.wrapped_data_key, path)
        store.write(lambda unit: unit.providers.insert(a_provider("other"), None))
        assert files_holding(sealed.wrapped_data_key, path) == []

    def test_does_not_happen_for_a_preview(self, store: Store, path: Path) -> None:
        provider, sealed = with_credential(store)
        store.write(lambda unit: unit.providers.delete(provider), DRY_RUN)
        assert files_holding(sealed.wrapped_data_key, path)
        assert store.read(lambda unit: unit.providers.sealed_credentials(["acme"])) == {"acme": sealed}


def test_umask_does_not_matter(path: Path) -> None:
    """Files are private even where the process would make them public."""
    before = os.umask(0)
    try:
        migrate(f"sqlite:///{path}")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()} == {0o600}
