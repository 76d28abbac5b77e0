from __future__ import annotations

import os
from pathlib import Path

import pytest

from kms.files.private import (
    FileError,
    create_private,
    open_private_directory,
    read_private,
    read_systemd_credential,
)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    create_private(path, b"content")
    return path


class TestReadPrivate:
    def test_reads_what_was_created(self, secret: Path) -> None:
        assert read_private(secret, limit=7) == b"content"
        assert secret.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o700, 0o660, 0o666])
    def test_refuses_a_mode_that_is_not_private(self, secret: Path, mode: int) -> None:
        secret.chmod(mode)
        with pytest.raises(FileError, match="0600"):
            read_private(secret, limit=7)

    def test_refuses_a_symbolic_link(self, secret: Path) -> None:
        link = secret.with_name("link")
        link.symlink_to(secret)
        with pytest.raises(FileError, match="symbolic link"):
            read_private(link, limit=7)

    def test_refuses_a_second_name(self, secret: Path) -> None:
        os.link(secret, secret.with_name("second"))
        with pytest.raises(FileError, match="one name"):
            read_private(secret, limit=7)

    def test_refuses_a_fifo_without_waiting_for_a_writer(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo", 0o600)
        with pytest.raises(FileError, match="regular"):
            read_private(tmp_path / "fifo", limit=7)

    def test_refuses_a_directory(self, tmp_path: Path) -> None:
        (tmp_path / "directory").mkdir(mode=0o700)
        with pytest.raises(FileError, match="regular"):
            read_private(tmp_path / "directory", limit=7)

    def test_refuses_a_longer_file(self, secret: Path) -> None:
        with pytest.raises(FileError, match="longer than 6 bytes"):
            read_private(secret, limit=6)

    def test_a_missing_file_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            read_private(tmp_path / "nothing", limit=7)


class TestCreatePrivate:
    def test_never_overwrites(self, secret: Path) -> None:
        with pytest.raises(FileExistsError):
            create_private(secret, b"other")
        assert secret.read_bytes() == b"content"

    def test_never_follows_a_dangling_link(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "target")
        with pytest.raises(FileExistsError):
            create_private(tmp_path / "link", b"content")
        assert not (tmp_path / "target").exists()

    def test_leaves_nothing_else_behind(self, secret: Path) -> None:
        assert list(secret.parent.iterdir()) == [secret]

    def test_replaces_the_leftover_of_an_interrupted_run(self, tmp_path: Path) -> None:
        (tmp_path / "secret.tmp").write_bytes(b"half")
        create_private(tmp_path / "secret", b"whole")
        assert (tmp_path / "secret").read_bytes() == b"whole"


class TestOpenPrivateDirectory:
    @pytest.mark.parametrize("mode", [0o750, 0o701, 0o755, 0o770])
    def test_refuses_a_directory_open_to_others(self, tmp_path: Path, mode: int) -> None:
        (tmp_path / "directory").mkdir()
        (tmp_path / "directory").chmod(mode)
        with pytest.raises(FileError, match="0700"):
            open_private_directory(tmp_path / "directory")

    def test_refuses_a_link_to_a_private_directory(self, tmp_path: Path) -> None:
        (tmp_path / "directory").mkdir(mode=0o700)
        (tmp_path / "link").symlink_to(tmp_path / "directory")
        with pytest.raises(FileError, match="symbolic link"):
            open_private_directory(tmp_path / "link")

    def test_refuses_what_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(FileError, match="does not exist"):
            open_private_directory(tmp_path / "nothing")


class TestSystemdCredential:
    def test_group_bits_are_the_mask_of_an_acl(self, secret: Path) -> None:
        secret.chmod(0o440)
        assert read_systemd_credential(secret, limit=7) == b"content"

    def test_refuses_bits_of_others(self, secret: Path) -> None:
        secret.chmod(0o444)
        with pytest.raises(FileError, match="closed"):
            read_systemd_credential(secret, limit=7)
