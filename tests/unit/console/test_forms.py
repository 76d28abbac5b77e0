"""What comes of what was typed: numbers, prices, keys of other kinds, and two editors of one thing."""

from __future__ import annotations

import pytest
from codevector.providers.v1 import catalog_pb2, provider_model_pb2, provider_pb2

from console.forms import kinds, merging, models
from console.forms.refusals import provider_input

OPENAI, ANTHROPIC = provider_pb2.PROVIDER_KIND_OPENAI, provider_pb2.PROVIDER_KIND_ANTHROPIC
ANY = provider_pb2.PROVIDER_KIND_OPENAI_COMPATIBLE
INFOS = (
    catalog_pb2.ProviderKindInfo(
        kind="PROVIDER_KIND_OPENAI", display_name="OpenAI", credential_prefixes=["sk-", "sk-proj-"]
    ),
    catalog_pb2.ProviderKindInfo(
        kind="PROVIDER_KIND_ANTHROPIC", display_name="Anthropic", credential_prefixes=["sk-ant-"]
    ),
    catalog_pb2.ProviderKindInfo(kind="PROVIDER_KIND_OPENAI_COMPATIBLE", display_name="Any"),
)


def key(text: str) -> provider_pb2.CredentialInput:
    return provider_pb2.CredentialInput(api_key=provider_pb2.ApiKeyCredential(api_key=text))


class TestForeignKeys:
    @pytest.mark.parametrize(
        ("kind", "text", "owner"),
        [
            (OPENAI, "sk-proj-x", None),
            (OPENAI, "sk-ant-x", "Anthropic"),
            (ANTHROPIC, "sk-x", "OpenAI"),
            (ANTHROPIC, "sk-ant-x", None),
            (ANY, "sk-ant-x", None),
            (ANTHROPIC, "another", None),
        ],
    )
    def test_are_told_by_the_longest_beginning(
        self, kind: provider_pb2.ProviderKind, text: str, owner: str | None
    ) -> None:
        found = kinds.foreign_kind(INFOS, kind, key(text))
        assert (found.display_name if found else None) == owner


class TestModels:
    @pytest.mark.parametrize(
        ("typed", "number"),
        [("", 0), ("128000", 128000), ("128K", 128000), ("1.5m", 1500000), ("128,000", 128000)],
    )
    def test_numbers_of_tokens(self, typed: str, number: int) -> None:
        model, errors = models.model_of({"context_window": typed}, [])
        assert (model.context_window, errors) == (number, {})

    @pytest.mark.parametrize("typed", ["big", "-1", "1e9", "999999999", "1K2"])
    def test_numbers_that_are_none(self, typed: str) -> None:
        assert list(models.model_of({"context_window": typed}, [])[1]) == ["context_window"]

    @pytest.mark.parametrize(
        ("typed", "price"),
        [("2.50", "2.5"), ("$10.00", "10"), ("0", "0"), ("1,200", "1200"), ("0.0375", "0.0375")],
    )
    def test_prices(self, typed: str, price: str) -> None:
        model, _ = models.model_of({"input": typed}, [])
        assert model.pricing.input_per_million_tokens == price
        assert model.pricing.currency_code == "USD"

    def test_a_price_that_was_left_out_is_unknown_and_tiers_stay(self) -> None:
        tiers = provider_model_pb2.Pricing(tiers=[provider_model_pb2.PricingTier(above_input_tokens=1)])
        model, _ = models.model_of({"currency": "eur"}, ["tools"], tiers=tiers)
        assert not model.pricing.HasField("input_per_million_tokens")
        assert len(model.pricing.tiers) == 1
        assert model.capabilities == [provider_model_pb2.MODEL_CAPABILITY_TOOLS]


LABELS = {"name": "Name", "url": "Base URL"}


class TestTwoEditors:
    def test_what_was_left_alone_follows_and_what_was_typed_stays(self) -> None:
        form = {"name": "mine", "was.name": "old", "url": "a", "was.url": "a"}
        values, conflicts = merging.merge(form, {"name": "theirs", "url": "b"}, LABELS)
        assert (values["name"], values["url"]) == ("mine", "b")
        assert [(each.label, each.overwrites) for each in conflicts] == [("Name", True), ("Base URL", False)]
        assert merging.changed(values, LABELS) == ["name"]

    def test_line_breaks_of_browsers_are_no_change(self) -> None:
        assert merging.changed({"name": "a\r\nb", "was.name": "a\nb"}, ["name"]) == []


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("provider.display_name", "name"),
            ("provider.config.openai.base_url", "config.base_url"),
            ("provider.config.openai_compatible.headers", "config.headers"),
            ("credential.api_key.api_key", "credential.api_key.api_key"),
            ("candidate_credential.api_key.api_key", "credential.api_key.api_key"),
            ("provider_id", "provider_id"),
        ],
    )
    def test_lead_to_inputs(self, path: str, name: str) -> None:
        assert provider_input(path) == name
