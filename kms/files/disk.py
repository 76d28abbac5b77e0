"""The calls that change what is on disk, in one place, so that each of them can be made to fail.

Every file of the sidecar that must survive a crash is written through a `Disk`. Tests hand in one that stops
at a given call; the sidecar itself always uses `DISK`.
"""

from __future__ import annotations

import os


class Disk:
    """The operating system's own calls. Each raises OSError; names are looked up in an open directory."""

    def open(self, name: str, flags: int, *, directory: int) -> int:
        """A descriptor that no child inherits and that follows no link; a new file gets mode 0600."""
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)

    def write(self, descriptor: int, octets: bytes | memoryview) -> int:
        """Writes some of `octets` where the descriptor stands; answers how many."""
        return os.write(descriptor, octets)

    def truncate(self, descriptor: int, length: int) -> None:
        """Cuts or extends the file to `length` bytes."""
        os.ftruncate(descriptor, length)

    def sync(self, descriptor: int) -> None:
        """Returns once a file's content, or a directory's names, would survive a loss of power."""
        os.fsync(descriptor)

    def rename(self, source: str, target: str, *, directory: int) -> None:
        """Gives a file another name, whose file it replaces."""
        os.rename(source, target, src_dir_fd=directory, dst_dir_fd=directory)

    def unlink(self, name: str, *, directory: int) -> None:
        """Removes a name; raises FileNotFoundError if there is none."""
        os.unlink(name, dir_fd=directory)


DISK = Disk()


def write_all(disk: Disk, descriptor: int, octets: bytes) -> None:
    """Writes all of `octets`; raises OSError with part of them written."""
    view = memoryview(octets)
    while view:
        view = view[disk.write(descriptor, view) :]
