"""Reading an audit from its files: exit codes and lines, for people and as JSON."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kms.arguments import parse
from kms.audit.command import AuditUnreadable, expose_files, verify_files
from kms.audit.lines import Position, read_time
from tests.support.servers.audits import AUDIT_KEY, open_audit

KEY = AUDIT_KEY.public_key
NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
ITEM = {"outcome": "OK", "provider_uid": "uid", "dek_id": "dek", "credential_version": 3, "key_version": "k"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An audit in which a router unwrapped one key."""
    with closing(open_audit(tmp_path / "audit")) as audit:
        audit.record("unwrap", {"principal": "router:/r.sock", "items": [ITEM]}, synced=True)
    return tmp_path / "audit"


@pytest.fixture
def file(directory: Path) -> Path:
    return directory / "audit-000000000001.jsonl"


class TestVerify:
    def test_whole(self, directory: Path, file: Path) -> None:
        for place in (directory, file):
            answer = verify_files(place, public_key=KEY, expected=None, as_json=False)
            assert answer.exit_code == 0
            assert answer.lines[0] == "intact: lines 1 to 5, signed up to line 5"
            assert answer.lines[1].startswith("head: ")

    def test_without_a_key_says_so(self, file: Path) -> None:
        answer = verify_files(file, public_key=None, expected=None, as_json=False)
        assert "signatures not checked" in answer.lines[0]

    def test_names_the_first_bad_line(self, file: Path) -> None:
        file.write_bytes(file.read_bytes().replace(b'"event":"unwrap"', b'"event":"unwrep"'))
        answer = verify_files(file, public_key=KEY, expected=None, as_json=False)
        assert answer.exit_code == 1
        assert answer.lines == (
            "audit-000000000001.jsonl:3: chain broken: line 3 was changed after it was written",
        )

    def test_as_json(self, file: Path) -> None:
        expected = Position(9, bytes(32))
        answer = verify_files(file, public_key=KEY, expected=expected, as_json=True)
        told = json.loads(answer.lines[0])
        assert answer.exit_code == 1
        assert (told["intact"], told["auditSeq"], told["signaturesChecked"]) == (False, 5, True)
        assert (told["fault"]["reason"], told["fault"]["line"]) == ("cut tail", 6)

    @pytest.mark.parametrize("name", ["missing", "empty"])
    def test_where_there_is_none(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(AuditUnreadable):
            verify_files(tmp_path / name, public_key=KEY, expected=None, as_json=False)


class TestExposure:
    def test_a_table(self, directory: Path) -> None:
        answer = expose_files(directory, since=NOON, principal="router", as_json=False)
        assert answer.exit_code == 0
        assert [line.split()[:4] for line in answer.lines] == [
            ["PROVIDER", "UID", "VERSION", "DATA"],
            ["uid", "3", "dek", "1"],
        ]

    def test_as_json(self, directory: Path) -> None:
        told = json.loads(expose_files(directory, since=NOON, principal="", as_json=True).lines[0])
        assert told["doubts"] == []
        assert told["exposedCredentials"] == [
            {
                "providerUid": "uid",
                "credentialVersion": 3,
                "dataKeyId": "dek",
                "keyVersions": ["k"],
                "principals": ["router:/r.sock"],
                "firstTime": "2026-11-23T12:00:00.000Z",
                "lastTime": "2026-11-23T12:00:00.000Z",
                "accessCount": 1,
            }
        ]

    def test_never_looks_complete_where_it_may_not_be(self, file: Path) -> None:
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join(lines[:1] + lines[2:]))
        answer = expose_files(file, since=NOON, principal="", as_json=False)
        assert answer.exit_code == 1
        assert answer.lines[-1].startswith("incomplete: audit-000000000001.jsonl:2:")
        file.write_bytes(b"".join(lines[1:]))
        early = datetime(2026, 11, 22, tzinfo=UTC)
        answer = expose_files(file, since=early, principal="", as_json=False)
        assert (answer.exit_code, "older files" in answer.lines[-1]) == (1, True)


class TestArguments:
    def test_verify(self) -> None:
        options = parse(["audit", "verify", "f", "--expect-seq", "3", "--expect-head", "ab" * 32])
        assert (options.file, options.expected) == (Path("f"), Position(3, b"\xab" * 32))
        assert parse(["audit", "verify"]).expected is None

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--expect-seq", "3"],
            ["--expect-head", "ab" * 32],
            ["--expect-seq", "0", "--expect-head", "ab" * 32],
            ["--expect-seq", "3", "--expect-head", "AB"],
        ],
    )
    def test_half_a_position_is_refused(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit, match="2"):
            parse(["audit", "verify", *arguments])
        assert "come together" in capsys.readouterr().err

    def test_exposure_needs_a_time_with_its_offset(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert parse(["audit", "exposure", "--since", "2026-11-23T13:00:00+01:00"]).since == NOON
        for arguments in (["--since", "2026-11-23T12:00:00"], ["--since", "yesterday"], []):
            with pytest.raises(SystemExit, match="2"):
                parse(["audit", "exposure", *arguments])
        assert "--since" in capsys.readouterr().err
        with pytest.raises(ValueError, match="offset"):
            read_time("2026-11-23")

    def test_serving_is_the_default(self) -> None:
        assert parse([]).command is None
        assert parse(["--check-config"]).check_config
