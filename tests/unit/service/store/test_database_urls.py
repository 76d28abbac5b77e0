"""Several hosts in a URL as libpq writes them, and secrets that no shown URL has."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy.dialects import registry

from service.store import masked_url
from service.store.database_urls import spread_hosts
from service.store.engines import parse_url

DIALECT = registry.load("postgresql.psycopg")()


def libpq_parameters(url: str) -> dict[str, object]:
    _, parameters = DIALECT.create_connect_args(parse_url(url))
    return dict(parameters)


class TestSpreadHosts:
    @pytest.mark.parametrize(
        "tail",
        [
            "user:p%40ss@h1:5432,h2:5433/registry?target_session_attrs=read-write",
            "user@h1,h2/registry",
            "h1:5432,h2:5432,h3:5432/registry?sslmode=verify-full",
            "user@[::1]:5432,[fe80::2]:6432/registry",
            "user@h1,h2?dbname=registry",
        ],
    )
    def test_means_what_libpq_means(self, tail: str) -> None:
        found = libpq_parameters(f"postgresql+psycopg://{tail}")
        wanted = dict(psycopg.conninfo.conninfo_to_dict(f"postgresql://{tail}"))
        wanted["port"] = ",".join(port or "5432" for port in str(wanted["port"]).split(","))
        assert {name: str(value) for name, value in found.items()} == wanted

    @pytest.mark.parametrize(
        "url", ["sqlite:////a,b/registry.db", "postgresql://u:a,b@host/db", "postgresql://host/a,b", ""]
    )
    def test_leaves_one_host_alone(self, url: str) -> None:
        assert spread_hosts(url) == url


class TestMaskedUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://user:canary@host/registry",
            "postgresql://user@host/registry?password=canary",
            "postgresql://user@host/registry?sslmode=verify-full&sslpassword=canary",
            "postgresql://user@host/registry?PASSWORD=canary&password=canary",
            "postgresql://user:canary@h1:5432,h2:5432/registry?password=canary",
            "postgresql://user@host/registry?oauth_client_secret=canary",
        ],
    )
    def test_shows_no_secret(self, url: str) -> None:
        shown = masked_url(url)
        assert "canary" not in shown
        assert "***" in shown
        assert "registry" in shown
