from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kms.errors import StartError
from kms.files.private import create_private
from kms.installation import initialise, parse_deployment_id, read_deployment_id
from kms.local.unlock import UnlockKind, UnlockSource


def run_init(directory: Path, declared: bytes | None = None) -> bytes:
    return initialise(
        keyring=directory / "keyring.json",
        deployment_id_file=directory / "deployment-id",
        declared_deployment_id=declared,
        unlock_source=UnlockSource(UnlockKind.KEY_FILE, directory / "unlock.key"),
        clock=lambda: datetime(2026, 11, 23, tzinfo=UTC),
        random=os.urandom,
    )


class TestInitialise:
    def test_makes_private_files_in_a_private_directory(self, tmp_path: Path) -> None:
        run_init(tmp_path / "kms")
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "kms").iterdir()}
        names = ("deployment-id", "keyring.json", "keyring.json.lock", "unlock.key")
        assert modes == dict.fromkeys(names, 0o600)
        assert (tmp_path / "kms").stat().st_mode & 0o777 == 0o700

    def test_makes_different_keys_each_time(self, tmp_path: Path) -> None:
        assert run_init(tmp_path / "one") != run_init(tmp_path / "two")
        assert (tmp_path / "one/unlock.key").read_bytes() != (tmp_path / "two/unlock.key").read_bytes()

    def test_never_replaces_a_keyring(self, tmp_path: Path) -> None:
        run_init(tmp_path / "kms")
        before = {path.name: path.read_bytes() for path in (tmp_path / "kms").iterdir()}
        with pytest.raises(StartError, match="exists already"):
            run_init(tmp_path / "kms")
        assert {path.name: path.read_bytes() for path in (tmp_path / "kms").iterdir()} == before

    def test_goes_on_where_it_was_interrupted(self, tmp_path: Path) -> None:
        run_init(tmp_path / "kms")
        (tmp_path / "kms/keyring.json").unlink()
        kept = (tmp_path / "kms/unlock.key").read_bytes()
        identity = read_deployment_id(tmp_path / "kms/deployment-id", None)
        assert run_init(tmp_path / "kms") == identity
        assert (tmp_path / "kms/unlock.key").read_bytes() == kept

    def test_takes_the_declared_identity(self, tmp_path: Path) -> None:
        assert run_init(tmp_path / "kms", declared=b"\7" * 16) == b"\7" * 16
        assert (tmp_path / "kms/deployment-id").read_text() == "07" * 16 + "\n"

    def test_refuses_a_declared_identity_that_is_not_the_stored_one(self, tmp_path: Path) -> None:
        (tmp_path / "kms").mkdir(mode=0o700)
        create_private(tmp_path / "kms/deployment-id", b"08" * 16 + b"\n")
        with pytest.raises(StartError, match="disagree"):
            run_init(tmp_path / "kms", declared=b"\7" * 16)
        assert not (tmp_path / "kms/keyring.json").exists()


class TestDeploymentId:
    def test_missing_names_the_remedy(self, tmp_path: Path) -> None:
        with pytest.raises(StartError, match="python -m kms init"):
            read_deployment_id(tmp_path / "deployment-id", None)

    def test_the_setting_alone_is_enough(self, tmp_path: Path) -> None:
        assert read_deployment_id(tmp_path / "deployment-id", b"\7" * 16) == b"\7" * 16

    @pytest.mark.parametrize("content", [b"", b"xyz", b"07" * 15, b"07" * 16 + b"\n\n", b"\xff" * 32])
    def test_damaged_is_refused(self, tmp_path: Path, content: bytes) -> None:
        create_private(tmp_path / "deployment-id", content)
        with pytest.raises(StartError, match="32 hex digits"):
            read_deployment_id(tmp_path / "deployment-id", None)

    def test_either_case_is_read(self) -> None:
        assert parse_deployment_id("AB" * 16) == parse_deployment_id("ab" * 16)
