"""Wherever the sidecar is interrupted while it writes, the keyring opens afterwards and the audit continues.

Points are named by what is about to happen. At each one the process is killed, or the disk is full or fails;
then a new process starts on what is left, finds every key that was in use, and finishes the same work.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from kms.audit.chain import verify
from kms.audit.keyring import AuditedKeyring, AuditedVersions, Principal
from kms.audit.lines import Position
from kms.audit.log import Audit, AuditUnavailable
from kms.audit.sink import AuditError, AuditSink, segments
from kms.files.disk import DISK, Disk
from kms.files.generations import KeyringFile
from kms.formats import DekContext
from kms.installation import initialise
from kms.keyring import DataKey, KeyringError, VersionState, WrapItem, WrappedDataKey
from kms.local.document import DOCUMENT_LIMIT
from kms.local.opening import open_local
from kms.local.unlock import UnlockKind, UnlockSource, unlock
from tests.support.doubles.disks import FaultyDisk
from tests.support.servers.audits import AUDIT_KEY

DEPLOYMENT_ID = b"\1" * 16
KEY = bytes(range(32))
BEGINNING = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
DAY = timedelta(days=1)
REPOSITORY = Path(__file__).parents[4]
FAULTS = {"killed": None, "disk full": errno.ENOSPC, "I/O error": errno.EIO}


@dataclass
class Sidecar:
    """A keyring and its audit over one disk; the clock shows what the work needs."""

    keyring: AuditedKeyring
    versions: AuditedVersions
    audit: Audit
    file: KeyringFile


def context(number: int) -> bytes:
    return DekContext(DEPLOYMENT_ID, b"\2" * 16, number.to_bytes(16, "big"), 1).encode()


def opened(stack: ExitStack, home: Path, disk: Disk, now: datetime, limit: int = 16 << 20) -> Sidecar:
    """Open keyring and audit as a start of the sidecar does."""
    source = UnlockSource(UnlockKind.KEY_FILE, home / "unlock.key")
    file = stack.enter_context(closing(KeyringFile(home / "keyring.json", limit=DOCUMENT_LIMIT, disk=disk)))
    local = open_local(
        file,
        unlock=partial(unlock, source),
        deployment_id=DEPLOYMENT_ID,
        clock=lambda: now,
        monotonic=lambda: 0.0,
        random=os.urandom,
    )
    sink = stack.enter_context(
        closing(AuditSink(home / "audit", public_key=AUDIT_KEY.public_key, disk=disk, limit=limit))
    )
    audit = Audit(sink, AUDIT_KEY, deployment_id=DEPLOYMENT_ID, clock=lambda: now, monotonic=lambda: 0.0)
    principal = Principal("admin", "/run/admin.sock")
    return Sidecar(
        AuditedKeyring(local.keyring, audit, principal),
        AuditedVersions(local.versions, audit, principal),
        audit,
        file,
    )


def create(sidecar: Sidecar) -> None:
    first = sidecar.versions.list_versions()[0].name
    sidecar.versions.create_version(UUID(int=7), first)


def activate(sidecar: Sidecar) -> None:
    create(sidecar)
    sidecar.versions.activate_version(sidecar.versions.list_versions()[1].name)


def retire(sidecar: Sidecar) -> None:
    activate(sidecar)
    sidecar.versions.disable_version(sidecar.versions.list_versions()[0].name, confirmed_unreferenced=True)


def schedule(sidecar: Sidecar) -> None:
    sidecar.versions.schedule_destruction(sidecar.versions.list_versions()[0].name, WEEK)


def destroy(sidecar: Sidecar) -> None:
    sidecar.versions.destroy_due()


def use(sidecar: Sidecar) -> None:
    """Wrap and unwrap under the primary version."""
    item = WrapItem(context(9), DataKey(KEY))
    row = next(each for each in sidecar.keyring.wrap([item]) if isinstance(each, WrappedDataKey))
    assert [type(each) for each in sidecar.keyring.unwrap([row])] == [DataKey]


@dataclass(frozen=True)
class Scene:
    """What is done before the fault, when the faulty process runs, and its work."""

    before: tuple[tuple[datetime, Callable[[Sidecar], None]], ...]
    now: datetime
    work: Callable[[Sidecar], None]
    limit: int = 16 << 20


# Each step is a process of its own, so a time that has come is looked at twice, a day apart.
RETIRED = ((BEGINNING, retire), (BEGINNING + WEEK, destroy))
SCHEDULED = (*RETIRED, (BEGINNING + WEEK + DAY, schedule), (BEGINNING + 2 * WEEK + DAY, destroy))
SCENES = {
    "create": Scene((), BEGINNING, create),
    "destroy": Scene(SCHEDULED, BEGINNING + 2 * (WEEK + DAY), destroy),
    "use": Scene((), BEGINNING, use),
    "use in a new file": Scene((), BEGINNING, use, limit=1),
}
# Each point: the scene, which call of its work is cut off (from 1), and what that call is.
POINTS = {
    "announcing the change": ("create", 1, "write"),
    "syncing the announcement": ("create", 2, "sync"),
    "moving the older generation": ("create", 3, "rename keyring.json.1 keyring.json.2"),
    "removing a left-over": ("create", 4, "unlink keyring.json.tmp"),
    "beginning the copy": ("create", 5, "open keyring.json.tmp"),
    "writing the copy": ("create", 6, "write"),
    "syncing the copy": ("create", 7, "sync"),
    "putting the copy in place": ("create", 8, "rename keyring.json.tmp keyring.json.1"),
    "writing the keyring": ("create", 11, "write"),
    "syncing the keyring": ("create", 12, "sync"),
    "putting the keyring in place": ("create", 13, "rename keyring.json.tmp keyring.json"),
    "syncing the names": ("create", 14, "sync"),
    "telling the outcome": ("create", 15, "write"),
    "destroying in the keyring": ("destroy", 5, "rename keyring.json.tmp keyring.json"),
    "destroying in the first generation": ("destroy", 10, "rename keyring.json.tmp keyring.json.1"),
    "destroying in the second generation": ("destroy", 15, "rename keyring.json.tmp keyring.json.2"),
    "syncing the destruction": ("destroy", 16, "sync"),
    "telling the destruction": ("destroy", 17, "write"),
    "writing down an unwrap": ("use", 2, "write"),
    "syncing an unwrap": ("use", 3, "sync"),
    "syncing a full audit file": ("use in a new file", 1, "sync"),
    "beginning an audit file": ("use in a new file", 2, "open audit-000000000007.jsonl"),
    "signing its beginning": ("use in a new file", 3, "write"),
}


def prepared(home: Path, scene: Scene) -> WrappedDataKey:
    """A data directory as before the fault, with a data key wrapped under its first version."""
    initialise(
        keyring=home / "keyring.json",
        deployment_id_file=home / "deployment-id",
        declared_deployment_id=DEPLOYMENT_ID,
        unlock_source=UnlockSource(UnlockKind.KEY_FILE, home / "unlock.key"),
        clock=lambda: BEGINNING,
        random=os.urandom,
    )
    with ExitStack() as stack:
        sidecar = opened(stack, home, DISK, BEGINNING)
        [row] = sidecar.keyring.wrap([WrapItem(context(1), DataKey(KEY))])
        assert isinstance(row, WrappedDataKey)
    for now, act in scene.before:
        with ExitStack() as stack:
            act(opened(stack, home, DISK, now))
    return row


def cut_off(home: Path, scene: Scene, at: int, code: int | None) -> list[str]:
    """Do the scene's work with the fault at its ``at``-th call; return the calls up to it."""
    disk = FaultyDisk()

    def fault() -> None:
        if code is None:
            os._exit(9)
        raise OSError(code, os.strerror(code))

    with ExitStack() as stack:
        sidecar = opened(stack, home, disk, scene.now, scene.limit)
        disk.fail(at, fault)
        with suppress(KeyringError):
            scene.work(sidecar)
    return disk.calls[:at]


