"""What each use of a key leaves in the audit, and that a use that cannot be recorded does nothing."""

from __future__ import annotations

import base64
import errno
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from kms.audit.keyring import AuditedKeyring, AuditedVersions, Principal
from kms.audit.log import Audit, AuditUnavailable
from kms.audit.sink import segments
from kms.files.generations import KeyringFile
from kms.formats import DekContext
from kms.keyring import (
    DataKey,
    Keyring,
    KeyringError,
    KeyVersions,
    KeyVersionState,
    OpenKeyring,
    VersionState,
    WrapItem,
    WrappedDataKey,
)
from tests.support.doubles.disks import FaultyDisk
from tests.support.servers.audits import open_audit

CANARY = b"canary-canary-canary-canary-cana"
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def context(number: int) -> bytes:
    return DekContext(b"\1" * 16, b"\2" * 16, number.to_bytes(16, "big"), number).encode()


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


@pytest.fixture
def audit(tmp_path: Path, disk: FaultyDisk) -> Iterator[Audit]:
    with closing(open_audit(tmp_path / "audit", disk=disk)) as opened:
        yield opened


@pytest.fixture
def audited(local: OpenKeyring, audit: Audit) -> OpenKeyring:
    principal = Principal("router", "/run/router.sock")
    return OpenKeyring(
        AuditedKeyring(local.keyring, audit, principal),
        AuditedVersions(local.versions, audit, principal),
        prefix=local.prefix,
    )


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """The lines after the start, without the keys that every line has."""

    def read() -> list[dict[str, Any]]:
        lines = [json.loads(line) for segment in segments(tmp_path / "audit") for line in segment.lines]
        for line in lines:
            for name in ("seq", "prev", "time"):
                del line[name]
        return lines[2:]

    return read


def wrap(audited: OpenKeyring, numbers: Sequence[int]) -> list[WrappedDataKey]:
    results = audited.keyring.wrap([WrapItem(context(number), DataKey(CANARY)) for number in numbers])
    return [each for each in results if isinstance(each, WrappedDataKey)]


def item(number: int, name: str, outcome: str = "OK") -> dict[str, Any]:
    return {
        "credential_version": number,
        "dek_id": str(UUID(int=number)),
        "key_version": name,
        "outcome": outcome,
        "provider_uid": str(UUID(bytes=b"\2" * 16)),
    }


class TestLines:
    def test_of_wrap_and_unwrap(self, audited: OpenKeyring, recorded: Callable[[], Any]) -> None:
        rows = wrap(audited, [1, 2])
        name = rows[0].key_version
        audited.keyring.unwrap([rows[0], replace(rows[1], commitment=bytes(32))])
        common = {"principal": "router:/run/router.sock"}
        assert recorded() == [
            {**common, "event": "wrap", "items": [item(1, name), item(2, name)]},
            {**common, "event": "unwrap", "items": [item(1, name), item(2, name, "CREDENTIAL_CORRUPT")]},
        ]

    def test_of_rewrap_and_verify(self, audited: OpenKeyring, recorded: Callable[[], Any]) -> None:
        rows = wrap(audited, [1, 2, 3])
        name = rows[0].key_version
        rows[1] = replace(rows[1], commitment=bytes(32))
        audited.keyring.rewrap(rows, name)
        audited.keyring.verify(rows)
        summary = {
            "count": 2,
            "failed": [item(2, name, "CREDENTIAL_CORRUPT")],
            "key_versions": {name: 2},
            "principal": "router:/run/router.sock",
        }
        assert recorded()[1:] == [
            {**summary, "event": "rewrap", "target": name},
            {**summary, "event": "verify"},
        ]

    def test_of_a_version_s_life(self, audited: OpenKeyring, recorded: Callable[[], Any]) -> None:
        first = audited.versions.list_versions()[0].name
        created = audited.versions.create_version(uuid4(), first).name
        audited.versions.activate_version(created)
        audited.versions.disable_version(first, confirmed_unreferenced=True)
        audited.versions.enable_version(first)
        with pytest.raises(KeyVersionState):
            audited.versions.schedule_destruction(first, timedelta(days=30))
        with pytest.raises(KeyVersionState):
            audited.versions.cancel_destruction(first)
        lines = [
            (line["event"], line["phase"], line.get("outcome"), line.get("state")) for line in recorded()
        ]
        assert lines == [
            ("create_version", "begin", None, None),
            ("create_version", "end", "OK", "PENDING"),
            ("activate_version", "begin", None, None),
            ("activate_version", "end", "OK", "PRIMARY"),
            ("disable_version", "begin", None, None),
            ("disable_version", "end", "OK", "DISABLED"),
            ("enable_version", "begin", None, None),
            ("enable_version", "end", "OK", "DECRYPT_ONLY"),
            ("schedule_destruction", "begin", None, None),
            ("schedule_destruction", "end", "KEY_VERSION_STATE", None),
            ("cancel_destruction", "begin", None, None),
            ("cancel_destruction", "end", "KEY_VERSION_STATE", None),
        ]

    def test_reading_leaves_none(self, audited: OpenKeyring, recorded: Callable[[], Any]) -> None:
        audited.keyring.status()
        audited.versions.list_versions()
        assert audited.versions.destroy_due() == []
        assert recorded() == []

    def test_hold_nothing_secret_and_nothing_that_might_be(
        self, audited: OpenKeyring, tmp_path: Path
    ) -> None:
        """A caller may send a key in place of a name; what cannot be a name is not recorded."""
        row = wrap(audited, [1])[0]
        audited.keyring.unwrap([row])
        text = CANARY.decode()
        audited.keyring.unwrap([replace(row, key_version=text), replace(row, context=CANARY)])
        audited.keyring.verify([replace(row, wrapped=CANARY, key_version=f"keyVersions/{text.upper()}")])
        with pytest.raises(KeyringError):
            audited.versions.activate_version(text)
        with pytest.raises(KeyringError):
            audited.versions.create_version(uuid4(), text)
        written = b"".join(b"".join(segment.lines) for segment in segments(tmp_path / "audit"))
        secrets = (CANARY, row.wrapped, row.commitment, row.context)
        for secret in secrets:
            for form in (secret, secret.hex().encode(), base64.b64encode(secret)[:-4], secret.upper()):
                assert form not in written


