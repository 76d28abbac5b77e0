"""Every test here runs twice: on SQLite in a file, and on a PostgreSQL that the tests start."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, delete

from service.store import Store, migrate, open_store
from service.store.rows import Base
from tests.support.servers.postgresql import PostgresServer
from tests.support.values.registry_values import ManualClock


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database to copy."""
    path = tmp_path_factory.mktemp("migrated") / "registry.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def shared_database(postgres_server: PostgresServer) -> str:
    """The URL of a PostgreSQL database that tests use one after the other, each finding it as if new."""
    url = postgres_server.url(postgres_server.create_database())
    migrate(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Which database a test runs on."""
    return str(request.param)


@pytest.fixture
def empty_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a schema."""
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path}/home/registry.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database that holds nothing. Emptying one is quicker than making one."""
    if dialect == "sqlite":
        path = tmp_path / "registry.db"
        shutil.copyfile(request.getfixturevalue("migrated_file"), path)
        return f"sqlite:///{path}"
    shared: str = request.getfixturevalue("shared_database")
    engine = create_engine(shared)
    with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(delete(table))
    engine.dispose()
    migrate(shared)
    return shared


@pytest.fixture
def clock() -> ManualClock:
    """The store's clock."""
    return ManualClock()


@pytest.fixture
def store(url: str, clock: Callable[[], datetime]) -> Iterator[Store]:
    """An open store on a migrated database."""
    opened = open_store(url, clock=clock)
    yield opened
    opened.close()
