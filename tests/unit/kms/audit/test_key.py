from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kms.audit.key import (
    AuditKey,
    AuditKeyError,
    make_audit_key,
    public_key_file,
    read_audit_key,
    read_public_key,
)
from kms.files.private import FileError


def test_is_made_once_and_private(tmp_path: Path) -> None:
    directory = tmp_path / "kms"
    key, is_new = make_audit_key(directory, os.urandom)
    again, is_new_again = make_audit_key(directory, os.urandom)
    assert (is_new, is_new_again) == (True, False)
    assert key.public_key == again.public_key == read_audit_key(directory).public_key
    assert {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()} == {
        "audit.key": 0o600,
        "audit.pub": 0o600,
    }
    assert read_public_key(public_key_file(directory)) == key.public_key


def test_a_lost_public_key_is_put_back(tmp_path: Path) -> None:
    key, _ = make_audit_key(tmp_path / "kms", os.urandom)
    public_key_file(tmp_path / "kms").unlink()
    make_audit_key(tmp_path / "kms", os.urandom)
    assert read_public_key(public_key_file(tmp_path / "kms")) == key.public_key


def test_signs_what_its_public_key_verifies() -> None:
    key = AuditKey(bytes(range(32)))
    Ed25519PublicKey.from_public_bytes(key.public_key).verify(key.sign(b"text"), b"text")
    assert repr(key) == f"AuditKey({key.public_key.hex()})"


def test_missing_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(AuditKeyError, match="python -m kms init"):
        read_audit_key(tmp_path)


def test_of_another_length_is_refused(tmp_path: Path) -> None:
    make_audit_key(tmp_path / "kms", os.urandom)
    (tmp_path / "kms/audit.key").write_bytes(bytes(31))
    with pytest.raises(AuditKeyError, match="32 bytes"):
        read_audit_key(tmp_path / "kms")


def test_open_to_others_is_refused(tmp_path: Path) -> None:
    make_audit_key(tmp_path / "kms", os.urandom)
    (tmp_path / "kms/audit.key").chmod(0o644)
    with pytest.raises(FileError, match="0600"):
        read_audit_key(tmp_path / "kms")


@pytest.mark.parametrize("content", [b"", b"ab", b"AB" * 32, b"ab" * 32 + b"\n\n", b"\xff" * 64])
def test_a_public_key_is_64_hex_digits(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "audit.pub").write_bytes(content)
    with pytest.raises(AuditKeyError):
        read_public_key(tmp_path / "audit.pub")


def test_of_two_that_make_it_at_once_one_does(tmp_path: Path) -> None:
    """The second begins while the first is at work, and uses what the first made."""
    directory, second = tmp_path / "kms", list[tuple[AuditKey, bool]]()
    other = threading.Thread(target=lambda: second.append(make_audit_key(directory, os.urandom)))

    def random(length: int) -> bytes:
        other.start()
        other.join(0.2)
        return os.urandom(length)

    first, is_new = make_audit_key(directory, random)
    other.join(10)
    [(key, is_new_too)] = second
    assert (is_new, is_new_too) == (True, False)
    assert first.public_key == key.public_key == read_public_key(public_key_file(directory))
