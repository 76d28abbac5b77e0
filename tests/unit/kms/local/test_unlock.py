from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kms.files.private import create_private
from kms.local.document import DocumentCodec, read_preamble
from kms.local.unlock import (
    KeyMethod,
    ScryptMethod,
    UnlockError,
    UnlockKind,
    UnlockSource,
    prepare,
    refuse_weak,
    unlock,
)

VECTORS = Path(__file__).parents[3] / "vectors" / "kms"


class TestPassphrase:
    @pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
    def test_the_frozen_keyring_opens(self, tmp_path: Path, end: bytes) -> None:
        """One line end after the passphrase does not matter, whichever editor wrote it."""
        stored = (VECTORS / "keyring-passphrase.json").read_bytes()
        passphrase = json.loads((VECTORS / "unlock.json").read_text())["keyring-passphrase.json"][
            "passphrase"
        ]
        create_private(tmp_path / "passphrase", passphrase.encode() + end)
        keyring_id, method = read_preamble(stored)
        root = unlock(UnlockSource(UnlockKind.PASSPHRASE_FILE, tmp_path / "passphrase"), method)
        assert DocumentCodec(root, keyring_id).decode(stored).seq == 4

    @pytest.mark.parametrize(
        "passphrase",
        ["", "short", "fifteen charact", "a" * 40, "abcabcabcabcabcabc", "abcdefghijklmnopqrst",
         "9876543210987654", "zyxwvutsrqponmlk", "aaaaaaaabbbbbbbb", "password12password12"],
    )  # fmt: skip
    def test_weak_ones_are_refused(self, passphrase: str) -> None:
        with pytest.raises(UnlockError, match="too weak"):
            refuse_weak(passphrase.encode())

    @pytest.mark.parametrize(
        "passphrase", ["correct horse battery staple", "gT7!kq2Zp9#xW4vM", "größe über alles 5 mal"]
    )
    def test_others_are_taken(self, passphrase: str) -> None:
        refuse_weak(passphrase.encode())

    def test_must_be_text(self) -> None:
        with pytest.raises(UnlockError, match="UTF-8"):
            refuse_weak(b"\xff" * 20)

    def test_weak_one_makes_no_keyring(self, tmp_path: Path) -> None:
        create_private(tmp_path / "passphrase", b"0123456789012345\n")
        with pytest.raises(UnlockError, match="too weak"):
            prepare(UnlockSource(UnlockKind.PASSPHRASE_FILE, tmp_path / "passphrase"), os.urandom)

    def test_prepare_picks_a_salt_and_the_floor_of_cost(self, tmp_path: Path) -> None:
        create_private(tmp_path / "passphrase", b"correct horse battery staple\n")
        method = prepare(UnlockSource(UnlockKind.PASSPHRASE_FILE, tmp_path / "passphrase"), bytes)
        assert method == ScryptMethod(17, bytes(16))


class TestKeyFile:
    def test_is_made_once_and_kept(self, tmp_path: Path) -> None:
        source = UnlockSource(UnlockKind.KEY_FILE, tmp_path / "unlock.key")
        assert prepare(source, os.urandom) == KeyMethod()
        first = unlock(source, KeyMethod())
        prepare(source, os.urandom)
        assert unlock(source, KeyMethod()) == first
        assert source.path.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("content", [b"", b"\0" * 31, b"\0" * 33, b"\0" * 64])
    def test_must_have_32_bytes(self, tmp_path: Path, content: bytes) -> None:
        create_private(tmp_path / "unlock.key", content)
        with pytest.raises(UnlockError, match="32 bytes"):
            unlock(UnlockSource(UnlockKind.KEY_FILE, tmp_path / "unlock.key"), KeyMethod())

    def test_missing_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(UnlockError, match=r"key file .*unlock\.key is missing"):
            unlock(UnlockSource(UnlockKind.KEY_FILE, tmp_path / "unlock.key"), KeyMethod())

    def test_open_to_others_is_refused(self, tmp_path: Path) -> None:
        create_private(tmp_path / "unlock.key", bytes(32))
        (tmp_path / "unlock.key").chmod(0o644)
        with pytest.raises(UnlockError, match="0600"):
            unlock(UnlockSource(UnlockKind.KEY_FILE, tmp_path / "unlock.key"), KeyMethod())


class TestSystemdCredential:
    def test_is_read_but_never_made(self, tmp_path: Path) -> None:
        source = UnlockSource(UnlockKind.SYSTEMD_CREDENTIAL, tmp_path / "codevector-kms-unlock")
        assert prepare(source, os.urandom) == KeyMethod()
        assert not source.path.exists()
        create_private(source.path, bytes(range(32)))
        source.path.chmod(0o440)
        assert unlock(source, KeyMethod()).octets == bytes(range(32))


class TestKindsDoNotMix:
    def test_a_passphrase_keyring_wants_a_passphrase(self, tmp_path: Path) -> None:
        with pytest.raises(UnlockError, match="set CODEVECTOR_KEYRING_PASSPHRASE_FILE"):
            unlock(UnlockSource(UnlockKind.KEY_FILE, tmp_path / "unlock.key"), ScryptMethod(17, bytes(16)))

    def test_a_key_keyring_wants_a_key(self, tmp_path: Path) -> None:
        with pytest.raises(UnlockError, match="unset CODEVECTOR_KEYRING_PASSPHRASE_FILE"):
            unlock(UnlockSource(UnlockKind.PASSPHRASE_FILE, tmp_path / "p"), KeyMethod())
