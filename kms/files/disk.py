"""The calls that change a disk, in one place, so that tests can make each of them fail.

Every file that must survive a crash is written through a ``Disk``. Tests pass one that stops at a given
call; the sidecar always uses ``DISK``.
"""

from __future__ import annotations

import os


class Disk:
    """The operating system's own calls. Each raises OSError; names are looked up in an open directory."""

    def open(self, name: str, flags: int, *, directory: int) -> int:
        """Return a descriptor that no child inherits and that follows no link; a new file gets mode 0600."""
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)

    def write(self, descriptor: int, octets: bytes | memoryview) -> int:
        """Write some of ``octets`` at the descriptor's position, and return how many."""
        return os.write(descriptor, octets)

    def truncate(self, descriptor: int, length: int) -> None:
        """Cut or extend the file to ``length`` bytes."""
        os.ftruncate(descriptor, length)

    def sync(self, descriptor: int) -> None:
        """Return when a file's content, or a directory's names, would survive a loss of power."""
        os.fsync(descriptor)

    def rename(self, source: str, target: str, *, directory: int) -> None:
        """Give a file another name, replacing the file that has it."""
        os.rename(source, target, src_dir_fd=directory, dst_dir_fd=directory)

    def unlink(self, name: str, *, directory: int) -> None:
        """Remove a name. Raises FileNotFoundError."""
        os.unlink(name, dir_fd=directory)


DISK = Disk()


def write_all(disk: Disk, descriptor: int, octets: bytes) -> None:
    """Write all of ``octets``. Raises OSError with some of them written."""
    view = memoryview(octets)
    while view:
        view = view[disk.write(descriptor, view) :]
