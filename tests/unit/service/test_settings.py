"""The registry's settings; the table itself is tested with runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.settings import SettingsError
from service.settings import load
from service.store import sqlite_file
from service.store.units.log import KEPT_BYTES


class TestLoad:
    def test_everything_is_in_the_home(self) -> None:
        settings = load({"CODEVECTOR_HOME": "/srv/cv"})
        assert settings.home == Path("/srv/cv")
        assert settings.address == "127.0.0.1:50051"
        assert settings.database_url == "sqlite:////srv/cv/registry.db"
        assert settings.kms_socket == Path("/srv/cv/kms/registry.sock")
        assert settings.registry_secret == Path("/srv/cv/registry.secret")
        assert not settings.allow_loopback_http
        assert not settings.allow_private_upstreams
        assert (settings.log_level, settings.logging_level) == ("info", 20)

    def test_a_home_is_found_whatever_its_name_means_in_a_url(self) -> None:
        settings = load({"CODEVECTOR_HOME": "/srv/x#y?z%41"})
        assert sqlite_file(settings.database_url) == Path("/srv/x#y?z%41/registry.db")

    def test_the_change_log_is_counted_in_mebibytes(self) -> None:
        assert load({}).change_log_bytes == KEPT_BYTES
        assert load({"CODEVECTOR_CHANGE_LOG_MIB": "1"}).change_log_bytes == 1 << 20

    @pytest.mark.parametrize("text", ["0", "-1", "1.5", "1048577", "256 MiB", "²"])
    def test_the_change_log_is_a_whole_number_of_them(self, text: str) -> None:
        with pytest.raises(SettingsError, match="CODEVECTOR_CHANGE_LOG_MIB must be a whole number from 1 to"):
            load({"CODEVECTOR_CHANGE_LOG_MIB": text})

    def test_trace_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="GRPC_TRACE"):
            load({"GRPC_TRACE": "all"})


class TestDatabase:
    URL = "postgresql+psycopg://user:canary@host/registry"

    def test_may_have_its_url_in_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "url"
        file.write_text(f"{self.URL}\n")
        file.chmod(0o600)
        settings = load({"CODEVECTOR_DATABASE_URL_FILE": str(file)})
        assert settings.database_url == self.URL
        assert "canary" not in f"{settings!r}"

    def test_has_one_url(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="both set"):
            load({"CODEVECTOR_DATABASE_URL_FILE": str(tmp_path), "CODEVECTOR_DATABASE_URL": self.URL})
        with pytest.raises(SettingsError, match="CODEVECTOR_DATABASE_URL_FILE must be a plain file"):
            load({"CODEVECTOR_DATABASE_URL_FILE": str(tmp_path)})

    def test_takes_how_to_connect(self, tmp_path: Path) -> None:
        settings = load(
            {
                "CODEVECTOR_DATABASE_PASSWORD_FILE": str(tmp_path),
                "CODEVECTOR_DATABASE_CONNECTIONS": "40",
                "CODEVECTOR_DATABASE_PGBOUNCER": "1",
            }
        )
        assert settings.database_password == tmp_path
        assert settings.database_connections == 40
        assert settings.database_pgbouncer

    @pytest.mark.parametrize("count", ["3", "1001", "many", "²²"])
    def test_needs_some_connections(self, count: str) -> None:
        with pytest.raises(SettingsError, match="CODEVECTOR_DATABASE_CONNECTIONS must be a number from 4"):
            load({"CODEVECTOR_DATABASE_CONNECTIONS": count})


class TestLines:
    def test_a_password_is_in_none(self) -> None:
        settings = load({"CODEVECTOR_DATABASE_URL": "postgresql+psycopg://user:canary@host/registry"})
        assert "CODEVECTOR_DATABASE_URL=postgresql+psycopg://user:***@host/registry" in settings.lines()
        assert "canary" not in f"{settings!r} {settings} {settings.lines()}"
