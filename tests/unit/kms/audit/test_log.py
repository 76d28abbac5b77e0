"""Writing the audit: records are there and signed in time, and without a record nothing is done."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kms.audit.chain import Verification, verify
from kms.audit.lines import CHECKPOINT_LINES, Position, genesis
from kms.audit.log import AuditUnavailable
from kms.audit.sink import AuditError, put_aside, segments
from kms.files.disk import Disk
from kms.files.private import FileError
from tests.support.doubles.disks import FaultyDisk
from tests.support.servers.audits import AUDIT_KEY, open_audit

REPOSITORY = Path(__file__).parents[4]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "audit"


def lines(directory: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for segment in segments(directory):
        found += [json.loads(line) for line in segment.lines]
    return found


def events(directory: Path) -> list[str]:
    return [line["event"] for line in lines(directory)]


def checked(directory: Path, *expected: Position) -> Verification:
    return verify(segments(directory), public_key=AUDIT_KEY.public_key, expected=expected)


def fails(code: int) -> Callable[[], None]:
    def fault() -> None:
        raise OSError(code, os.strerror(code))

    return fault


class TestChain:
    def test_each_line_holds_the_hash_of_the_one_before(self, directory: Path) -> None:
        with closing(open_audit(directory)) as audit:
            audit.record("one", {"a": 1}, synced=True)
            audit.record("two", {}, synced=False)
        assert events(directory) == ["start", "checkpoint", "one", "two", "stop", "checkpoint"]
        assert [line["seq"] for line in lines(directory)] == [1, 2, 3, 4, 5, 6]
        assert lines(directory)[0]["prev"] == genesis(b"\1" * 16).head.hex()
        assert checked(directory).fault is None

    def test_goes_on_after_a_restart(self, directory: Path) -> None:
        for number in range(3):
            with closing(open_audit(directory)) as audit:
                audit.record(f"run {number}", {}, synced=True)
        found = checked(directory)
        assert (found.fault, found.first_seq, found.last.seq) == (None, 1, 15)
        assert found.checkpoints == 6

    def test_goes_on_after_a_kill(self, directory: Path) -> None:
        audit = open_audit(directory)
        audit.record("one", {}, synced=True)
        position = audit.position
        audit._sink.close()  # as the kernel does
        with closing(open_audit(directory)):
            pass
        assert checked(directory, position).fault is None

    def test_files_are_private(self, directory: Path) -> None:
        with closing(open_audit(directory)):
            assert directory.stat().st_mode & 0o777 == 0o700
            assert [path.name for path in directory.iterdir()] == ["audit-000000000001.jsonl"]
            assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}

    def test_a_directory_open_to_others_is_refused(self, directory: Path) -> None:
        directory.mkdir(mode=0o755)
        directory.chmod(0o755)
        with pytest.raises(FileError, match="0700"):
            open_audit(directory)

    def test_one_writer(self, directory: Path) -> None:
        with closing(open_audit(directory)), pytest.raises(AuditError, match="another process"):
            open_audit(directory)


class TestCheckpoints:
    def test_every_thousand_lines(self, directory: Path) -> None:
        with closing(open_audit(directory)) as audit:
            for _ in range(2 * CHECKPOINT_LINES):
                audit.record("use", {}, synced=False)
        signed = [line["seq"] for line in lines(directory) if line["event"] == "checkpoint"]
        assert signed == [2, 1002, 2002, 2006]
        assert checked(directory).fault is None

    def test_after_a_minute_and_only_where_something_waits(self, directory: Path) -> None:
        moment = [0.0]
        with closing(open_audit(directory, monotonic=lambda: moment[0])) as audit:
            audit.record("use", {}, synced=False)
            before = audit.position
            audit.tick()
            assert events(directory)[-1] == "use"
            moment[0] = 60.0
            audit.tick()
            assert events(directory)[-1] == "checkpoint"
            assert audit.position.seq == before.seq + 2, "signed lines are synced lines"
            moment[0] = 600.0
            audit.tick()
            assert events(directory).count("checkpoint") == 2

    def test_position_is_what_was_synced(self, directory: Path) -> None:
        with closing(open_audit(directory)) as audit:
            synced = audit.position
            audit.record("use", {}, synced=False)
            assert audit.position == synced
            audit.record("use", {}, synced=True)
            assert audit.position.seq == synced.seq + 2


class TestFiles:
    def test_a_full_file_is_followed_by_another(self, directory: Path) -> None:
        for _ in range(2):
            with closing(open_audit(directory, limit=4096)) as audit:
                for _ in range(60):
                    audit.record("use", {"text": "x" * 100}, synced=False)
        found = segments(directory)
        assert len(found) > 4
        for segment in found:
            first = json.loads(next(iter(segment.lines)))
            assert segment.name == f"audit-{first['seq']:012d}.jsonl"
            assert first["event"] == ("start" if first["seq"] == 1 else "checkpoint")
        assert checked(directory).fault is None

    def test_what_is_left_verifies_when_old_files_are_elsewhere(self, directory: Path) -> None:
        with closing(open_audit(directory, limit=2048)) as audit:
            for _ in range(60):
                audit.record("use", {}, synced=False)
        (directory / segments(directory)[0].name).rename(directory.parent / "archived")
        found = checked(directory)
        assert found.fault is None
        assert found.first_seq > 1

    def test_a_file_that_was_begun_and_never_written_to(self, directory: Path) -> None:
        with closing(open_audit(directory)) as audit:
            audit.record("use", {}, synced=True)
        last = checked(directory).last
        (directory / f"audit-{last.seq + 1:012d}.jsonl").touch(mode=0o600)
        with closing(open_audit(directory)):
            pass
        assert checked(directory, last).fault is None
        assert len(segments(directory)) == 2


class TestTornLine:
    @pytest.mark.parametrize("kept", [1, 40, 0.5, -1], ids=str)
    def test_is_repaired_and_noted(self, directory: Path, kept: float) -> None:
        with closing(open_audit(directory)) as audit:
            audit.record("use", {}, synced=True)
        path = directory / segments(directory)[0].name
        whole = path.read_bytes()
        torn = b'{"event":"use","prev":"' + b"0" * 900
        torn = torn[: int(len(torn) * kept) if isinstance(kept, float) else kept]
        path.write_bytes(whole + torn)
        with closing(open_audit(directory)) as audit:
            audit.record("use", {}, synced=True)
        noted = next(line for line in lines(directory) if line["event"] == "repaired")
        assert noted["torn_bytes"] == len(torn)
        assert path.read_bytes().startswith(whole)
        found = checked(directory)
        assert (found.fault, found.repairs) == (None, 1)

    def test_also_the_very_first(self, directory: Path) -> None:
        directory.mkdir(mode=0o700)
        path = directory / "audit-000000000001.jsonl"
        path.write_bytes(b'{"event":"sta')
        path.chmod(0o600)
        with closing(open_audit(directory)):
            pass
        assert events(directory)[0] == "repaired"
        assert checked(directory).fault is None

    def test_zeros_that_a_loss_of_power_left(self, directory: Path) -> None:
        open_audit(directory).close()
        with (directory / segments(directory)[0].name).open("ab") as stream:
            stream.write(bytes(4096))
        with closing(open_audit(directory)):
            pass
        assert checked(directory).fault is None

    def test_a_damaged_middle_is_not_repaired(self, directory: Path) -> None:
        open_audit(directory).close()
        path = directory / segments(directory)[0].name
        octets = path.read_bytes()
        path.write_bytes(octets.replace(b'"event":"stop"', b'"event":"stap"'))
        before = path.read_bytes()
        with pytest.raises(AuditError, match="damaged at its line 3"):
            open_audit(directory)
        assert path.read_bytes() == before


class TestFailingSink:
    """A failed write or sync fails the operation; after a repair the chain is whole."""

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["disk full", "I/O error"])
    @pytest.mark.parametrize("step", [1, 2], ids=["at the write", "at the sync"])
    def test_refuses_then_goes_on(self, directory: Path, step: int, code: int) -> None:
        disk = FaultyDisk()
        with closing(open_audit(directory, disk=disk)) as audit:
            audit.record("before", {}, synced=False)
            disk.fail(step, fails(code))
            with pytest.raises(AuditUnavailable):
                audit.record("refused", {}, synced=True)
            assert audit.trouble == "the audit cannot be written"
            audit.record("after", {}, synced=True)
            assert audit.trouble == ""
        found = checked(directory, audit.position)
        assert found.fault is None
        told = events(directory)
        assert told[2:] == [
            "before",
            *(["refused"] if step == 2 else []),  # written, though it was not certain to last
            "checkpoint",
            "resumed",
            "after",
            "stop",
            "checkpoint",
        ]
        assert next(line["refused"] for line in lines(directory) if line["event"] == "resumed") == 1

    def test_stays_refusing_while_the_disk_is_full(self, directory: Path) -> None:
        full = _SwitchedDisk()
        audit = open_audit(directory, disk=full)
        full.is_full = True
        for _ in range(3):
            with pytest.raises(AuditUnavailable):
                audit.record("use", {}, synced=True)
            with pytest.raises(AuditUnavailable):
                audit.tick()
        full.is_full = False
        audit.tick()
        assert audit.trouble == ""
        audit.record("use", {}, synced=True)
        audit.close()
        assert checked(directory).fault is None
        assert events(directory).count("use") == 1

    def test_cannot_start_where_nothing_can_be_written(self, directory: Path) -> None:
        full = _SwitchedDisk()
        full.is_full = True
        with pytest.raises(AuditError, match="No space left"):
            open_audit(directory, disk=full)

    def test_on_a_file_system_that_is_really_full(self, tmp_path: Path) -> None:
        """A process whose files may not grow: every write beyond the limit fails as on a full disk."""
        program = f"""
