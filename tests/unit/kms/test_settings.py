from __future__ import annotations

from pathlib import Path

import pytest

from kms.rpc.roles import Role
from kms.settings import SettingsRefused, load
from kms.unlock import UnlockKind, UnlockSource


class TestDefaults:
    def test_everything_is_in_the_home(self) -> None:
        settings = load({"CODEVECTOR_HOME": "/srv/cv"})
        own = Path("/srv/cv/kms")
        assert settings.keyring == own / "keyring.json"
        assert settings.sockets == {role: own / f"{role.value}.sock" for role in Role}
        assert settings.deployment_id_file == own / "deployment-id"
        assert settings.deployment_id is None
        assert settings.unlock == UnlockSource(UnlockKind.KEY_FILE, own / "unlock.key")
        assert settings.log_level == "info"

    def test_the_home_is_var_here(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        assert load({}).home == tmp_path / "var"

    def test_an_empty_variable_counts_as_unset(self) -> None:
        empty = {"CODEVECTOR_KEYRING": "", "GRPC_TRACE": "", "CODEVECTOR_KMS_ADMIN_SOCKET": ""}
        assert load({"CODEVECTOR_HOME": "/srv/cv", **empty}) == load({"CODEVECTOR_HOME": "/srv/cv"})


class TestRefusals:
    @pytest.mark.parametrize(
        ("environment", "sentence"),
        [
            pytest.param({"GRPC_TRACE": "all"}, "GRPC_TRACE", id="trace"),
            pytest.param({"CODEVECTOR_INSECURE_DEBUG": "yes"}, "must be 0 or 1", id="switch"),
            pytest.param(
                {"CODEVECTOR_KEYRING": "vault-transit:transit/cv"}, "local:PATH", id="other keyring"
            ),
            pytest.param({"CODEVECTOR_KEYRING": "local:/a,local:/b"}, "one keyring", id="two keyrings"),
            pytest.param({"CODEVECTOR_KEYRING": "local:"}, "local:PATH", id="no path"),
            pytest.param({"CODEVECTOR_DEPLOYMENT_ID": "12"}, "32 hex digits", id="deployment id"),
            pytest.param({"CODEVECTOR_LOG_LEVEL": "loud"}, "CODEVECTOR_LOG_LEVEL", id="log level"),
            pytest.param(
                {"CODEVECTOR_KMS_ROUTER_SOCKET": "/" + "x" * 107},
                "longer than 107 bytes: set CODEVECTOR_KMS_ROUTER_SOCKET or a shorter CODEVECTOR_HOME",
                id="socket path",
            ),
            pytest.param(
                {"CODEVECTOR_HOME": "/" + "x" * 200}, "CODEVECTOR_KMS_REGISTRY_SOCKET", id="home too long"
            ),
            pytest.param(
                {"CODEVECTOR_KMS_ROUTER_SOCKET": "/s", "CODEVECTOR_KMS_ADMIN_SOCKET": "/s"},
                "CODEVECTOR_KMS_ADMIN_SOCKET names the socket of another role",
                id="one socket for two roles",
            ),
            pytest.param(
                {"CODEVECTOR_KEYRING_UNLOCK_FILE": "/k", "CODEVECTOR_KEYRING_PASSPHRASE_FILE": "/p"},
                "CODEVECTOR_KEYRING_UNLOCK_FILE and CODEVECTOR_KEYRING_PASSPHRASE_FILE",
                id="two unlock secrets",
            ),
        ],
    )
    def test_one_sentence_names_the_setting(self, environment: dict[str, str], sentence: str) -> None:
        with pytest.raises(SettingsRefused) as refused:
            load(environment)
        assert sentence in str(refused.value)
        assert "\n" not in str(refused.value)

    def test_a_socket_path_of_107_bytes_is_taken(self) -> None:
        load({"CODEVECTOR_KMS_ROUTER_SOCKET": "/" + "x" * 106})

    def test_trace_is_allowed_by_the_explicit_switch(self) -> None:
        assert load({"GRPC_TRACE": "all", "CODEVECTOR_INSECURE_DEBUG": "1"}).insecure_debug


class TestUnlockSource:
    def test_a_systemd_credential_where_there_is_one(self) -> None:
        environment = {"CREDENTIALS_DIRECTORY": "/run/credentials/kms"}
        expected = Path("/run/credentials/kms/codevector-kms-unlock")
        assert load(environment, exists=expected.__eq__).unlock == UnlockSource(
            UnlockKind.SYSTEMD_CREDENTIAL, expected
        )

    def test_a_credentials_directory_without_ours_says_nothing(self) -> None:
        environment = {"CREDENTIALS_DIRECTORY": "/run/credentials/kms"}
        assert load(environment, exists=lambda _: False).unlock.kind is UnlockKind.KEY_FILE

    def test_a_credential_beside_a_named_file_is_refused(self) -> None:
        environment = {"CREDENTIALS_DIRECTORY": "/c", "CODEVECTOR_KEYRING_UNLOCK_FILE": "/k"}
        with pytest.raises(SettingsRefused, match="keep one"):
            load(environment, exists=lambda _: True)


class TestLines:
    def test_every_setting_once_and_the_secret_masked(self) -> None:
        lines = load({"CODEVECTOR_HOME": "/srv/cv", "CODEVECTOR_DEPLOYMENT_ID": "ab" * 16}).lines()
        assert "CODEVECTOR_HOME=/srv/cv" in lines
        assert "CODEVECTOR_DEPLOYMENT_ID=" + "ab" * 16 in lines
        assert "unlock secret=******** from key file /srv/cv/kms/unlock.key" in lines
        assert len({line.partition("=")[0] for line in lines}) == len(lines)
