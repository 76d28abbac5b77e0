"""What `make run` decides from the environment before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.settings import SOCKET_PATH_LIMIT
from tools.launcher.plan import RunRefused, plan_of
from tools.steps import ROOT


class TestDefaults:
    def test_home_is_var_in_the_clone(self) -> None:
        plan = plan_of({})
        assert plan.home == ROOT / "var"
        assert plan.port == 50051
        assert plan.database_file == plan.home / "registry.db"
        assert plan.made_by_init == plan.home / "kms" / "keyring.json"
        assert plan.sockets["router"] == plan.home / "kms" / "router.sock"

    def test_an_empty_variable_counts_as_unset(self) -> None:
        assert plan_of({"CODEVECTOR_HOME": "", "CODEVECTOR_GRPC_PORT": ""}) == plan_of({})

    def test_children_get_the_absolute_home(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        plan = plan_of({"CODEVECTOR_HOME": "some home"})
        assert plan.kms_environment["CODEVECTOR_HOME"] == str(tmp_path / "some home")
        assert plan.service_environment["CODEVECTOR_HOME"] == str(tmp_path / "some home")

    def test_each_writes_its_own_log(self, tmp_path: Path) -> None:
        plan = plan_of({"CODEVECTOR_HOME": str(tmp_path), "CODEVECTOR_LOG_FILE": "/elsewhere"})
        environments = (plan.kms_environment, plan.service_environment, plan.console_environment)
        assert [each["CODEVECTOR_LOG_FILE"] for each in environments] == [
            f"{tmp_path}/logs/{name}.log" for name in ("kms", "service", "console")
        ]


class TestWhoGetsWhat:
    ENVIRONMENT = {  # noqa: RUF012 -- never changed
        "VAULT_TOKEN": "hvs.made-up",
        "VAULT_ADDR": "http://127.0.0.1:8200",
        "CODEVECTOR_KMS_ADMIN_VAULT_TOKEN_FILE": "/run/secrets/admin",
        "CODEVECTOR_KEYRING_PASSPHRASE_FILE": "/run/secrets/passphrase",
        "CODEVECTOR_DATABASE_URL": "postgresql://user:secret@127.0.0.1/registry",
        "PGPASSWORD": "secret",
        "PATH": "/usr/bin",
    }

    def test_what_opens_keys_reaches_the_sidecar_alone(self) -> None:
        plan = plan_of(self.ENVIRONMENT)
        opening = [name for name in self.ENVIRONMENT if "VAULT" in name or "PASSPHRASE" in name]
        assert [plan.kms_environment[name] for name in opening] == [
            self.ENVIRONMENT[name] for name in opening
        ]
        assert not set(opening) & set(plan.service_environment)
        assert not set(opening) & set(plan.console_environment)

    def test_database_credentials_reach_the_registry_alone(self) -> None:
        plan = plan_of(self.ENVIRONMENT)
        assert plan.service_environment["PGPASSWORD"] == "secret"
        for environment in (plan.kms_environment, plan.console_environment):
            assert not {"CODEVECTOR_DATABASE_URL", "PGPASSWORD"} & set(environment)

    def test_all_are_kept_from_forking_and_from_hoarding(self) -> None:
        plan = plan_of(self.ENVIRONMENT)
        for environment in (plan.kms_environment, plan.service_environment, plan.console_environment):
            assert environment["GRPC_ENABLE_FORK_SUPPORT"] == "0"
            assert environment["MALLOC_ARENA_MAX"] == "2"
            assert environment["PATH"] == "/usr/bin"


class TestRefusals:
    @pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "5e3", "٣"])
    def test_a_port_that_is_none(self, port: str) -> None:
        with pytest.raises(RunRefused, match="CODEVECTOR_GRPC_PORT"):
            plan_of({"CODEVECTOR_GRPC_PORT": port})

    def test_a_home_too_deep_for_sockets(self) -> None:
        with pytest.raises(RunRefused, match=r"107: set it or CODEVECTOR_HOME"):
            plan_of({"CODEVECTOR_HOME": "/" + "d" * 100})

    def test_a_socket_path_too_long_names_its_own_setting(self) -> None:
        name = "CODEVECTOR_KMS_ROUTER_SOCKET"
        fits = "/" + "s" * (SOCKET_PATH_LIMIT - 1)
        assert plan_of({name: fits}).sockets["router"] == Path(fits)
        with pytest.raises(RunRefused, match=f"{name} is 108 bytes .* set it"):
            plan_of({name: fits + "s"})

    def test_bytes_count_and_not_characters(self) -> None:
        with pytest.raises(RunRefused, match="CODEVECTOR_HOME"):
            plan_of({"CODEVECTOR_HOME": "/" + "é" * 50})


class TestKeyring:
    def test_keys_are_made_where_nothing_exists(self, tmp_path: Path) -> None:
        assert plan_of({"CODEVECTOR_HOME": str(tmp_path)}).needs_init()

    def test_an_existing_keyring_is_used(self, tmp_path: Path) -> None:
        keyring = tmp_path / "elsewhere.json"
        keyring.touch()
        plan = plan_of({"CODEVECTOR_HOME": str(tmp_path), "CODEVECTOR_KEYRING": f"local:{keyring}"})
        assert not plan.needs_init()

    def test_with_keys_in_vault_init_makes_the_deployment_id(self, tmp_path: Path) -> None:
        uris = f"vault-transit:transit/codevector,local:{tmp_path}/old.json"
        plan = plan_of({"CODEVECTOR_HOME": str(tmp_path), "CODEVECTOR_KEYRING": uris})
        assert plan.needs_init()
        (tmp_path / "kms").mkdir()
        (tmp_path / "kms" / "deployment-id").touch()
        assert not plan.needs_init()

    def test_with_keys_and_identity_elsewhere_init_makes_the_audit_key(self, tmp_path: Path) -> None:
        environment = {
            "CODEVECTOR_HOME": str(tmp_path),
            "CODEVECTOR_KEYRING": "vault-transit:transit/codevector",
            "CODEVECTOR_DEPLOYMENT_ID": "01" * 16,
        }
        (tmp_path / "registry.db").touch()
        assert plan_of(environment).needs_init(), "which data do not depend on"
        (tmp_path / "kms").mkdir()
        (tmp_path / "kms" / "audit.key").touch()
        assert not plan_of(environment).needs_init()

    def test_a_deployment_id_missing_while_data_exist(self, tmp_path: Path) -> None:
        environment = {
            "CODEVECTOR_HOME": str(tmp_path),
            "CODEVECTOR_KEYRING": "vault-transit:transit/codevector",
        }
        (tmp_path / "registry.db").touch()
        with pytest.raises(RunRefused, match=r"the deployment id .* is missing, but data exists"):
            plan_of(environment).needs_init()

    @pytest.mark.parametrize(
        ("url", "left_behind"),
        [
            pytest.param(None, "registry.db", id="default"),
            pytest.param("sqlite:///{home}/own.db", "own.db", id="sqlite-absolute"),
            pytest.param("sqlite+pysqlite:///{home}/own.db", "own.db", id="sqlite-with-driver"),
            pytest.param("postgresql://127.0.0.1/registry", "registry.secret", id="postgresql"),
        ],
    )
    def test_missing_while_data_exist(self, tmp_path: Path, url: str | None, left_behind: str) -> None:
        environment = {"CODEVECTOR_HOME": str(tmp_path)}
        if url is not None:
            environment["CODEVECTOR_DATABASE_URL"] = url.format(home=tmp_path)
        plan = plan_of(environment)
        assert plan.needs_init()
        (tmp_path / left_behind).touch()
        with pytest.raises(RunRefused, match="is missing, but data exists"):
            plan.needs_init()
