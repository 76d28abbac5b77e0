"""From the local keyring to Vault and back by ``key rotate``, while serving, with provider rows untouched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.integration.test_cli_keys import command, create, opened, versions
from tests.support.servers.harness import Instance, running
from tests.support.servers.openbao import OpenBao


class Receipts:
    """Rotates, and remembers what was proved."""

    def __init__(self, made: Instance, folder: Path) -> None:
        self.made = made
        self.folder = folder
        self.written: list[dict[str, Any]] = []

    def rotate(self) -> dict[str, Any]:
        path = self.folder / f"{len(self.written)}.json"
        told = command(self.made, "key", "rotate", "--receipt", str(path))
        assert told.code == 0, told.err
        self.written.append(json.loads(path.read_bytes()))
        return self.written[-1]

    def check_all(self) -> None:
        for number in range(len(self.written)):
            told = command(self.made, "key", "receipt", "check", str(self.folder / f"{number}.json"))
            assert told.code == 0, told.out


def restart_sidecar(made: Instance, changes: Mapping[str, str]) -> None:
    made.stop_kms()
    made.environment.update(changes)
    made.start_kms()


def test_five_rotations_and_two_migrations(openbao: OpenBao, tmp_path: Path) -> None:
    key = openbao.transit_key()
    role = openbao.app_role(openbao.policy("sidecar", key))
    token_file = tmp_path / "admin-token"
    token_file.write_text(openbao.token(openbao.policy("admin", key)).reveal())
    token_file.chmod(0o600)
    with running({"CODEVECTOR_LOG_LEVEL": "info"}) as made:
        keys = create(made, 30)
        receipts = Receipts(made, tmp_path)
        local, vault = f"local:{made.home}/kms/keyring.json", f"vault-transit:{key.mount}/{key.key}"
        receipts.rotate()
        receipts.rotate()
        local_version = receipts.written[-1]["new_key_version"]

        restart_sidecar(
            made,
            {
                "CODEVECTOR_KEYRING": f"{vault},{local}",
                "CODEVECTOR_KMS_ADMIN_VAULT_TOKEN_FILE": str(token_file),
                "VAULT_ADDR": openbao.address,
                "VAULT_ROLE_ID": role.role_id,
                "VAULT_SECRET_ID": role.secret_id.reveal(),
            },
        )
        assert receipts.rotate()["new_key_version"].startswith("keyVersions/transit-")
        receipts.check_all()
        first = receipts.rotate()["new_key_version"]
        second = receipts.rotate()["new_key_version"]
        assert first.startswith("keyVersions/transit-")
        assert first != second
        told = command(made, "key", "retire", second)
        assert told.code == 5
        assert "rotate first" in told.err
        assert {each["name"] for each in versions(made)} >= {local_version, first, second}

        restart_sidecar(made, {"CODEVECTOR_KEYRING": f"{local},{vault}"})
        receipts.rotate()
        receipts.rotate()
        assert receipts.written[-1]["new_key_version"].startswith("keyVersions/local-")
        receipts.check_all()
        restart_sidecar(made, {"CODEVECTOR_KEYRING": local})
        receipts.check_all()

        assert {receipt["provider_rows"]["comparison"] for receipt in receipts.written} == {"EQUAL"}
        rows = [
            receipt["provider_rows"][when] for receipt in receipts.written for when in ("before", "after")
        ]
        assert len({row["sha256"] for row in rows}) == 1
        assert {row["revision"] for row in rows} == {len(keys)}
        assert opened(made, *keys) == keys
        assert command(made, "doctor").code == 0
