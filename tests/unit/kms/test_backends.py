from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kms.backends import KeyringUri, Surroundings, open_keyrings
from kms.errors import StartError
from kms.formats import DekContext
from kms.installation import initialise
from kms.keyring import DataKey, WrapItem
from kms.local.unlock import UnlockKind, UnlockSource
from kms.vault.access import VaultAccess, VaultSecret
from tests.support.servers.openbao import OpenBao

DEPLOYMENT_ID = bytes([1]) * 16


def now() -> datetime:
    return datetime(2026, 11, 23, tzinfo=UTC)


def surroundings(directory: Path, vault: VaultAccess | None = None) -> Surroundings:
    return Surroundings(
        directory=directory,
        deployment_id=DEPLOYMENT_ID,
        unlock=UnlockSource(UnlockKind.KEY_FILE, directory / "unlock.key"),
        vault=vault,
        clock=now,
        monotonic=lambda: 0.0,
        random=os.urandom,
    )


def make_keyring(directory: Path, name: str = "keyring.json") -> KeyringUri:
    initialise(
        keyring=directory / name,
        deployment_id_file=directory / "deployment-id",
        declared_deployment_id=DEPLOYMENT_ID,
        unlock_source=UnlockSource(UnlockKind.KEY_FILE, directory / "unlock.key"),
        clock=now,
        random=os.urandom,
    )
    return KeyringUri.parse(f"local:{directory / name}")


class TestKeyringUri:
    @pytest.mark.parametrize(
        ("text", "normal"),
        [
            ("local:/a/../b", "local:/b"),
            (" vault-transit:transit/codevector ", "vault-transit:transit/codevector"),
            ("vault-transit:team/transit/cv", "vault-transit:team/transit/cv"),
        ],
    )
    def test_prints_as_it_is_read(self, text: str, normal: str) -> None:
        assert str(KeyringUri.parse(text)) == normal
        assert KeyringUri.parse(normal) == KeyringUri.parse(text)

    @pytest.mark.parametrize("text", ["", "local", "local:", "Local:/x", "vault:x/y", "vault-transit:x"])
    def test_refuses_all_else(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"keyring|MOUNT/KEY"):
            KeyringUri.parse(text)


class TestOpening:
    def test_two_keyrings_of_one_installation(self, tmp_path: Path) -> None:
        directory = tmp_path / "kms"
        uris = [make_keyring(directory), make_keyring(directory, "older.json")]
        context = DekContext(DEPLOYMENT_ID, bytes(16), bytes(16), 1).encode()
        with ExitStack() as stack:
            older = open_keyrings(uris[1:], surroundings(directory), stack)
            rows = older.keyring.wrap([WrapItem(context, DataKey(bytes(32)))])
        with ExitStack() as stack:
            opened = open_keyrings(uris, surroundings(directory), stack)
            moved = opened.keyring.rewrap(rows, opened.keyring.status().primary)  # type: ignore[arg-type]
            assert opened.keyring.verify(moved) == [None]  # type: ignore[arg-type]
            assert opened.refreshes == ()

    def test_one_keyring_under_two_names_is_refused(self, tmp_path: Path) -> None:
        uri = make_keyring(tmp_path / "kms")
        copy = tmp_path / "kms" / "copy.json"
        copy.touch(mode=0o600)
        copy.write_bytes(Path(uri.place).read_bytes())
        uris = [uri, KeyringUri.parse(f"local:{copy}")]
        with ExitStack() as stack, pytest.raises(StartError, match="same keyring twice"):
            open_keyrings(uris, surroundings(tmp_path / "kms"), stack)

    def test_a_missing_file_is_never_made(self, tmp_path: Path) -> None:
        uri = KeyringUri.parse(f"local:{tmp_path / 'none.json'}")
        with ExitStack() as stack, pytest.raises(StartError, match="is missing: run `python -m kms init`"):
            open_keyrings([uri], surroundings(tmp_path), stack)

    def test_both_kinds_at_once(self, tmp_path: Path, openbao: OpenBao) -> None:
        directory = tmp_path / "kms"
        address = openbao.transit_key()
        token_file = tmp_path / "token"
        token_file.touch(mode=0o600)
        token_file.write_text(openbao.token(openbao.policy("admin", address)).reveal())
        role = openbao.app_role(openbao.policy("sidecar", address))
        vault = VaultAccess(openbao.address, role, admin_token_file=token_file)
        uris = [KeyringUri.parse(f"vault-transit:{address}"), make_keyring(directory)]
        with ExitStack() as stack:
            opened = open_keyrings(uris, surroundings(directory, vault), stack)
            assert opened.prefix == f"transit-{address.keyring_id}-"
            assert len(opened.refreshes) == 1
            for refresh in opened.refreshes:
                refresh()
            assert len(opened.keyring.status().accepted) == 2
            opened.versions.list_versions()
        assert (directory / f"transit-{address.keyring_id}.json").exists()

    def test_vault_without_its_extra(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("kms.vault.opening", "kms.vault.session"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.setitem(sys.modules, "hvac", None)
        vault = VaultAccess("http://127.0.0.1:1", VaultSecret("token"))
        uri = KeyringUri.parse("vault-transit:transit/cv")
        with ExitStack() as stack, pytest.raises(StartError, match="extra `vault`: hvac is missing"):
            open_keyrings([uri], surroundings(tmp_path, vault), stack)