import resource, signal
from pathlib import Path
from kms.audit.log import AuditUnavailable
from tests.support.servers.audits import open_audit
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
audit = open_audit(Path({str(tmp_path / "audit")!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
made = 0
try:
    while True:
        audit.record("use", {{"number": made}}, synced=True)
        made += 1
except AuditUnavailable:
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
audit.record("after", {{}}, synced=True)
audit.close()
print(made)
"""
        finished = subprocess.run(
            [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
        )
        told = events(tmp_path / "audit")
        assert told.count("use") == int(finished.stdout) > 5
        assert told[-4:] == ["resumed", "after", "stop", "checkpoint"]
        assert checked(tmp_path / "audit").fault is None


def _cut(file: Path) -> None:
    os.truncate(file, 0)


def _replace(file: Path) -> None:
    copy = file.with_name("copy")
    copy.write_bytes(file.read_bytes())
    copy.rename(file)


def _append(file: Path) -> None:
    with file.open("ab") as stream:
        stream.write(b"{}\n")


HARMS: dict[str, Callable[[Path], object]] = {
    "deleted": lambda file: file.unlink(),
    "moved": lambda file: file.rename(file.parent.parent / "elsewhere"),
    "cut": _cut,
    "replaced": _replace,
    "folder deleted": lambda file: shutil.rmtree(file.parent),
    "folder moved": lambda file: file.parent.rename(file.parent.with_name("elsewhere")),
}


class TestLost:
    """A file that would take lines which nobody can read is as good as a full disk."""

    @pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
    def test_no_line_is_written(self, directory: Path, harm: Callable[[Path], object]) -> None:
        audit = open_audit(directory)
        audit.record("use", {}, synced=True)
        harm(directory / segments(directory)[0].name)
        for _ in range(2):
            with pytest.raises(AuditUnavailable, match=r"audit-000000000001\.jsonl"):
                audit.record("use", {}, synced=True)
        assert "audit-000000000001.jsonl" in audit.trouble
        with pytest.raises(AuditUnavailable):
            audit.close()

    @pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
    def test_is_noticed_while_nothing_is_used(self, directory: Path, harm: Callable[[Path], object]) -> None:
        audit = open_audit(directory)
        harm(directory / segments(directory)[0].name)
        with pytest.raises(AuditUnavailable):
            audit.tick()
        assert audit.trouble
        with pytest.raises(AuditUnavailable):
            audit.close()

    @pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
    def test_in_the_middle_of_a_record(self, directory: Path, harm: Callable[[Path], object]) -> None:
        disk = FaultyDisk()
        audit = open_audit(directory, disk=disk)
        file = directory / segments(directory)[0].name
        disk.fail(2, lambda: harm(file))  # after the write, ahead of the sync
        with pytest.raises(AuditUnavailable):
            audit.record("use", {}, synced=True)
        with pytest.raises(AuditUnavailable):
            audit.close()

    def test_what_was_moved_back_is_gone_on_with(self, directory: Path) -> None:
        with closing(open_audit(directory)) as audit:
            audit.record("use", {}, synced=True)
            directory.rename(directory.with_name("elsewhere"))
            with pytest.raises(AuditUnavailable):
                audit.record("use", {}, synced=True)
            directory.with_name("elsewhere").rename(directory)
            audit.record("use", {}, synced=True)
            assert audit.trouble == ""
        assert checked(directory).fault is None
        assert events(directory)[2:] == ["use", "checkpoint", "resumed", "use", "stop", "checkpoint"]

    def test_what_somebody_appended_is_removed(self, directory: Path) -> None:
        with closing(open_audit(directory)) as audit:
            _append(directory / segments(directory)[0].name)
            with pytest.raises(AuditUnavailable, match="something else writes to it"):
                audit.record("use", {}, synced=True)
            audit.record("use", {}, synced=True)
        assert checked(directory).fault is None
        assert "resumed" in events(directory)


class TestNextStart:
    """What the sidecar wrote is known to its next start."""

    @pytest.mark.parametrize(
        "harm",
        [
            lambda file: file.unlink(),
            _cut,
            lambda file: file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1])),
            lambda file: shutil.rmtree(file.parent),
        ],
        ids=["deleted", "cut to nothing", "without its last line", "folder deleted"],
    )
    def test_is_refused_with_the_way_to_go_on(self, directory: Path, harm: Callable[[Path], object]) -> None:
        with closing(open_audit(directory)) as audit:
            audit.record("use", {}, synced=True)
        harm(directory / segments(directory)[0].name)
        with pytest.raises(AuditError, match=r"but line 5 was written: .*`python -m kms audit begin`"):
            open_audit(directory)
        kept = put_aside(directory, datetime(2026, 11, 30, 4, tzinfo=UTC))
        assert kept == directory.with_name("audit.aside-20261130T040000Z")
        assert kept.is_dir()
        with closing(open_audit(directory)):
            assert lines(directory)[0]["seq"] == 1

    def test_a_rewritten_end_too(self, directory: Path) -> None:
        open_audit(directory).close()
        file = directory / segments(directory)[0].name
        file.write_bytes(file.read_bytes().replace(b'"time":"2026', b'"time":"2025'))
        with pytest.raises(AuditError, match="`python -m kms audit begin`"):
            open_audit(directory)

    def test_after_a_kill_only_what_was_there_a_minute_ago_is_known(self, directory: Path) -> None:
        moment = [0.0]
        audit = open_audit(directory, monotonic=lambda: moment[0])
        audit.record("use", {}, synced=True)
        moment[0] = 60.0
        audit.tick()
        signed = len(lines(directory))
        audit.record("use", {}, synced=True)
        audit._sink.close()  # as the kernel does
        file = directory / segments(directory)[0].name
        kept = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join(kept[: signed - 1]))
        with pytest.raises(AuditError, match=f"line {signed} was written"):
            open_audit(directory)
        file.write_bytes(b"".join(kept[:signed]))
        open_audit(directory).close()

    def test_a_damaged_note_is_refused(self, directory: Path) -> None:
        open_audit(directory).close()
        directory.with_name("audit.position").write_text("4 abc\n")
        with pytest.raises(AuditError, match=r"audit\.position is damaged"):
            open_audit(directory)

    def test_a_running_audit_is_not_set_aside(self, directory: Path) -> None:
        with closing(open_audit(directory)), pytest.raises(AuditError, match="another process writes"):
            put_aside(directory, datetime(2026, 11, 30, 4, tzinfo=UTC))


class TestThreads:
    def test_lines_of_many_threads_are_one_chain_with_fewer_syncs(self, directory: Path) -> None:
        disk = FaultyDisk()
        audit = open_audit(directory, disk=disk, limit=1 << 14)
        disk.calls.clear()

        def use() -> None:
            for _ in range(100):
                audit.record("use", {}, synced=True)

        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert disk.calls.count("sync") < 800 + 3 * len(segments(directory))
        audit.close()
        found = checked(directory)
        assert found.fault is None
        assert events(directory).count("use") == 800

    def test_none_is_lost_while_the_disk_fails_now_and_then(self, directory: Path) -> None:
        disk = _FlickeringDisk()
        audit = open_audit(directory, disk=disk, limit=1 << 14)
        disk.is_on = True
        acknowledged: list[str] = []

        def use(name: str) -> None:
            for number in range(60):
                try:
                    audit.record("use", {"name": f"{name}-{number}"}, synced=True)
                    acknowledged.append(f"{name}-{number}")
                except AuditUnavailable:
                    continue

        threads = [threading.Thread(target=use, args=(str(number),)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        disk.is_on = False
        audit.close()
        assert checked(directory).fault is None
        written = [line["name"] for line in lines(directory) if line["event"] == "use"]
        assert len(written) == len(set(written))
        assert set(acknowledged) <= set(written)
        assert 0 < len(acknowledged) < 360  # how many is the machine's matter


class _SwitchedDisk(Disk):
    """Accepts nothing while it is full."""

    def __init__(self) -> None:
        self.is_full = False

    def write(self, descriptor: int, octets: bytes | memoryview) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(descriptor, octets)


class _FlickeringDisk(Disk):
    """Fails every seventh call, writes half-way."""

    def __init__(self) -> None:
        self.is_on = False
        self._turns: Iterator[int] = iter(range(10**9))

    def write(self, descriptor: int, octets: bytes | memoryview) -> int:
        if self._fails():
            os.write(descriptor, octets[: len(octets) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(descriptor, octets)

    def sync(self, descriptor: int) -> None:
        if self._fails():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(descriptor)

    def truncate(self, descriptor: int, length: int) -> None:
        if self._fails():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().truncate(descriptor, length)

    def _fails(self) -> bool:
        return self.is_on and next(self._turns) % 7 == 6
