from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kms.files.generations import KeyringFile
from kms.formats import DekContext
from kms.keyring import (
    DataKey,
    Keyring,
    KeyringError,
    KeyringUnavailable,
    KeyVersion,
    KeyVersions,
    OpenKeyring,
    VersionState,
    WrapItem,
    WrappedDataKey,
)
from kms.local.document import DOCUMENT_LIMIT, DocumentError
from kms.local.kek import Kek, seal_data_key
from kms.local.opening import open_local
from kms.local.unlock import UnlockRoot

VECTORS = Path(__file__).parents[3] / "vectors" / "kms"
Open = Callable[[KeyringFile], OpenKeyring]
CONTEXT = DekContext(b"\1" * 16, b"\2" * 16, b"\3" * 16, 1).encode()


def wrap_one(keyring: Keyring) -> WrappedDataKey:
    result = keyring.wrap([WrapItem(CONTEXT, DataKey(bytes(range(32))))])[0]
    assert isinstance(result, WrappedDataKey)
    return result


def opened(keyring: Keyring, wrapped: WrappedDataKey) -> bytes:
    result = keyring.unwrap([wrapped])[0]
    assert isinstance(result, DataKey), result
    return bytes(result.octets)


def rotate(versions: KeyVersions) -> KeyVersion:
    latest = versions.list_versions()[-1].name
    return versions.activate_version(versions.create_version(uuid4(), latest).name)


