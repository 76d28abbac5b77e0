"""Unix sockets: the path is the identity, so it is checked before it is bound."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

from kms.errors import StartError
from kms.files.private import make_private_directory


class SocketError(StartError):
    """A socket cannot be bound where the settings say; one sentence."""


def claim(path: Path) -> None:
    """Make ``path`` free to bind: its directory is private (a group may enter), no process listens on it.

    The left-over of a killed process is removed. gRPC itself would silently bind over a live server.

    Raises:
        SocketError: the directory is open to others, or the path is taken.
    """
    make_private_directory(path.parent)
    status = path.parent.stat()
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o027:
        raise SocketError(
            f"the socket directory {path.parent} must belong to this account, mode 0700 or 0750"
        )
    if not os.path.lexists(path):
        return
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise SocketError(f"{path} exists and is not a socket")
    if _listening(path):
        raise SocketError(f"another process listens on {path}")
    path.unlink()


def restrict(path: Path) -> None:
    """Give a bound socket mode 0600, or 0660 where its directory lets the group in (an account per role)."""
    group = stat.S_IMODE(path.parent.stat().st_mode) & stat.S_IXGRP
    path.chmod(0o660 if group else 0o600)


def _listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno != errno.ECONNREFUSED
    return True
