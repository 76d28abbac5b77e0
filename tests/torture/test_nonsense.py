"""Every value in every column: `tests/contract/store/test_nonsense.py` tries some in each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.store import migrate
from tests.support.servers.postgresql import PostgresServer
from tests.support.storms.vandalised import COLUMNS, Registry, endures


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """One registry for all edits, each of which is taken back."""
    folder = tmp_path_factory.mktemp("nonsense")
    if request.param == "sqlite":
        url = f"sqlite:///{folder}/registry.db"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url(server.create_database())
    migrate(url)
    opened = Registry(url, folder / "no.sock")
    yield opened
    opened.close()


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[".".join(each) for each in COLUMNS])
def test_a_column_may_hold_anything(registry: Registry, table: str, column: str) -> None:
    endures(registry, table, column)
