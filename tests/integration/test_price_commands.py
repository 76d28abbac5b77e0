"""Prices as they are typed at a shell and read there: no digit is gained, lost or moved on the way."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.servers.api import Api
from tests.support.servers.grpcurl import Grpcurl

SERVICE = "codevector.providers.v1.ProviderService"
PRICES = ("input", "output", "cachedInput", "cacheWrite")
DECIMAL = st.from_regex(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,12})?", fullmatch=True) | st.sampled_from(
    ["0", "0.0", "0.10", "999999999.999999999999", "0.000000000001", "1.000000000000", "100000000"]
)
LIST = st.fixed_dictionaries({}, optional={f"{name}PerMillionTokens": DECIMAL for name in PRICES})


@st.composite
def pricings(draw: st.DrawFn) -> dict[str, Any]:
    thresholds = sorted(draw(st.sets(st.integers(1, 100_000_000), max_size=3)))
    tiers = [{"aboveInputTokens": above, **draw(LIST)} for above in thresholds]
    return {"currencyCode": "USD", **draw(LIST), **({"tiers": tiers} if tiers else {})}


def test_of_a_model_are_shown_as_they_were_typed(api: Api) -> None:
    grpcurl = Grpcurl(api.instance.address)
    name = api.create_provider_model(api.create().name).name

    @settings(max_examples=20, deadline=None)
    @given(pricings())
    def check(pricing: dict[str, Any]) -> None:
        written = grpcurl.call(
            f"{SERVICE}/UpdateProviderModel",
            {"provider_model": {"name": name, "pricing": pricing}, "update_mask": {"paths": ["pricing"]}},
        )
        read = grpcurl.call(f"{SERVICE}/GetProviderModel", {"name": name})
        assert written["pricing"] == read["pricing"] == pricing

    check()