class TestSync:
    @pytest.mark.parametrize("count", [1, 64])
    def test_one_for_a_batch_of_keys(self, audited: OpenKeyring, disk: FaultyDisk, count: int) -> None:
        rows = wrap(audited, range(1, count + 1))
        disk.calls.clear()
        audited.keyring.unwrap(rows)
        assert disk.calls == ["write", "sync"]

    def test_none_where_no_key_leaves(self, audited: OpenKeyring, disk: FaultyDisk) -> None:
        rows = wrap(audited, [1])
        disk.calls.clear()
        audited.keyring.verify(rows)
        audited.keyring.rewrap(rows, rows[0].key_version)
        assert disk.calls == ["write", "write"]


class TestUnwritable:
    @pytest.mark.parametrize("step", [1, 2], ids=["at the write", "at the sync"])
    def test_no_key_leaves(
        self,
        audited: OpenKeyring,
        keyring: Keyring,
        disk: FaultyDisk,
        monkeypatch: pytest.MonkeyPatch,
        step: int,
    ) -> None:
        row = wrap(audited, [1])[0]
        keys: list[DataKey] = []
        genuine = keyring.unwrap

        def remember(items: Sequence[WrappedDataKey]) -> list[DataKey | KeyringError]:
            results = genuine(items)
            keys.extend(each for each in results if isinstance(each, DataKey))
            return results

        monkeypatch.setattr(keyring, "unwrap", remember)
        disk.fail(step, _full)
        with pytest.raises(AuditUnavailable):
            audited.keyring.unwrap([row])
        assert [bytes(key.octets) for key in keys] == [bytes(32)], "and it was wiped"

    def test_no_version_changes(
        self, audited: OpenKeyring, keyring_file: KeyringFile, disk: FaultyDisk
    ) -> None:
        before = keyring_file.read()
        latest = audited.versions.list_versions()[-1].name
        disk.fail(1, _full)
        with pytest.raises(AuditUnavailable):
            audited.versions.create_version(uuid4(), latest)
        assert keyring_file.read() == before

    def test_a_change_whose_end_is_not_recorded_was_announced_and_can_be_repeated(
        self, audited: OpenKeyring, disk: FaultyDisk, recorded: Callable[[], Any]
    ) -> None:
        request_id, latest = uuid4(), audited.versions.list_versions()[-1].name
        disk.fail(3, _full)
        with pytest.raises(AuditUnavailable):
            audited.versions.create_version(request_id, latest)
        assert audited.versions.create_version(request_id, latest).state is VersionState.PENDING
        assert len(audited.versions.list_versions()) == 2
        phases = [line["phase"] for line in recorded() if line["event"] == "create_version"]
        assert phases == ["begin", "begin", "end"]

    def test_a_destruction_that_was_not_recorded_is_recorded_later(
        self,
        audited: OpenKeyring,
        versions: KeyVersions,
        disk: FaultyDisk,
        recorded: Callable[[], Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        gone = replace(audited.versions.list_versions()[0], state=VersionState.DESTROYED)
        rounds = [[gone], []]
        monkeypatch.setattr(versions, "destroy_due", lambda: rounds.pop(0))
        disk.fail(1, _full)
        with pytest.raises(AuditUnavailable):
            audited.versions.destroy_due()
        audited.versions.destroy_due()
        assert [line["key_version"] for line in recorded() if line["event"] == "destroyed"] == [gone.name]

    @pytest.mark.parametrize("act", ["wrap", "rewrap", "verify"])
    def test_nothing_else_is_answered_either(self, audited: OpenKeyring, disk: FaultyDisk, act: str) -> None:
        row = wrap(audited, [1])[0]
        acts: dict[str, Callable[[], object]] = {
            "wrap": lambda: wrap(audited, [2]),
            "rewrap": lambda: audited.keyring.rewrap([row], row.key_version),
            "verify": lambda: audited.keyring.verify([row]),
        }
        disk.fail(1, _full)
        with pytest.raises(AuditUnavailable):
            acts[act]()

    def test_shows_in_the_status(self, audited: OpenKeyring, audit: Audit, disk: FaultyDisk) -> None:
        disk.fail(1, _full)
        with pytest.raises(AuditUnavailable):
            wrap(audited, [1])
        status = audited.keyring.status()
        assert (status.wrap_healthy, status.unwrap_healthy) == (False, False)
        assert "audit" in status.message
        audit.tick()
        assert audited.keyring.status().wrap_healthy


def _full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
