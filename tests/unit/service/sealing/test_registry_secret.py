"""The registry's own secret: its file and the keys that derive from it."""

from __future__ import annotations

import hmac
import os
import pickle
from pathlib import Path

import pytest

from service.sealing.registry_secret import (
    RegistrySecret,
    RegistrySecretError,
    create_registry_secret,
    load_registry_secret,
)

OCTETS = bytes(range(32))


def write(path: Path, octets: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(octets)
    path.chmod(mode)
    return path


class TestDerive:
    def test_is_hkdf_with_empty_salt(self) -> None:
        extracted = hmac.digest(bytes(32), OCTETS, "sha256")
        expected = hmac.digest(extracted, b"codevector/page-token/1\x01", "sha256")
        assert RegistrySecret(OCTETS).derive("codevector/page-token/1") == expected

    def test_labels_separate(self) -> None:
        secret = RegistrySecret(OCTETS)
        assert secret.derive("a") == secret.derive("a") != secret.derive("b")

    def test_never_shows_itself(self) -> None:
        secret = RegistrySecret(OCTETS)
        assert repr(secret) == str(secret) == f"{secret}" == "RegistrySecret(<redacted>)"
        with pytest.raises(TypeError):
            pickle.dumps(secret)

    def test_length(self) -> None:
        with pytest.raises(ValueError, match="32 bytes"):
            RegistrySecret(OCTETS[1:])


class TestFile:
    def test_created_secret_loads_again(self, tmp_path: Path) -> None:
        path = tmp_path / "registry.secret"
        created = create_registry_secret(path, os.urandom)
        assert load_registry_secret(path).derive("x") == created.derive("x")
        assert path.stat().st_mode & 0o777 == 0o600
        assert list(tmp_path.iterdir()) == [path]

    def test_an_existing_secret_is_kept(self, tmp_path: Path) -> None:
        path = write(tmp_path / "registry.secret", OCTETS)
        with pytest.raises(RegistrySecretError, match="exists already"):
            create_registry_secret(path, os.urandom)
        assert path.read_bytes() == OCTETS
        assert list(tmp_path.iterdir()) == [path]

    def test_missing_directory(self, tmp_path: Path) -> None:
        with pytest.raises(RegistrySecretError, match="cannot be written"):
            create_registry_secret(tmp_path / "none" / "registry.secret", os.urandom)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(RegistrySecretError, match="is missing"):
            load_registry_secret(tmp_path / "registry.secret")

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
    def test_readable_by_others(self, tmp_path: Path, mode: int) -> None:
        path = write(tmp_path / "registry.secret", OCTETS, mode)
        with pytest.raises(RegistrySecretError, match="only this account"):
            load_registry_secret(path)

    @pytest.mark.parametrize("octets", [b"", OCTETS[1:], OCTETS + b"\n"])
    def test_wrong_length(self, tmp_path: Path, octets: bytes) -> None:
        path = write(tmp_path / "registry.secret", octets)
        with pytest.raises(RegistrySecretError, match="32 bytes"):
            load_registry_secret(path)

    def test_link_is_not_followed(self, tmp_path: Path) -> None:
        write(tmp_path / "elsewhere", OCTETS)
        (tmp_path / "registry.secret").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(RegistrySecretError, match="cannot be read"):
            load_registry_secret(tmp_path / "registry.secret")

    def test_fifo_does_not_block(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "registry.secret", 0o600)
        with pytest.raises(RegistrySecretError, match="plain file"):
            load_registry_secret(tmp_path / "registry.secret")