class TestFrozenWrapper:
    @pytest.fixture
    def vector(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((VECTORS / "wrapper.json").read_text())
        return loaded

    def test_is_made_byte_for_byte(self, vector: dict[str, Any]) -> None:
        kek = Kek(bytes.fromhex(vector["kek"]))
        data_key = DataKey(bytes.fromhex(vector["data_key"]))
        body = seal_data_key(kek, bytes.fromhex(vector["context"]), data_key, bytes.fromhex(vector["nonce"]))
        assert kek.check == vector["check"]
        assert body == bytes.fromhex(vector["wrapper"])[-60:]

    def test_another_program_opens_it(self, vector: dict[str, Any]) -> None:
        derive = HKDF(hashes.SHA256(), 32, None, bytes.fromhex(vector["context"]))
        body = bytes.fromhex(vector["wrapper"])[-60:]
        cipher = AESGCM(derive.derive(bytes.fromhex(vector["kek"])))
        assert cipher.decrypt(body[:12], body[12:], None).hex() == vector["data_key"]

    def test_opens_for_ever_with_the_frozen_keyring(self, vector: dict[str, Any], tmp_path: Path) -> None:
        directory = tmp_path / "kms"
        directory.mkdir(mode=0o700)
        stored = (VECTORS / "keyring-key.json").read_bytes()
        unlock_key = json.loads((VECTORS / "unlock.json").read_text())["keyring-key.json"]["unlock_key"]
        with closing(KeyringFile(directory / "keyring.json", limit=DOCUMENT_LIMIT)) as file:
            file.create(stored)
            local = open_local(
                file,
                unlock=lambda _: UnlockRoot(bytes.fromhex(unlock_key)),
                deployment_id=b"\1" * 16,
                clock=lambda: pytest.fail("no clock is needed"),
                monotonic=lambda: pytest.fail("no clock is needed"),
                random=os.urandom,
            )
            wrapped = WrappedDataKey(
                wrapped=bytes.fromhex(vector["wrapper"]),
                key_version="keyVersions/" + vector["ref"],
                commitment=bytes.fromhex(vector["commitment"]),
                context=bytes.fromhex(vector["context"]),
            )
            assert opened(local.keyring, wrapped).hex() == vector["data_key"]


class TestPersistence:
    def test_a_restart_opens_everything(self, home: Path, open_keyring: Open) -> None:
        wrappers = []
        for _ in range(3):
            with closing(KeyringFile(home / "keyring.json", limit=DOCUMENT_LIMIT)) as file:
                local = open_keyring(file)
                wrappers.append(wrap_one(local.keyring))
                rotate(local.versions)
                assert [opened(local.keyring, each) for each in wrappers] == [bytes(range(32))] * len(
                    wrappers
                )

    def test_seq_grows_by_one_with_each_change(self, keyring: Keyring, versions: KeyVersions) -> None:
        seen = [keyring.status().seq]
        version = versions.create_version(uuid4(), versions.list_versions()[-1].name)
        seen.append(keyring.status().seq)
        versions.activate_version(version.name)
        seen.append(keyring.status().seq)
        versions.activate_version(version.name)
        seen.append(keyring.status().seq)
        assert seen == [1, 2, 3, 3]

    def test_a_repeated_request_outlives_a_restart(self, home: Path, open_keyring: Open) -> None:
        request_id = uuid4()
        made = []
        for _ in range(2):
            with closing(KeyringFile(home / "keyring.json", limit=DOCUMENT_LIMIT)) as file:
                versions = open_keyring(file).versions
                made.append(versions.create_version(request_id, versions.list_versions()[0].name))
                assert len(versions.list_versions()) == 2
        assert made[0] == made[1]

    def test_names_hold_keyring_number_and_check(self, versions: KeyVersions) -> None:
        names = [versions.list_versions()[0].name, rotate(versions).name]
        parts = [name.split("-") for name in names]
        assert [part[2] for part in parts] == ["v1", "v2"]
        assert parts[0][:2] == parts[1][:2]
        assert parts[0][3] != parts[1][3]

    def test_a_file_of_another_deployment_is_refused(self, keyring_file: KeyringFile, home: Path) -> None:
        with pytest.raises(DocumentError, match="another deployment"):
            open_local(
                keyring_file,
                unlock=lambda _: UnlockRoot((home / "unlock.key").read_bytes()),
                deployment_id=b"\2" * 16,
                clock=lambda: pytest.fail("no clock is needed"),
                monotonic=lambda: pytest.fail("no clock is needed"),
                random=os.urandom,
            )


class TestFaults:
    @pytest.mark.parametrize("call", ["rename", "fsync"])
    @pytest.mark.parametrize("step", range(1, 6))
    def test_what_was_not_acknowledged_is_repeated_safely(
        self, keyring: Keyring, versions: KeyVersions, monkeypatch: pytest.MonkeyPatch, call: str, step: int
    ) -> None:
        """Whether or not the write took effect, the repeated request makes one version that works."""
        rotate(versions)
        genuine = getattr(os, call)
        calls = 0

        def faulty(*arguments: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls == step:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return genuine(*arguments, **options)

        latest = versions.list_versions()[-1].name
        request_id = uuid4()
        with monkeypatch.context() as patch:
            patch.setattr(os, call, faulty)
            try:
                versions.create_version(request_id, latest)
            except KeyringUnavailable:
                assert len(versions.list_versions()) == 2
        created = versions.create_version(request_id, latest)
        assert [version.state for version in versions.list_versions()][2:] == [VersionState.PENDING]
        versions.activate_version(created.name)
        assert opened(keyring, wrap_one(keyring)) == bytes(range(32))

    def test_an_older_generation_put_back_is_not_taken_up(self, versions: KeyVersions, home: Path) -> None:
        rotate(versions)
        current = versions.list_versions()
        (home / "keyring.json").write_bytes((home / "keyring.json.1").read_bytes())
        with pytest.raises(KeyringUnavailable):
            versions.create_version(uuid4(), current[-1].name)
        assert versions.list_versions() == current

    @pytest.mark.parametrize(
        "harm",
        [
            lambda file: file.unlink(),
            lambda file: file.rename(file.with_name("elsewhere")),
            lambda file: file.write_bytes(b"{}\n"),
            lambda file: os.replace(file.with_name("keyring.json.1"), file),
        ],
        ids=["deleted", "moved", "damaged", "put back older"],
    )
    def test_a_file_that_another_hand_changed_stops_changes_and_use(
        self, keyring: Keyring, versions: KeyVersions, home: Path, harm: Callable[[Path], object]
    ) -> None:
        versions.create_version(uuid4(), versions.list_versions()[-1].name)
        wrapped, file = wrap_one(keyring), home / "keyring.json"
        content = file.read_bytes()
        harm(file)
        uses: list[Callable[[], object]] = [
            lambda: versions.create_version(uuid4(), versions.list_versions()[-1].name),
            lambda: keyring.unwrap([wrapped]),
            lambda: keyring.verify([wrapped]),
            lambda: keyring.rewrap([wrapped], wrapped.key_version),
            lambda: wrap_one(keyring),
        ]
        for use in uses:
            with pytest.raises(KeyringUnavailable, match="the keyring file was deleted, moved or replaced"):
                use()
        status = keyring.status()
        assert (status.wrap_healthy, status.unwrap_healthy) == (False, False)
        assert status.message.startswith("the keyring file was deleted, moved or replaced")
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
        file.touch(mode=0o600)
        file.write_bytes(content)
        assert opened(keyring, wrapped) == bytes(range(32)), "the same content is the same keyring"
        assert keyring.status().wrap_healthy

    def test_a_key_that_fails_its_self_test_is_never_stored(
        self, versions: KeyVersions, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = (home / "keyring.json").read_bytes()
        monkeypatch.setattr("kms.local.kek.AESGCM", _LyingCipher)
        with pytest.raises(KeyringUnavailable):
            versions.create_version(UUID(int=4), versions.list_versions()[-1].name)
        assert (home / "keyring.json").read_bytes() == before


class _LyingCipher:
    """Hardware gone wrong: what is decrypted is not what was encrypted."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, _nonce: bytes, data: bytes, _aad: None) -> bytes:
        return bytes(data) + bytes(16)

    def decrypt_into(self, _nonce: bytes, _data: bytes, _aad: None, buffer: bytearray) -> int:
        buffer[:] = b"\1" * len(buffer)
        return len(buffer)


class TestNoSecretInErrors:
    def test_errors_hold_no_key_material(self, keyring: Keyring) -> None:
        wrapped = wrap_one(keyring)
        broken = WrappedDataKey(wrapped.wrapped, wrapped.key_version, bytes(32), wrapped.context)
        error = keyring.unwrap([broken])[0]
        assert isinstance(error, KeyringError)
        text = repr((error, error.message, error.metadata, error.__cause__, error.__context__))
        assert bytes(range(32)).hex() not in text
        assert wrapped.wrapped.hex() not in text
