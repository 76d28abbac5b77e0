"""How many statements a unit of work takes must not grow with its rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, event

from service.domain.lists import OrderTerm
from service.domain.model import ProviderKind, State
from service.store import Store, WriteUnit
from tests.support.values.registry_values import a_credential, a_model, a_provider, a_provider_model


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    """The statements that this thread sends while the context lasts: registries of other tests may poll."""
    sent: list[str] = []
    mine = threading.get_ident()

    def note(_conn: object, _cursor: object, statement: str, *_: Any) -> None:
        if threading.get_ident() == mine and not statement.startswith("BEGIN"):
            sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def prepare(store: Store, rows: int) -> None:
    def work(unit: WriteUnit) -> None:
        view, sealed = a_credential()
        unit.providers.insert(a_provider("acme", kind=ProviderKind.OPENAI, credential=view), sealed)
        models = unit.provider_models.insert([a_provider_model(f"m{n}") for n in range(rows)])
        for number in range(rows):
            if unit.models.get(f"f{number}") is None:
                unit.models.insert(a_model(f"f{number}", models[number], models[number - 1]))

    store.write(work)


def clean(store: Store) -> None:
    def work(unit: WriteUnit) -> None:
        provider = unit.providers.get("acme")
        if provider is not None:
            unit.providers.delete(provider)
        for view in unit.models.page(
            filter=None, order_by=(OrderTerm("name"),), after=None, limit=1000
        ).items:
            unit.models.delete(view.model)

    store.write(work)


def update_labels(store: Store, _rows: int) -> None:
    def work(unit: WriteUnit) -> None:
        view = unit.providers.view("acme")
        assert view is not None
        unit.providers.update(view.provider, replace(view.provider, labels={"team": "b"}))

    store.write(work)


def import_models(store: Store, rows: int) -> None:
    store.write(lambda unit: unit.provider_models.insert([a_provider_model(f"new{n}") for n in range(rows)]))


def disable_provider(store: Store, _rows: int) -> None:
    def work(unit: WriteUnit) -> None:
        before = unit.providers.get("acme")
        assert before is not None
        unit.providers.update(before, replace(before, state=State.DISABLED))

    store.write(work)


def replace_credential(store: Store, _rows: int) -> None:
    def work(unit: WriteUnit) -> None:
        before = unit.providers.get("acme")
        assert before is not None
        view, sealed = a_credential(2)
        unit.providers.update(before, replace(before, credential=view), sealed)

    store.write(work)


def delete_provider(store: Store, _rows: int) -> None:
    def work(unit: WriteUnit) -> None:
        provider = unit.providers.get("acme")
        assert provider is not None
        unit.providers.delete(provider)

    store.write(work)


def delete_models(store: Store, rows: int) -> None:
    store.write(lambda unit: unit.provider_models.delete(unit.provider_models.of("acme")[: rows - 1]))


def disable_one(store: Store, _rows: int) -> None:
    def work(unit: WriteUnit) -> None:
        before = unit.provider_models.get("acme", "m0")
        assert before is not None
        unit.provider_models.update(before, replace(before, state=State.DISABLED))

    store.write(work)


def load_routing(store: Store, _rows: int) -> None:
    store.read(lambda unit: (unit.log.head(), unit.routing_entries(), unit.log.changes_since(0)))


def list_everything(store: Store, _rows: int) -> None:
    order = (OrderTerm("display_name"),)
    store.read(lambda unit: unit.providers.page(filter=None, order_by=order, after=None, limit=1000))
    store.read(
        lambda unit: unit.provider_models.page(
            provider_id=None, filter=None, order_by=order, after=None, limit=1000
        )
    )
    store.read(lambda unit: unit.models.page(filter=None, order_by=order, after=None, limit=1000))


@pytest.mark.parametrize(
    ("act", "at_most"),
    [
        pytest.param(update_labels, 4, id="update labels"),
        pytest.param(import_models, 7, id="import"),
        pytest.param(disable_provider, 11, id="disable"),
        pytest.param(disable_one, 11, id="disable a model"),
        pytest.param(replace_credential, 12, id="replace credential"),
        pytest.param(delete_provider, 15, id="delete"),
        pytest.param(delete_models, 11, id="delete models"),
        pytest.param(load_routing, 9, id="load routing"),
        pytest.param(list_everything, 7, id="list"),
    ],
)
def test_do_not_grow_with_the_rows(store: Store, act: Callable[[Store, int], None], at_most: int) -> None:
    counts = []
    for rows in (3, 300):
        prepare(store, rows)
        with counted_statements() as sent:
            act(store, rows)
        counts.append(len(sent))
        clean(store)
    assert counts[0] == counts[1] <= at_most
