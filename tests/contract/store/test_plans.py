"""How the databases go about a page of a large list: along an index, without sorting a table."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Engine, event

from service.domain.lists import MODEL_LIST, PROVIDER_LIST, PROVIDER_MODEL_LIST, OrderBy, OrderTerm
from service.store import Position, ReadUnit, Slice, Store, engines, migrate, open_store
from tests.support.servers.postgresql import PostgresServer
from tests.support.values.filled import fill_by_sql
from tests.support.values.registry_values import START, ManualClock

MODELS = 20_000
"""Provider models, and as many models. So many that no database would rather sort them all."""

Plan = Callable[[Callable[[ReadUnit], object]], list[str]]
"""Returns what the database does for a page that some work reads, a line for each step."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def large(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Store, Plan]]:
    """A large registry, and how to ask for plans."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('large') / 'registry.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url(server.create_database())
    migrate(url)
    fill_by_sql(url, MODELS, models=MODELS)
    engine = engines.create(engines.parse_url(url))
    with closing(open_store(url, clock=ManualClock())) as store:
        yield store, lambda work: _plan(engine, store, work)
    engine.dispose()


def _plan(engine: Engine, store: Store, work: Callable[[ReadUnit], object]) -> list[str]:
    with _statements() as sent:
        store.read(work)
    statement, parameters = next((one for one in sent if "LIMIT" in one[0]), sent[-1])
    how = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"{how} {statement}", parameters)
        return [str(row[-1]) for row in rows]


@contextmanager
def _statements() -> Iterator[list[tuple[str, Any]]]:
    sent: list[tuple[str, Any]] = []
    mine = threading.get_ident()

    def note(_conn: object, _cursor: object, statement: str, parameters: Any, *_: Any) -> None:
        if threading.get_ident() == mine and statement.startswith("SELECT"):
            sent.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def providers_page(unit: ReadUnit, order: OrderBy, after: Position | None) -> Slice[Any]:
    return unit.providers.page(filter=None, order_by=order, after=after, limit=50)


def provider_models_page(
    unit: ReadUnit, order: OrderBy, after: Position | None, provider_id: str | None = None
) -> Slice[Any]:
    return unit.provider_models.page(
        provider_id=provider_id, filter=None, order_by=order, after=after, limit=50
    )


def models_page(unit: ReadUnit, order: OrderBy, after: Position | None) -> Slice[Any]:
    """Of models that have no backends, so that the page is one statement."""
    return unit.models.page(filter=None, order_by=order, after=after, limit=50)


LISTS: dict[str, tuple[Callable[..., Slice[Any]], Sequence[str]]] = {
    "providers": (providers_page, PROVIDER_LIST.orders),
    "provider_models": (provider_models_page, PROVIDER_MODEL_LIST.orders),
    "models": (models_page, MODEL_LIST.orders),
}
ORDERS = [
    pytest.param(table, (OrderTerm(field, descending),), id=f"{table} by {field}{' desc' * descending}")
    for table, (_, fields) in LISTS.items()
    for field in fields
    for descending in (False, True)
]


@pytest.mark.parametrize(("table", "order"), ORDERS)
def test_a_page_is_read_along_an_index(large: tuple[Store, Plan], table: str, order: OrderBy) -> None:
    """The first one and one in the middle."""
    store, plan = large
    page = partial(LISTS[table][0], order=order)
    first = store.read(partial(page, after=None))
    begun, gone_on = (plan(partial(page, after=after)) for after in (None, first.next))
    for steps in (begun, gone_on):
        assert not read_as_a_whole(steps, table)
        assert not sorted_as_a_whole(steps, table)
    assert begins_in_an_index(gone_on, table)


def test_a_page_of_one_provider_reads_no_other(large: tuple[Store, Plan]) -> None:
    _store, plan = large
    order = (OrderTerm("upstream_model_id"),)
    steps = plan(lambda unit: provider_models_page(unit, order, None, "p-000100"))
    assert begins_in_an_index(steps, "provider_models")


def test_what_retires_is_read_along_an_index(large: tuple[Store, Plan]) -> None:
    _store, plan = large
    until = START - timedelta(days=1)
    steps = plan(lambda unit: unit.provider_models.retiring(until))
    assert any("ix_provider_models_retire_time" in step for step in steps)


def read_as_a_whole(steps: Sequence[str], table: str) -> bool:
    return any(
        step.endswith(f"SCAN {table}") or f"Seq Scan on {table} " in step or "AUTOMATIC" in step
        for step in steps
    )


def sorted_as_a_whole(steps: Sequence[str], table: str) -> bool:
    """PostgreSQL may sort ties, "incrementally", and SQLite "the right part" of an order."""
    return any(
        step.endswith("FOR ORDER BY")
        or (step.strip().startswith(("Sort  (", "->  Sort  (")) and f"Key: {table}." in key)
        for step, key in pairwise([*steps, ""])
    )


def begins_in_an_index(steps: Sequence[str], table: str) -> bool:
    return any(
        step.startswith(f"SEARCH {table} USING ")
        or (f" on {table} " in step and "Index" in step and "Index Cond:" in condition)
        for step, condition in pairwise([*steps, ""])
    )
