from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from kms.files.generations import KeyringFile, KeyringLocked
from kms.files.private import FileError

LIMIT = 1 << 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    directory = tmp_path / "kms"
    directory.mkdir(mode=0o700)
    return directory / "keyring.json"


class TestGenerations:
    def test_three_are_kept(self, path: Path) -> None:
        with closing(KeyringFile(path, limit=LIMIT)) as file:
            file.create(b"1")
            for content in (b"2", b"3", b"4"):
                file.replace(content)
            assert file.read() == b"4"
        kept = {each.name: each.read_bytes() for each in path.parent.iterdir()}
        assert kept == {
            "keyring.json": b"4",
            "keyring.json.1": b"3",
            "keyring.json.2": b"2",
            "keyring.json.lock": b"",
        }
        assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}

    def test_create_never_replaces(self, path: Path) -> None:
        with closing(KeyringFile(path, limit=LIMIT)) as file:
            file.create(b"1")
            with pytest.raises(FileExistsError):
                file.create(b"2")
            assert file.read() == b"1"


class TestInterruptedReplace:
    """Wherever a replacement stops, the file is the old or the new one, whole; the next succeeds."""

    @pytest.mark.parametrize("step", range(1, 12))
    @pytest.mark.parametrize("call", ["rename", "fsync", "open", "write"])
    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["disk full", "I/O error"])
    def test_disk_fault(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, call: str, step: int, code: int
    ) -> None:
        with closing(KeyringFile(path, limit=LIMIT)) as file:
            file.create(b"old")
            file.replace(b"old too")
            genuine = getattr(os, call)
            calls = 0

            def faulty(*arguments: object, **options: object) -> object:
                nonlocal calls
                calls += 1
                if calls == step:
                    raise OSError(code, os.strerror(code))
                return genuine(*arguments, **options)

            with monkeypatch.context() as patch:
                patch.setattr(os, call, faulty)
                with suppress(OSError, FileError):
                    file.replace(b"new")
            assert file.read() in (b"old too", b"new")
            file.replace(b"newer")
            assert file.read() == b"newer"

    @pytest.mark.parametrize("step", [1, 2, 3])
    def test_killed_at_a_rename(self, path: Path, step: int) -> None:
        """A real process that dies without cleaning up."""
        with closing(KeyringFile(path, limit=LIMIT)) as file:
            file.create(b"old")
            file.replace(b"old too")
        program = f"""
import os
from pathlib import Path
from kms.files.generations import KeyringFile
file = KeyringFile(Path({str(path)!r}), limit={LIMIT})
genuine, calls = os.rename, 0
def dying(*arguments, **options):
    global calls
    calls += 1
    if calls == {step}:
        os._exit(9)
    genuine(*arguments, **options)
os.rename = dying
file.replace(b"new")
"""
        repository = Path(__file__).parents[4]
        finished = subprocess.run([sys.executable, "-c", program], check=False, cwd=repository)
        assert finished.returncode == 9
        with closing(KeyringFile(path, limit=LIMIT)) as file:
            assert file.read() == b"old too"
            file.replace(b"newer")
            assert file.read() == b"newer"
        assert not path.with_name("keyring.json.tmp").exists()


class TestLock:
    def test_one_holder(self, path: Path) -> None:
        with closing(KeyringFile(path, limit=LIMIT)), pytest.raises(KeyringLocked, match="another process"):
            KeyringFile(path, limit=LIMIT)

    def test_free_after_close(self, path: Path) -> None:
        KeyringFile(path, limit=LIMIT).close()
        KeyringFile(path, limit=LIMIT).close()

    def test_a_link_for_a_lock_is_refused(self, path: Path) -> None:
        path.with_name("keyring.json.lock").symlink_to(path.with_name("elsewhere"))
        with pytest.raises(FileError, match="lock file"):
            KeyringFile(path, limit=LIMIT)
        assert not path.with_name("elsewhere").exists()


class TestDiscipline:
    def test_a_directory_open_to_others_is_refused(self, path: Path) -> None:
        path.parent.chmod(0o755)
        with pytest.raises(FileError, match="0700"):
            KeyringFile(path, limit=LIMIT)

    def test_a_linked_keyring_is_refused(self, path: Path) -> None:
        with closing(KeyringFile(path, limit=LIMIT)) as file:
            file.create(b"1")
            path.rename(path.with_name("real"))
            path.symlink_to(path.with_name("real"))
            with pytest.raises(FileError, match="symbolic link"):
                file.read()

    def test_the_directory_is_the_one_that_was_checked(self, path: Path) -> None:
        """Replacing the directory on disk does not divert a running process."""
        with closing(KeyringFile(path, limit=LIMIT)) as file:
            file.create(b"mine")
            path.parent.rename(path.parent.with_name("moved"))
            path.parent.mkdir(mode=0o755)
            path.write_bytes(b"planted")
            assert file.read() == b"mine"
