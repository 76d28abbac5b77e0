"""A value that cannot be read costs its own resource and no other."""

from __future__ import annotations

import traceback
from dataclasses import replace

import pytest

from service.domain.lists import OrderTerm
from service.domain.model import State
from service.store import Store, WriteUnit
from service.store.columns import CheckBroken
from service.store.rows import Base
from tests.support.storms.nonsense import Vandal
from tests.support.values.registry_values import a_credential, a_model, a_provider, a_provider_model

CANARY = "canary-blue"
BY_NAME = (OrderTerm("name"),)


def fill(unit: WriteUnit) -> None:
    for provider_id in ("acme", "zulu"):
        unit.providers.insert(a_provider(provider_id), None)
        [offered] = unit.provider_models.insert([a_provider_model("m1", provider_id=provider_id)])
        unit.models.insert(a_model(f"for-{provider_id}", offered))


def edit(url: str, column: str, value: object, *, table: str = "providers") -> None:
    """Put a value past all checks into the first provider's row."""
    vandal = Vandal(url)
    vandal.edit(Base.metadata.tables[table], column, value)
    vandal.close()


def routed(store: Store) -> set[str]:
    return {entry.name for entry in store.read(lambda unit: unit.routing_entries())}


def states(store: Store) -> dict[str, State]:
    page = store.read(lambda unit: unit.providers.page(filter=None, order_by=BY_NAME, after=None, limit=10))
    return {view.provider.provider_id: view.provider.state for view in page.items}


@pytest.mark.parametrize(
    ("column", "value"),
    [("labels", "{"), ("config", "[]"), ("kind", 99), ("uid", "x"), ("create_time", 10**18)],
)
def test_of_a_provider_leaves_the_others(store: Store, url: str, column: str, value: object) -> None:
    found: dict[str, object] = {}
    store.on_corrupt = found.update
    store.write(fill)
    edit(url, column, value)
    assert states(store) == {"acme": State.CORRUPT, "zulu": State.ACTIVE}
    assert found == {"providers/acme": (f"providers.{column}",)}
    assert routed(store) == {"providers/zulu", "providers/zulu/models/m1", "models/for-zulu"}

    def delete(unit: WriteUnit) -> None:
        acme = unit.providers.get("acme")
        assert acme is not None
        unit.providers.delete(acme)

    store.write(delete)
    assert states(store) == {"zulu": State.ACTIVE}
    assert store.check_rows().findings() == {}


def test_a_unit_that_would_store_one_fails_and_does_not_show_the_row(store: Store) -> None:
    broken = a_provider(display_name="", labels={"team": CANARY})
    with pytest.raises(CheckBroken, match="ck_providers_display_name") as raised:
        store.write(lambda unit: unit.providers.insert(broken, None))
    assert CANARY not in "".join(traceback.format_exception(raised.value))
    assert states(store) == {}


def test_a_credential_that_is_replaced_mends_all_that_depends_on_it(store: Store, url: str) -> None:
    def fill_sealed(unit: WriteUnit) -> None:
        view, sealed = a_credential()
        unit.providers.insert(a_provider("acme", credential=view), sealed)
        [offered] = unit.provider_models.insert([a_provider_model("m1", provider_id="acme")])
        unit.models.insert(a_model("for-acme", offered))

    def mend(unit: WriteUnit) -> None:
        before = unit.providers.get("acme")
        assert before is not None
        assert before.credential is not None
        view, sealed = a_credential(version=before.credential.version + 1)
        after = replace(unit.providers.without_credential(before), credential=view)
        unit.providers.update(before, after, sealed)
        shown = unit.providers.view("acme")
        assert shown is not None
        assert shown.provider.state is State.ACTIVE

    store.write(fill_sealed)
    all_of_it = {"providers/acme", "providers/acme/models/m1", "models/for-acme"}
    edit(url, "version", -1, table="credentials")
    assert store.check_rows().findings() == {"providers/acme": ("credentials.version",)}
    assert routed(store) == set()
    withdrawn = store.read(lambda unit: unit.log.head().revision)
    store.write(mend)
    assert routed(store) == all_of_it
    [told] = store.read(lambda unit: unit.log.changes_since(withdrawn))
    assert {change.name for change in told.changes if change.entry is not None} == all_of_it