def main() -> None:
    """The process that is killed: its arguments are a data directory, a scene and a call."""
    home, name, at = sys.argv[1:]
    cut_off(Path(home), SCENES[name], int(at), None)


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, WrappedDataKey]]:
    """Each scene's data directory, made once and copied for each point."""
    made = {}
    for name, scene in SCENES.items():
        home = tmp_path_factory.mktemp("scene") / "kms"
        made[name] = home, prepared(home, scene)
    return made


@pytest.fixture
def scene_of(
    homes: dict[str, tuple[Path, WrappedDataKey]], tmp_path: Path
) -> Callable[[str], tuple[Path, WrappedDataKey]]:
    def copy(name: str) -> tuple[Path, WrappedDataKey]:
        home, row = homes[name]
        shutil.copytree(home, tmp_path / "kms")
        return tmp_path / "kms", row

    return copy


def keks(octets: bytes) -> set[str]:
    """The sealed keys in the content of a keyring file."""
    return {version["kek"] for version in json.loads(octets)["versions"] if version["kek"]}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("point", POINTS)
def test_goes_on_after_a_fault(
    scene_of: Callable[[str], tuple[Path, WrappedDataKey]], point: str, fault: str
) -> None:
    name, at, call = POINTS[point]
    scene = SCENES[name]
    home, row = scene_of(name)
    position = synced_position(home)
    before = keks((home / "keyring.json").read_bytes())
    if fault == "killed":
        command = [sys.executable, "-m", "tests.unit.kms.local.test_crash_points", str(home), name, str(at)]
        assert subprocess.run(command, cwd=REPOSITORY, check=False).returncode == 9
    else:
        assert cut_off(home, scene, at, FAULTS[fault])[-1] == call
    with ExitStack() as stack:
        sidecar = opened(stack, home, DISK, scene.now, scene.limit)
        if scene.work is not destroy:
            assert sidecar.keyring.verify([row]) == [None], "nothing that was in use is lost"
        scene.work(sidecar)
        use(sidecar)
        states = [version.state for version in sidecar.versions.list_versions()]
    if scene.work is create:
        assert states == [VersionState.PRIMARY, VersionState.PENDING]
    if scene.work is destroy:
        assert states == [VersionState.DESTROYED, VersionState.PRIMARY]
        left = set().union(
            *(keks(path.read_bytes()) for path in home.glob("keyring.json*") if path.stat().st_size)
        )
        assert len(left) == 1, "of the destroyed key nothing is left in any generation"
        assert left < before
    read = verify(segments(home / "audit"), public_key=AUDIT_KEY.public_key, expected=[position])
    assert read.fault is None


