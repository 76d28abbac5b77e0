"""A locked file with generations: one process, atomic replacement, nothing half-written.

Keyrings and Vault ledgers are kept in one.

    keyring.json         the keyring
    keyring.json.1, .2   the two generations before, for the operator to restore from
    keyring.json.lock    held by flock while the process lives, never deleted
    keyring.json.tmp     left by an interrupted write; the next write replaces it

All names are looked up in the descriptor of a directory that was checked once. What becomes of the file by
another hand, its directory included, is seen by comparing its status with that of the last write.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from kms.errors import StartError
from kms.files.disk import DISK, Disk
from kms.files.private import FileError, open_private_directory, read_private, write_synced

FileMark = tuple[int, int, int, int]
"""Device, inode, size and time of the last change."""


class KeyringLocked(StartError):
    """Another process holds this file; one sentence."""


class KeyringFile:
    """One locked file with its generations. Close it to release the lock."""

    def __init__(self, path: Path, *, limit: int, disk: Disk = DISK) -> None:
        """Check the directory and take the lock; the file itself may not exist yet.

        Raises:
            FileError: the directory or the lock file is not private.
            KeyringLocked: another process holds the lock.
        """
        self._path = path
        self._limit = limit
        self._disk = disk
        self._accepted: FileMark | None = None
        self._directory = open_private_directory(path.parent)
        try:
            self._lock = self._take_lock()
        except BaseException:
            os.close(self._directory)
            raise

    @property
    def path(self) -> Path:
        """The file's path."""
        return self._path

    def read(self) -> bytes:
        """Return the file's bytes.

        Raises:
            FileNotFoundError: there is no such file.
            FileError: the file is a link, not regular, of another owner, or open to others.
        """
        return read_private(self._path, limit=self._limit, directory=self._directory)

    def mark(self) -> FileMark | None:
        """Return what distinguishes the file at the path from any other; None if there is none."""
        try:
            status = os.stat(self._path, follow_symlinks=False)
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    def accept(self, mark: FileMark | None) -> None:
        """Take the file of this mark, which was taken before the content was read, for the one in use."""
        self._accepted = mark

    def is_as_left(self) -> bool:
        """Return whether the file is the one that was accepted or written last, unchanged."""
        return self._accepted is not None and self.mark() == self._accepted

    def create(self, content: bytes) -> None:
        """Write the first generation, durable on return. Raises FileExistsError."""
        try:
            self.read()
        except FileNotFoundError:
            self._put(self._path, content)
            self.sync_directory()
            return
        raise FileExistsError(self._path)

    def replace(self, content: bytes) -> None:
        """Make ``content`` current and keep the two contents before it; durable on return.

        At every moment the file holds the old content or the new one, whole. Raises OSError.
        """
        first, second = self._generation(1), self._generation(2)
        current = self.read()
        with suppress(FileNotFoundError):
            self._rename(first, second)
        self._put(first, current)
        self._put(self._path, content)
        self.sync_directory()

    def replace_all(self, content: bytes) -> None:
        """Make ``content`` current and both older generations, so that nothing they held is left.

        The current file comes first: if interrupted, the next call finishes the rest. Raises OSError.
        """
        for path in (self._path, self._generation(1), self._generation(2)):
            self._put(path, content)
        self.sync_directory()

    def older(self) -> list[bytes | None]:
        """Return the two contents before, newest first; None for one that is missing or unreadable."""
        contents: list[bytes | None] = []
        for path in (self._generation(1), self._generation(2)):
            try:
                contents.append(read_private(path, limit=self._limit, directory=self._directory))
            except (OSError, FileError):
                contents.append(None)
        return contents

    def sync_directory(self) -> None:
        """Make the names durable."""
        self._disk.sync(self._directory)

    def close(self) -> None:
        """Release the lock. The lock file stays: deleting it would let two processes hold one each."""
        os.close(self._lock)
        os.close(self._directory)

    def _generation(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _put(self, path: Path, content: bytes) -> None:
        temporary = self._path.with_name(f"{self._path.name}.tmp")
        write_synced(temporary, content, directory=self._directory, disk=self._disk)
        self._rename(temporary, path)
        if path == self._path:
            self.accept(self.mark())

    def _rename(self, source: Path, target: Path) -> None:
        self._disk.rename(source.name, target.name, directory=self._directory)

    def _take_lock(self) -> int:
        name = f"{self._path.name}.lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(name, flags, 0o600, dir_fd=self._directory)
        except OSError as error:
            raise FileError(f"the lock file {self._path}.lock is refused: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise KeyringLocked(f"another process holds the keyring {self._path}") from None
        return descriptor
