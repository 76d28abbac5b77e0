"""When a model's facts make sense."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.model import ModelFacts, ModelKind, Pricing, PricingTier
from tools.catalog.sanity import SanityRule, broken_rules

CHAT = ModelFacts("a", "A", ModelKind.CHAT, context_window=128000, max_output_tokens=4096)
EMBEDDING = ModelFacts("e", "E", ModelKind.EMBEDDING)


def priced(model: ModelFacts, *tiers: PricingTier, **prices: str) -> ModelFacts:
    return replace(model, pricing=Pricing("USD", **prices, tiers=tiers))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        pytest.param(CHAT, [], id="no price is fine"),
        pytest.param(priced(CHAT, input="2.5", output="10", cached_input="2.5"), [], id="usual"),
        pytest.param(priced(CHAT, input="0", output="0", cached_input="0"), [], id="free"),
        pytest.param(priced(CHAT, output="10", cached_input="3"), [], id="nothing to compare with"),
        pytest.param(
            priced(CHAT, input="0.3", cached_input="0.30000000001"),
            [(SanityRule.CACHED_ABOVE_INPUT, ("pricing", "cached_input"))],
            id="cached above input by the last digit",
        ),
        pytest.param(
            priced(CHAT, input="10", output="9.5"),
            [(SanityRule.OUTPUT_BELOW_INPUT, ("pricing", "output"))],
            id="9.5 is below 10 as a number, not as text",
        ),
        pytest.param(priced(EMBEDDING, input="0.1", output="0"), [], id="embeddings have no output to pay"),
        pytest.param(
            priced(EMBEDDING, input="100.5"),
            [(SanityRule.PRICE_OUT_OF_RANGE, ("pricing", "input"))],
            id="embedding at a chat model's price",
        ),
        pytest.param(
            priced(CHAT, input="0.0000025", output="0.00001"),
            [
                (SanityRule.PRICE_OUT_OF_RANGE, ("pricing", "input")),
                (SanityRule.PRICE_OUT_OF_RANGE, ("pricing", "output")),
            ],
            id="prices per token",
        ),
        pytest.param(
            priced(CHAT, input="1", output="100.1"),
            [(SanityRule.OUTPUT_FAR_ABOVE_INPUT, ("pricing", "output"))],
            id="a slipped decimal point",
        ),
        pytest.param(
            priced(CHAT, PricingTier(1000, cached_input="2"), input="1", output="4", cached_input="0.1"),
            [(SanityRule.CACHED_ABOVE_INPUT, ("pricing", "tiers", 0, "cached_input"))],
            id="a tier against the base input",
        ),
        pytest.param(
            replace(CHAT, max_output_tokens=128001),
            [(SanityRule.OUTPUT_ABOVE_WINDOW, ("max_output_tokens",))],
            id="output above the window",
        ),
        pytest.param(replace(CHAT, context_window=0), [], id="unknown window"),
    ],
)
def test_broken_rules(model: ModelFacts, expected: list[tuple[SanityRule, tuple[str | int, ...]]]) -> None:
    assert [(broken.rule, broken.field) for broken in broken_rules(model)] == expected
