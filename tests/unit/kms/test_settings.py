from __future__ import annotations

from pathlib import Path

import pytest

from kms.backends import KeyringUri
from kms.local.unlock import UnlockKind, UnlockSource
from kms.rpc.roles import Role
from kms.settings import load
from kms.vault.access import AppRole, VaultSecret
from runtime.settings import INSECURE_DEBUG, SettingsError

TRANSIT = "vault-transit:transit/codevector"
VAULT = "https://vault.example.com:8200"


class TestDefaults:
    def test_everything_is_in_the_home(self) -> None:
        settings = load({"CODEVECTOR_HOME": "/srv/cv"})
        own = Path("/srv/cv/kms")
        assert settings.keyrings == (KeyringUri("local", str(own / "keyring.json")),)
        assert settings.keyring_file == own / "keyring.json"
        assert settings.vault is None
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
            pytest.param({"CODEVECTOR_KEYRING": "file:/x"}, "local: or vault-transit:", id="other keyring"),
            pytest.param({"CODEVECTOR_KEYRING": "local:/a,local:/a"}, "twice", id="a keyring twice"),
            pytest.param({"CODEVECTOR_KEYRING": "local:/a,local:/b"}, "only one", id="two files"),
            pytest.param({"CODEVECTOR_KEYRING": "local:"}, "local:PATH", id="no path"),
            pytest.param({"CODEVECTOR_KEYRING": "local:/a,"}, "local: or vault-transit:", id="empty keyring"),
            pytest.param({"CODEVECTOR_KEYRING": "vault-transit:cv"}, "MOUNT/KEY", id="no mount"),
            pytest.param({"CODEVECTOR_KEYRING": "vault-transit:a/../b"}, "MOUNT/KEY", id="dots"),
            pytest.param({"CODEVECTOR_KEYRING": TRANSIT}, "VAULT_ADDR must be", id="no address"),
            pytest.param(
                {"CODEVECTOR_KEYRING": TRANSIT, "VAULT_ADDR": "vault:8200"}, "VAULT_ADDR must be", id="no URL"
            ),
            pytest.param(
                {"CODEVECTOR_KEYRING": TRANSIT, "VAULT_ADDR": "http://vault:8200"},
                "must begin with https://",
                id="keys in clear",
            ),
            pytest.param(
                {"CODEVECTOR_KEYRING": TRANSIT, "VAULT_ADDR": VAULT}, "VAULT_ROLE_ID and", id="no identity"
            ),
            pytest.param(
                {"CODEVECTOR_KEYRING": TRANSIT, "VAULT_ADDR": VAULT, "VAULT_ROLE_ID": "r"},
                "VAULT_ROLE_ID and",
                id="half an AppRole",
            ),
            pytest.param(
                {
                    "CODEVECTOR_KEYRING": TRANSIT,
                    "VAULT_ADDR": VAULT,
                    "VAULT_ROLE_ID": "r",
                    "VAULT_SECRET_ID": "s",
                    "VAULT_TOKEN": "t",
                },
                "VAULT_TOKEN alone",
                id="two identities",
            ),
            pytest.param({"CODEVECTOR_DEPLOYMENT_ID": "12"}, "32 hex digits", id="deployment id"),
            pytest.param({"CODEVECTOR_LOG_LEVEL": "loud"}, "CODEVECTOR_LOG_LEVEL", id="log level"),
            pytest.param(
                {"CODEVECTOR_KMS_ROUTER_SOCKET": "/" + "x" * 107},
                "SOCKET is 108 bytes long, and a socket's path may have 107: set it or CODEVECTOR_HOME",
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
        with pytest.raises(SettingsError) as refused:
            load(environment)
        assert sentence in str(refused.value)
        assert "\n" not in str(refused.value)

    def test_a_socket_path_of_107_bytes_is_taken(self) -> None:
        load({"CODEVECTOR_KMS_ROUTER_SOCKET": "/" + "x" * 106})

    def test_trace_is_allowed_by_the_explicit_switch(self) -> None:
        settings = load({"GRPC_TRACE": "all", "CODEVECTOR_INSECURE_DEBUG": "1"})
        assert settings.values[0][INSECURE_DEBUG]


class TestVault:
    def test_an_app_role_and_all_that_goes_with_it(self) -> None:
        settings = load(
            {
                "CODEVECTOR_KEYRING": f"{TRANSIT}, local:/k",
                "VAULT_ADDR": VAULT + "/",
                "VAULT_ROLE_ID": "role",
                "VAULT_SECRET_ID": "canary-secret",
                "VAULT_CACERT": "/etc/vault/ca.pem",
                "VAULT_NAMESPACE": "team",
                "CODEVECTOR_KMS_ADMIN_VAULT_TOKEN_FILE": "/run/admin",
            }
        )
        assert [str(uri) for uri in settings.keyrings] == [TRANSIT, "local:/k"]
        assert settings.keyring_file is None
        assert settings.vault is not None
        assert isinstance(settings.vault.identity, AppRole)
        assert settings.vault.identity.role_id == "role"
        assert settings.vault.address == VAULT
        assert (settings.vault.ca_file, settings.vault.namespace) == (Path("/etc/vault/ca.pem"), "team")
        assert settings.vault.admin_token_file == Path("/run/admin")
        assert "canary" not in repr(settings) + "".join(settings.lines())

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
    def test_a_token_and_clear_text_on_loopback(self, host: str) -> None:
        settings = load(
            {
                "CODEVECTOR_KEYRING": TRANSIT,
                "VAULT_ADDR": f"http://{host}:8200",
                "VAULT_TOKEN": "canary-token",
            }
        )
        assert settings.vault is not None
        assert isinstance(settings.vault.identity, VaultSecret)
        assert settings.vault.identity.reveal() == "canary-token"
        assert "canary" not in repr(settings) + "".join(settings.lines())

    def test_variables_of_vault_mean_nothing_without_a_keyring_there(self) -> None:
        assert load({"VAULT_ADDR": "nonsense", "VAULT_TOKEN": "t"}).vault is None


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
        with pytest.raises(SettingsError, match="keep one"):
            load(environment, exists=lambda _: True)


class TestLines:
    def test_every_setting_once_and_the_secret_masked(self) -> None:
        lines = load({"CODEVECTOR_HOME": "/srv/cv", "CODEVECTOR_DEPLOYMENT_ID": "ab" * 16}).lines()
        assert "CODEVECTOR_HOME=/srv/cv" in lines
        assert "CODEVECTOR_DEPLOYMENT_ID=" + "ab" * 16 in lines
        assert "# the keyring opens with the key file /srv/cv/kms/unlock.key" in lines
        assert len({line.partition("=")[0] for line in lines}) == len(lines)
