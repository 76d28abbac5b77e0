"""The registry's settings; the table itself is tested with runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.settings import SettingsError
from service.settings import load


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

    def test_trace_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="GRPC_TRACE"):
            load({"GRPC_TRACE": "all"})


class TestLines:
    def test_a_password_is_in_none(self) -> None:
        settings = load({"CODEVECTOR_DATABASE_URL": "postgresql+psycopg://user:canary@host/registry"})
        assert "CODEVECTOR_DATABASE_URL=postgresql+psycopg://user:***@host/registry" in settings.lines()
        assert "canary" not in f"{settings!r} {settings} {settings.lines()}"
