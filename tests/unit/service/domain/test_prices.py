"""Prices are exact decimal strings: nothing else is taken, nothing is rounded."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import InvalidArgument, Reason
from service.domain.model import Pricing, PricingTier
from service.domain.prices import check_pricing, parse_price

BASE = Pricing("USD", input="2.50", output="10", cached_input="1.25")


class TestParsePrice:
    @pytest.mark.parametrize(
        "text", ["0", "0.0", "0.10", "15", "999999999", "0.123456789012", "999999999.999999999999"]
    )
    def test_accepts_exactly(self, text: str) -> None:
        assert str(parse_price(text, field="p")) == text

    def test_compares_by_value(self) -> None:
        assert parse_price("0.1", field="p") == parse_price("0.10", field="p") < parse_price("9", field="p")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "1e3",
            "-1",
            "+1",
            "NaN",
            "Infinity",
            "0.1234567890123",
            "1234567890",
            "01",
            ".5",
            "5.",
            "1,5",
            " 1",
            "1\n",
            "0x1",
            "1_0",
            "\u0661",
            "$1",
        ],
    )
    def test_refuses(self, text: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            parse_price(text, field="provider_model.pricing.input_per_million_tokens")
        assert caught.value.reason is Reason.INVALID_FIELD
        assert caught.value.violations[0].field == "provider_model.pricing.input_per_million_tokens"

    @given(st.decimals(0, 999_999_999, places=12, allow_nan=False))
    def test_round_trip(self, value: Decimal) -> None:
        assert parse_price(f"{value:f}", field="p") == value


class TestCheckPricing:
    @pytest.mark.parametrize(
        "pricing",
        [
            pytest.param(BASE, id="base only"),
            pytest.param(Pricing("USD"), id="currency without prices"),
            pytest.param(Pricing(""), id="nothing known"),
            pytest.param(
                replace(BASE, tiers=(PricingTier(200_000, input="5"), PricingTier(400_000))), id="tiers"
            ),
        ],
    )
    def test_accepts(self, pricing: Pricing) -> None:
        check_pricing(pricing, field="pricing")

    @pytest.mark.parametrize(
        ("pricing", "field"),
        [
            pytest.param(replace(BASE, currency_code=""), "pricing.currency_code", id="no currency"),
            pytest.param(
                Pricing("", tiers=(PricingTier(1, output="1"),)),
                "pricing.currency_code",
                id="no currency for a tier",
            ),
            pytest.param(replace(BASE, output="1e3"), "pricing.output_per_million_tokens", id="exponent"),
            pytest.param(
                replace(BASE, tiers=(PricingTier(1, cache_write="-1"),)),
                "pricing.tiers[0].cache_write_per_million_tokens",
                id="negative in a tier",
            ),
            pytest.param(
                replace(BASE, tiers=(PricingTier(5), PricingTier(5))),
                "pricing.tiers[1].above_input_tokens",
                id="equal thresholds",
            ),
            pytest.param(
                replace(BASE, tiers=(PricingTier(9), PricingTier(5))),
                "pricing.tiers[1].above_input_tokens",
                id="falling thresholds",
            ),
            pytest.param(
                replace(BASE, tiers=(PricingTier(0),)),
                "pricing.tiers[0].above_input_tokens",
                id="no threshold",
            ),
            pytest.param(
                replace(BASE, tiers=tuple(PricingTier(n) for n in range(1, 10))),
                "pricing.tiers",
                id="nine tiers",
            ),
        ],
    )
    def test_refuses(self, pricing: Pricing, field: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            check_pricing(pricing, field="pricing")
        assert [violation.field for violation in caught.value.violations] == [field]