def synced_position(home: Path) -> Position:
    return verify(segments(home / "audit"), public_key=AUDIT_KEY.public_key).last


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["disk full", "I/O error"])
def test_no_call_is_left_out(
    scene_of: Callable[[str], tuple[Path, WrappedDataKey]], name: str, code: int
) -> None:
    """Each call of each scene in turn fails once; the same process continues, and so does the next."""
    scene = SCENES[name]
    home, row = scene_of(name)
    pristine = home.with_name("pristine")
    home.rename(pristine)
    for at in range(1, 60):
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(pristine, home)
        disk = FaultyDisk()

        def fault() -> None:
            raise OSError(code, os.strerror(code))

        with ExitStack() as stack:
            sidecar = opened(stack, home, disk, scene.now, scene.limit)
            disk.fail(at, fault)
            with suppress(KeyringError):
                scene.work(sidecar)
            if len(disk.calls) < at:
                break
            scene.work(sidecar)
            sidecar.audit.close()
        with ExitStack() as stack:
            sidecar = opened(stack, home, DISK, scene.now, scene.limit)
            use(sidecar)
            if scene.work is not destroy:
                assert sidecar.keyring.verify([row]) == [None]
    assert at > 3
    assert verify(segments(home / "audit"), public_key=AUDIT_KEY.public_key).fault is None


@pytest.mark.parametrize("at", range(1, 8))
def test_a_start_that_cannot_write_is_refused_and_the_next_one_works(tmp_path: Path, at: int) -> None:
    home = tmp_path / "kms"
    prepared(home, SCENES["use"])
    disk = FaultyDisk()

    def fault() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    disk.fail(at, fault)
    with suppress(AuditError, AuditUnavailable), ExitStack() as stack:
        opened(stack, home, disk, BEGINNING)
    with ExitStack() as stack:
        use(opened(stack, home, DISK, BEGINNING))
    assert verify(segments(home / "audit"), public_key=AUDIT_KEY.public_key).fault is None


if __name__ == "__main__":
    main()
