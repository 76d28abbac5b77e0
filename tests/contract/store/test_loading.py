"""What routers get is read in few columns and in parts, and is what the resources as a whole give."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.model import ModelCapability, Pricing, State
from service.domain.routing import ActiveProviderModel, active_provider_model
from service.store import ReadUnit, Store, WriteUnit
from service.store.units import loading
from tests.support.values.registry_values import a_credential, a_provider, a_provider_model


def fill(unit: WriteUnit) -> None:
    """Providers that routers get and some that they do not, with models of which the same holds."""
    for number in range(4):
        view, sealed = a_credential()
        provider_id = f"p{number}"
        provider = a_provider(provider_id, credential=view, display_name=provider_id)
        unit.providers.insert(
            replace(provider, state=State.DISABLED if number == 3 else State.ACTIVE), sealed
        )
        prices = [None, Pricing("USD", input="2.50", output="10.00"), Pricing("EUR", input="0")]
        unit.provider_models.insert(
            [
                a_provider_model(
                    f"m{index}",
                    provider_id=provider_id,
                    upstream_model_id=f"vendor/{index}",
                    state=State.DISABLED if index == 2 else State.ACTIVE,
                    pricing=prices[index % 3],
                    capabilities=(ModelCapability.TOOLS,) * (index % 2),
                    context_window=1000 * (index % 4),
                    labels={"n": str(index % 2)},
                )
                for index in range(5)
            ]
        )


def loaded(unit: ReadUnit) -> list[ActiveProviderModel]:
    return [one for one in unit.routing_entries() if isinstance(one, ActiveProviderModel)]


def resource_by_resource(unit: ReadUnit) -> list[ActiveProviderModel]:
    providers = unit.providers.among([f"p{number}" for number in range(4)])
    entries = [
        active_provider_model(providers[model.provider_id], model)
        for model in unit.provider_models.of_all(list(providers))
    ]
    return [entry for entry in entries if entry is not None]


@pytest.mark.parametrize("at_once", [1, 2, 1000])
def test_entries_are_those_of_the_resources(
    store: Store, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "ROWS_AT_ONCE", at_once)
    store.write(fill)
    found = store.read(loaded)
    assert found == store.read(resource_by_resource)
    assert len(found) == 3 * 4


def test_entries_share_what_is_equal(store: Store) -> None:
    store.write(fill)
    by_name = {entry.name: entry for entry in store.read(loaded)}
    one, other = (by_name[f"providers/{provider_id}/models/m1"] for provider_id in ("p0", "p1"))
    assert one.pricing is other.pricing
    assert one.labels is other.labels
    assert one.capabilities is other.capabilities
