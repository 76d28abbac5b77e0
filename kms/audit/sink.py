"""The audit's files: one is appended to, a full one is followed by the next, none is changed or deleted.

    audit-<number of its first line, 12 digits>.jsonl     the lines; mode 0600 in a directory of mode 0700

The one process that writes locks the directory. What was written but not synced is kept in memory and is
written again after a failed sync: the kernel may have dropped it, and would not report that a second time.
Not safe for threads: ``Audit`` takes care of that.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from kms.audit.chain import Segment, Verification, verify
from kms.audit.lines import Position
from kms.errors import StartError
from kms.files.disk import DISK, Disk, write_all
from kms.files.private import make_private_directory, open_private_directory

SEGMENT_LIMIT = 16 << 20
"""The size after which the next line begins a new file."""

_NAME = re.compile(r"audit-([0-9]{12})\.jsonl")


class AuditError(StartError):
    """The audit cannot be continued; one sentence."""


def segments(directory: Path) -> list[Segment]:
    """Return the files of an audit, oldest first; their lines are read on iteration.

    Raises:
        OSError: the directory cannot be read, or on iteration a file.
    """
    names = sorted(entry.name for entry in directory.iterdir() if _NAME.fullmatch(entry.name))
    return [Segment(name, _Lines(directory / name)) for name in names]


def single_segment(file: Path) -> Segment:
    """Return one file as a segment."""
    return Segment(file.name, _Lines(file))


class _Lines:
    """The lines of a file, read on each iteration."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as stream:
            yield from stream


class AuditSink:
    """Where lines go. Each method but ``close`` raises OSError; call ``mend`` before anything else then."""

    def __init__(
        self, directory: Path, *, public_key: bytes, disk: Disk = DISK, limit: int = SEGMENT_LIMIT
    ) -> None:
        """Create the directory if it is missing, lock it, and find the end of the chain in it.

        Afterwards ``last`` is the last line, None before the first; ``torn`` is what a crash left of a line.

        Raises:
            AuditError: another process writes there, or the newest file is damaged or unreadable.
            FileError: the directory is not private.
        """
        self._path = directory
        self._disk = disk
        self._limit = limit
        self._descriptor = -1
        self._length = 0
        self._synced_length = 0
        self._unsynced = b""
        self._new_name = False
        self.last: Position | None = None
        self.since_checkpoint = 0
        self.torn = b""
        try:
            make_private_directory(directory)
        except OSError as error:
            raise AuditError(f"the audit directory {directory} cannot be made: {error.strerror}") from None
        self._directory = open_private_directory(directory)
        try:
            self._lock()
            self._find_end(public_key)
        except OSError as error:
            self.close()
            raise AuditError(f"the audit in {directory} cannot be opened: {error.strerror}") from None
        except BaseException:
            self.close()
            raise

    @property
    def path(self) -> Path:
        """The directory."""
        return self._path

    @property
    def is_full(self) -> bool:
        """Whether the next line should begin a new file."""
        return self._descriptor < 0 or self._length >= self._limit

    def begin(self, first_seq: int) -> None:
        """Start a new file, whose first line has that number, after syncing the one before."""
        if self._descriptor >= 0:
            self.sync()
        name = f"audit-{first_seq:012d}.jsonl"
        # An existing one is empty: a file that was begun and not written to.
        descriptor = self._disk.open(name, os.O_WRONLY | os.O_CREAT, directory=self._directory)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._length, self._synced_length, self._new_name = descriptor, 0, 0, True

    @property
    def unsynced_length(self) -> int:
        """The number of bytes that no sync has covered."""
        return len(self._unsynced)

    def append(self, octets: bytes) -> None:
        """Write whole lines. Others can read them; a loss of power may take them."""
        write_all(self._disk, self._descriptor, octets)
        self._length += len(octets)
        self._unsynced += octets

    def sync(self) -> None:
        """Return when all lines would survive a loss of power."""
        mark = self.mark()
        self.sync_disk()
        self.synced(mark)

    def mark(self) -> int:
        """Return the length that a sync beginning now will cover."""
        return self._length

    def sync_disk(self) -> None:
        """Do the slow part of ``sync``; lines may be appended to the same file at the same time."""
        self._disk.sync(self._descriptor)
        if self._new_name:
            self._disk.sync(self._directory)
            self._new_name = False

    def synced(self, mark: int) -> None:
        """Note that a sync up to ``mark`` succeeded; a longer one may have come first."""
        if mark <= self._synced_length:
            return
        self._unsynced = self._unsynced[mark - self._synced_length :]
        self._synced_length = mark

    def mend(self) -> None:
        """Remove what a failed write left, and rewrite in place what no sync covered."""
        self._disk.truncate(self._descriptor, self._length)
        os.lseek(self._descriptor, self._synced_length, os.SEEK_SET)
        write_all(self._disk, self._descriptor, self._unsynced)
        self.sync()

    def replace_torn(self, octets: bytes) -> None:
        """Write whole lines over the torn end, then cut off the rest of it.

        In this order a crash in between leaves another torn end, never an unrecorded repair.
        """
        self.append(octets)
        self._disk.truncate(self._descriptor, self._length)
        self.sync()
        self.torn = b""

    def close(self) -> None:
        """Close the files and release the lock."""
        for descriptor in (self._descriptor, self._directory):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._directory = -1

    def _lock(self) -> None:
        try:
            fcntl.flock(self._directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AuditError(f"another process writes the audit in {self._path}") from None

    def _find_end(self, public_key: bytes) -> None:
        """Read the newest file, or the one before if that has no line yet, and move to its end."""
        found = segments(self._path)
        if not found:
            return
        newest = ended = self._read(found[-1], public_key)
        if newest.first_seq == 0 and len(found) > 1:
            ended = self._read(found[-2], public_key)
        if ended.first_seq:
            self.last = ended.last
            self.since_checkpoint = ended.last.seq - max(ended.signed_seq, ended.first_seq - 1)
        self.torn = newest.unfinished
        self._descriptor = self._disk.open(found[-1].name, os.O_WRONLY, directory=self._directory)
        self._length = os.fstat(self._descriptor).st_size - len(self.torn)
        self._synced_length = self._length
        os.lseek(self._descriptor, self._length, os.SEEK_SET)

    def _read(self, segment: Segment, public_key: bytes) -> Verification:
        read = verify([segment], public_key=public_key)
        if read.fault is not None:
            raise AuditError(
                f"the audit {self._path / segment.name} is damaged at its line {read.fault.line}: keep "
                f"{self._path} as evidence under another name and start again (docs/runbooks/compromise.md)"
            )
        return read
