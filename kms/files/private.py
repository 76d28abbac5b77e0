"""Files that only this account may touch: opened without following links, checked once open.

Checks use the open descriptor (fstat), never the path, so that nothing can be swapped in between.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from kms.errors import StartError
from kms.files.disk import DISK, Disk, write_all

_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class FileError(StartError):
    """A file or directory is not private enough; one sentence for the operator."""


def make_private_directory(path: Path) -> None:
    """Create ``path`` with mode 0700 and parents by the umask; leave an existing one alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)


def open_private_directory(path: Path) -> int:
    """Return a descriptor of a directory that this account owns, of mode 0700.

    Raises:
        FileError: it is missing, a link, not a directory, of another owner, or open to others.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise FileError(f"the directory {path} does not exist") from None
    except NotADirectoryError:
        raise FileError(f"{path} is a symbolic link or not a directory") from None
    except OSError as error:
        raise FileError(f"the directory {path} cannot be opened: {error.strerror}") from None
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        os.close(descriptor)
        raise FileError(f"the directory {path} must belong to this account and have mode 0700")
    return descriptor


def read_private(path: Path, *, limit: int, directory: int | None = None) -> bytes:
    """Return the content of a file: at most ``limit`` bytes, of this account, mode 0600 or less, no link.

    ``directory``, a descriptor, is where the last component of ``path`` is looked up.

    Raises:
        FileNotFoundError: there is no such file.
        FileError: the file is not private, not regular, or too long.
    """
    descriptor = _open_existing(path, directory)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise FileError(f"{path} must be a regular file with one name")
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o177:
            raise FileError(f"{path} must belong to this account and have mode 0600")
        return _read_up_to(descriptor, path, limit)
    finally:
        os.close(descriptor)


def read_systemd_credential(path: Path, *, limit: int) -> bytes:
    """Return the content of a credential that systemd placed: of root or this account, closed to others.

    systemd grants a non-root service access by an ACL, whose mask shows as group bits, so only the bits for
    others are checked. Raises as ``read_private`` does.
    """
    descriptor = _open_existing(path, None)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in (0, os.geteuid()):
            raise FileError(f"{path} must be a regular file of root or of this account")
        if stat.S_IMODE(status.st_mode) & 0o007:
            raise FileError(f"{path} must be closed to other accounts")
        return _read_up_to(descriptor, path, limit)
    finally:
        os.close(descriptor)


def create_private(path: Path, content: bytes, *, disk: Disk = DISK) -> None:
    """Write a new file with mode 0600, durable on return. Raises FileExistsError.

    The name appears only with the whole content, so an interrupted ``init`` can be run again. The caller
    holds a lock against another ``init``.
    """
    if os.path.lexists(path):
        raise FileExistsError(path)
    put_private(path, content, disk=disk)


def put_private(path: Path, content: bytes, *, disk: Disk = DISK) -> None:
    """Make ``content`` that of a file with mode 0600, whole or not at all, durable on return."""
    temporary = path.with_name(path.name + ".tmp")
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        write_synced(temporary, content, directory=directory, disk=disk)
        disk.rename(temporary.name, path.name, directory=directory)
        disk.sync(directory)
    finally:
        os.close(directory)


def write_synced(path: Path, content: bytes, *, directory: int, disk: Disk = DISK) -> None:
    """Write a file of mode 0600 and sync it, after removing a left-over of that name."""
    with suppress(FileNotFoundError):
        disk.unlink(path.name, directory=directory)
    descriptor = disk.open(path.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, directory=directory)
    try:
        write_all(disk, descriptor, content)
        disk.sync(descriptor)
    finally:
        os.close(descriptor)


def _open_existing(path: Path, directory: int | None) -> int:
    try:
        return os.open(path if directory is None else path.name, _READ_FLAGS, dir_fd=directory)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_symlink():
            raise FileError(f"{path} is a symbolic link") from None
        raise FileError(f"{path} cannot be opened: {error.strerror}") from None


def _read_up_to(descriptor: int, path: Path, limit: int) -> bytes:
    content = b""
    while chunk := os.read(descriptor, limit + 1 - len(content)):
        content += chunk
        if len(content) > limit:
            raise FileError(f"{path} is longer than {limit} bytes")
    return content
