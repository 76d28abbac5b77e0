"""The audit's files: one is appended to, a full one is followed by the next, none is changed or deleted.

    audit-<number of its first line, 12 digits>.jsonl     the lines; mode 0600 in a directory of mode 0700

    audit.position                                        the last line a minute ago, beside that directory

The one process that writes locks the directory. What was written but not synced is kept in memory and is
written again after a failed sync: the kernel may have dropped it, and would not report that a second time.
Before each line and after each sync the file is looked at: one that was deleted, moved, replaced or cut would
take lines that nobody can read. Not safe for threads: ``Audit`` takes care of that.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from kms.audit.chain import FaultReason, Segment, Verification, verify
from kms.audit.lines import Position
from kms.errors import StartError
from kms.files.disk import DISK, Disk, write_all
from kms.files.private import (
    make_private_directory,
    open_private_directory,
    put_private,
    read_private,
)

SEGMENT_LIMIT = 16 << 20
"""The size after which the next line begins a new file."""

BEGIN_COMMAND = "python -m kms audit begin"
"""Sets an audit aside that cannot be continued."""

_HOW_TO_GO_ON = (
    f"keep it as evidence and have the next start begin a new one with `{BEGIN_COMMAND}` "
    "(docs/runbooks/compromise.md)"
)

_NAME = re.compile(r"audit-([0-9]{12})\.jsonl")
_POSITION = re.compile(rb"([1-9][0-9]{0,18}) ([0-9a-f]{64})\n")


class AuditError(StartError):
    """The audit cannot be continued; one sentence."""


class AuditLost(OSError):
    """The file that is written to is not where it was, or not as it was left; the text is a clause."""


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


def put_aside(directory: Path, now: datetime) -> Path | None:
    """Rename an audit that cannot be continued, and return its new name; None if there is no audit.

    The next start begins a new audit at line 1.

    Raises:
        AuditError: a sidecar writes there, or the directory cannot be renamed.
        FileError: the directory is not private.
    """
    kept: Path | None = None
    try:
        if directory.exists():
            descriptor = open_private_directory(directory)
            try:
                _lock(descriptor, directory)
                kept = directory.with_name(f"{directory.name}.aside-{now:%Y%m%dT%H%M%SZ}")
                directory.rename(kept)
            finally:
                os.close(descriptor)
        _position_file(directory).unlink(missing_ok=True)
    except OSError as error:
        raise AuditError(f"the audit in {directory} cannot be set aside: {error.strerror}") from None
    return kept


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
        self._file = directory
        self._identity = (0, 0)
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
            _lock(self._directory, directory)
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
        descriptor = self._disk.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, directory=self._directory)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._write_to(descriptor, name)
        self._length, self._synced_length, self._new_name = 0, 0, True

    @property
    def unsynced_length(self) -> int:
        """The number of bytes that no sync has covered."""
        return len(self._unsynced)

    def append(self, octets: bytes) -> None:
        """Write whole lines. Others can read them; a loss of power may take them. Raises AuditLost."""
        self.look()
        write_all(self._disk, self._descriptor, octets)
        self._length += len(octets)
        self._unsynced += octets

    def look(self) -> None:
        """Raise AuditLost unless the file is where it was and as long as it was left."""
        status = self._status()
        if status.st_size != self._length:
            raise AuditLost(
                f"the audit file {self._file.name} has {status.st_size} bytes where the sidecar left "
                f"{self._length}: it was cut, or something else writes to it"
            )

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
        """Note that a sync up to ``mark`` succeeded; a longer one may have come first. Raises AuditLost."""
        self.look()
        if mark <= self._synced_length:
            return
        self._unsynced = self._unsynced[mark - self._synced_length :]
        self._synced_length = mark

    def mend(self) -> None:
        """Remove what a failed write left, and write again what no sync covered. Raises AuditLost."""
        if self._status().st_size < self._synced_length:
            self.look()
        self._disk.truncate(self._descriptor, self._synced_length)
        write_all(self._disk, self._descriptor, self._unsynced)
        self.sync()

    def replace_torn(self, octets: bytes) -> None:
        """Write whole lines over the torn end, then cut off the rest of it.

        In this order a crash in between leaves another torn end, never an unrecorded repair.
        """
        write_all(self._disk, self._descriptor, octets)
        self._length += len(octets)
        self._unsynced += octets
        self._disk.truncate(self._descriptor, self._length)
        _append_only(self._descriptor)
        self.sync()
        self.torn = b""

    def remember(self, position: Position) -> None:
        """Note a synced line beside the directory, so that the next start knows what must be there."""
        content = f"{position.seq} {position.head.hex()}\n".encode("ascii")
        put_private(_position_file(self._path), content, disk=self._disk)

    def close(self) -> None:
        """Close the files and release the lock."""
        for descriptor in (self._descriptor, self._directory):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._directory = -1

    def _write_to(self, descriptor: int, name: str) -> None:
        status = os.fstat(descriptor)
        self._descriptor, self._file = descriptor, self._path / name
        self._identity = status.st_dev, status.st_ino

    def _status(self) -> os.stat_result:
        """Return the status of the file that has the name now. Raises AuditLost if it is another one."""
        status: os.stat_result | None = None
        with suppress(OSError):
            status = os.stat(self._file, follow_symlinks=False)
        if status is None or (status.st_dev, status.st_ino) != self._identity:
            raise AuditLost(f"the audit file {self._file.name} was deleted, moved or replaced")
        return status

    def _find_end(self, public_key: bytes) -> None:
        """Read the newest file, or the one before if that has no line yet, and move to its end."""
        found = segments(self._path)
        recorded = self._recorded()
        if not found:
            self._refuse_cut(recorded)
            return
        newest = ended = self._read(found[-1], public_key, recorded)
        if newest.first_seq == 0 and len(found) > 1:
            ended = self._read(found[-2], public_key, recorded)
        if ended.first_seq:
            self.last = ended.last
            self.since_checkpoint = ended.last.seq - max(ended.signed_seq, ended.first_seq - 1)
        self._refuse_cut(recorded)
        self.torn = newest.unfinished
        self._write_to(
            self._disk.open(found[-1].name, os.O_WRONLY, directory=self._directory), found[-1].name
        )
        self._length = os.fstat(self._descriptor).st_size - len(self.torn)
        self._synced_length = self._length
        if self.torn:
            os.lseek(self._descriptor, self._length, os.SEEK_SET)  # for ``replace_torn``
        else:
            _append_only(self._descriptor)

    def _recorded(self) -> Position | None:
        """Return what ``remember`` noted; None before the first time."""
        path = _position_file(self._path)
        try:
            content = read_private(path, limit=128)
        except FileNotFoundError:
            return None
        parts = _POSITION.fullmatch(content)
        if parts is None:
            raise AuditError(f"{path} is damaged: {_HOW_TO_GO_ON}")
        return Position(int(parts[1]), bytes.fromhex(parts[2].decode("ascii")))

    def _refuse_cut(self, recorded: Position | None) -> None:
        """Raise AuditError if the audit ends before a line that was synced earlier."""
        last = self.last.seq if self.last is not None else 0
        if recorded is not None and recorded.seq > last:
            raise AuditError(
                f"the audit in {self._path} ends at line {last}, but line {recorded.seq} was written: put "
                f"the missing lines back, or {_HOW_TO_GO_ON}"
            )

    def _read(self, segment: Segment, public_key: bytes, recorded: Position | None) -> Verification:
        read = verify([segment], public_key=public_key, expected=[recorded] if recorded else [])
        # A missing end is judged over all files: the newest may not have a line yet.
        if read.fault is not None and read.fault.reason is not FaultReason.CUT_TAIL:
            raise AuditError(
                f"the audit {self._path / segment.name} is damaged at its line {read.fault.line}: "
                f"{_HOW_TO_GO_ON}"
            )
        return read


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise AuditError(f"another process writes the audit in {directory}") from None


def _append_only(descriptor: int) -> None:
    """Have every write go to the end, so that a file that is cut in between does not get a hole instead."""
    fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_APPEND)


def _position_file(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.position")
