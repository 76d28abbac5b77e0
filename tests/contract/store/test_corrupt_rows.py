"""A value that cannot be read costs its own resource and no other."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from service.domain.lists import OrderTerm
from service.domain.model import State
from service.store import Store, WriteUnit
from tests.support.values.registry_values import a_model, a_provider, a_provider_model

BY_NAME = (OrderTerm("name"),)


def fill(unit: WriteUnit) -> None:
    for provider_id in ("acme", "zulu"):
        unit.providers.insert(a_provider(provider_id), None)
        [offered] = unit.provider_models.insert([a_provider_model("m1", provider_id=provider_id)])
        unit.models.insert(a_model(f"for-{provider_id}", offered))


def edit(url: str, statement: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def states(store: Store) -> dict[str, State]:
    page = store.read(lambda unit: unit.providers.page(filter=None, order_by=BY_NAME, after=None, limit=10))
    return {view.provider.provider_id: view.provider.state for view in page.items}


@pytest.mark.parametrize(
    "edited",
    ["labels = '{'", "config = '[]'", "kind = 99", "uid = 'x'", "create_time = 1000000000000000000"],
)
def test_of_a_provider_leaves_the_others(store: Store, url: str, edited: str) -> None:
    found: dict[str, object] = {}
    store.on_corrupt = found.update
    store.write(fill)
    edit(url, f"UPDATE providers SET {edited} WHERE provider_id = 'acme'")  # noqa: S608 - from the list above
    assert states(store) == {"acme": State.CORRUPT, "zulu": State.ACTIVE}
    assert found == {"providers/acme": (f"providers.{edited.partition(' ')[0]}",)}
    entries = store.read(lambda unit: unit.routing_entries())
    assert {entry.name for entry in entries} == {
        "providers/zulu",
        "providers/zulu/models/m1",
        "models/for-zulu",
    }

    def delete(unit: WriteUnit) -> None:
        acme = unit.providers.get("acme")
        assert acme is not None
        unit.providers.delete(acme)

    store.write(delete)
    assert states(store) == {"zulu": State.ACTIVE}
    assert store.check_rows().findings() == {}
