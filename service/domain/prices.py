"""Prices: decimal strings per one million tokens, exact from the catalog file to the router.

A price is kept as it was written ("0.10" stays "0.10"), compared as a Decimal, and never becomes a float.
"""

from __future__ import annotations

import re
from decimal import Decimal

from service.domain.errors import invalid_field
from service.domain.model import Prices, Pricing, price_field, prices_of

MAX_TIERS = 8

_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,12})?")


def parse_price(text: str, *, field: str) -> Decimal:
    """The exact value of a price of at most nine digits before the point and twelve after it.

    Raises:
        InvalidArgument: a sign, an exponent, a leading zero, NaN, blanks, or too many digits.
    """
    if _DECIMAL.fullmatch(text) is None:
        description = 'must be a decimal such as "0.25": at most 9 digits, then at most 12 after the point'
        raise invalid_field(field, description, rule="pricing.decimal")
    return Decimal(text)


def check_pricing(pricing: Pricing, *, field: str) -> None:
    """Refuse prices that cannot be billed by. ``field`` is the path of the pricing message.

    Raises:
        InvalidArgument: a price that is not a plain decimal, a price without a currency, more than 8 tiers,
            or tiers whose thresholds do not rise.
    """
    if len(pricing.tiers) > MAX_TIERS:
        raise invalid_field(f"{field}.tiers", f"must be at most {MAX_TIERS}", rule="pricing.tiers.max")
    holders: list[Prices] = [pricing, *pricing.tiers]
    paths = [field, *(f"{field}.tiers[{index}]" for index in range(len(pricing.tiers)))]
    prices = [
        parse_price(text, field=f"{path}.{price_field(name)}")
        for path, holder in zip(paths, holders, strict=True)
        for name, text in prices_of(holder).items()
        if text is not None
    ]
    if prices and not pricing.currency_code:
        description = "is required where there is a price"
        raise invalid_field(f"{field}.currency_code", description, rule="pricing.currency_code")
    previous = 0
    for path, tier in zip(paths[1:], pricing.tiers, strict=True):
        if tier.above_input_tokens <= previous:
            description = "must be positive and rise from tier to tier"
            raise invalid_field(f"{path}.above_input_tokens", description, rule="pricing.tiers.rising")
        previous = tier.above_input_tokens
