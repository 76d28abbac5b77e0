"""Database URLs: what is accepted, and what a refusal says."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from service.store import StoreStartError
from service.store.engines import parse_url, sqlite_path, unusable


class TestParseUrl:
    @pytest.mark.parametrize(
        ("url", "driver"),
        [
            ("sqlite:////var/lib/registry.db", "sqlite+pysqlite"),
            ("sqlite:///registry.db", "sqlite+pysqlite"),
            ("postgresql://user:pw@host/registry", "postgresql+psycopg"),
            ("postgresql+psycopg://host:5433/registry?sslmode=verify-full", "postgresql+psycopg"),
        ],
    )
    def test_names_the_driver(self, url: str, driver: str) -> None:
        assert parse_url(url).drivername == driver

    @pytest.mark.parametrize(
        "url",
        [
            pytest.param("", id="empty"),
            pytest.param("registry.db", id="a path"),
            pytest.param("sqlite://", id="no file"),
            pytest.param("sqlite:///:memory:", id="in memory"),
            pytest.param("sqlite:///file:canary?mode=memory&uri=true", id="SQLite parameters"),
            pytest.param("mysql://user:canary@host/db", id="another database"),
            pytest.param("postgresql+asyncpg://user:canary@host/db", id="another driver"),
            pytest.param("postgresql://user:canary@host:port/db", id="no port number"),
        ],
    )
    def test_refuses_the_rest_without_repeating_it(self, url: str) -> None:
        with pytest.raises(StoreStartError, match="CODEVECTOR_DATABASE_URL") as refused:
            parse_url(url)
        assert "canary" not in str(refused.value)
        assert refused.value.__cause__ is None


class TestUnusable:
    def test_names_the_file_but_never_the_server(self) -> None:
        broken = OperationalError("", {}, psycopg.OperationalError("host refuses user:pw"))
        assert "/x/registry.db" in str(unusable(parse_url("sqlite:////x/registry.db"), sqlite3.Error()))
        assert str(unusable(parse_url("postgresql://user:pw@host/db"), broken)) == (
            "the database at CODEVECTOR_DATABASE_URL cannot be reached"
        )


def test_sqlite_path_is_absolute() -> None:
    path = sqlite_path(parse_url("sqlite:///registry.db"))
    assert path is not None
    assert path.is_absolute()
    assert sqlite_path(parse_url("postgresql://host/db")) is None
