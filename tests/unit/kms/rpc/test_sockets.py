from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kms.rpc.sockets import SocketError, claim, restrict


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path: socket paths have at most 107 bytes."""
    with TemporaryDirectory(prefix="kms-") as name:
        yield Path(name)


def listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    return listener


class TestClaim:
    def test_makes_the_directory_private(self, directory: Path) -> None:
        claim(directory / "own" / "a.sock")
        assert (directory / "own").stat().st_mode & 0o777 == 0o700

    def test_refuses_a_live_listener(self, directory: Path) -> None:
        with listen(directory / "a.sock"), pytest.raises(SocketError, match="another process listens"):
            claim(directory / "a.sock")
        assert (directory / "a.sock").exists()

    def test_refuses_a_listener_too_busy_to_accept(self, directory: Path) -> None:
        with listen(directory / "a.sock") as listener:
            listener.listen(0)
            waiting = [
                socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) for _ in range(4)
            ]
            for each in waiting:
                each.connect_ex(str(directory / "a.sock"))
            with pytest.raises(SocketError, match="another process listens"):
                claim(directory / "a.sock")
            for each in waiting:
                each.close()

    def test_removes_a_leftover(self, directory: Path) -> None:
        listen(directory / "a.sock").close()
        claim(directory / "a.sock")
        assert not (directory / "a.sock").exists()

    def test_refuses_what_is_no_socket(self, directory: Path) -> None:
        (directory / "a.sock").write_text("mine")
        with pytest.raises(SocketError, match="not a socket"):
            claim(directory / "a.sock")
        assert (directory / "a.sock").read_text() == "mine"

    def test_refuses_a_link(self, directory: Path) -> None:
        (directory / "a.sock").symlink_to(directory / "elsewhere")
        with pytest.raises(SocketError, match="not a socket"):
            claim(directory / "a.sock")

    @pytest.mark.parametrize("mode", [0o755, 0o711, 0o770, 0o702])
    def test_refuses_a_directory_open_to_others(self, directory: Path, mode: int) -> None:
        directory.chmod(mode)
        with pytest.raises(SocketError, match="mode 0700 or 0750"):
            claim(directory / "a.sock")


@pytest.mark.parametrize(("directory_mode", "socket_mode"), [(0o700, 0o600), (0o750, 0o660), (0o710, 0o660)])
def test_restrict_follows_the_directory(directory: Path, directory_mode: int, socket_mode: int) -> None:
    """A group that may enter the directory is the role's account; all others stay out."""
    directory.chmod(directory_mode)
    with listen(directory / "a.sock"):
        restrict(directory / "a.sock")
        assert (directory / "a.sock").stat().st_mode & 0o777 == socket_mode
