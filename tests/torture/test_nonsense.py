"""Every value in every column: `tests/contract/store/test_nonsense.py` tries some in each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.storms.vandalised import COLUMNS, Registry, endures, vandalised


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with vandalised(request.param, request, tmp_path_factory.mktemp("nonsense")) as opened:
        yield opened


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[".".join(each) for each in COLUMNS])
def test_a_column_may_hold_anything(registry: Registry, table: str, column: str) -> None:
    endures(registry, table, column)
