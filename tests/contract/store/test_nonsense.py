"""Whatever stands in a column costs its own resource and no other; torture tries every value in each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.storms.vandalised import COLUMNS, Registry, endures, vandalised

SHARE = 12
"""One in so many values, others in the next column."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with vandalised(request.param, request, tmp_path_factory.mktemp("nonsense")) as opened:
        yield opened


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[".".join(each) for each in COLUMNS])
def test_a_column_may_hold_anything(registry: Registry, table: str, column: str) -> None:
    endures(registry, table, column, share=SHARE)
