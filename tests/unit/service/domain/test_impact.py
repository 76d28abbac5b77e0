"""What a deletion takes with it, and the token that holds a delete to its preview."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.impact import DeletionImpact, provider_impact, provider_model_impact
from service.domain.model import Provider, ProviderModel, State
from tests.registry_values import a_credential, a_model, a_provider, new_uuid

KEY = b"k" * 32
PROVIDER = replace(a_provider(), credential=a_credential()[0])
MODELS = [a_model("one"), a_model("two")]


def token(provider: Provider = PROVIDER, models: list[ProviderModel] = MODELS, key: bytes = KEY) -> str:
    return provider_impact(key, provider, models).impact_token


class TestProviderImpact:
    def test_lists_the_first_hundred_by_name_and_counts_all(self) -> None:
        models = [a_model(f"m{number:03}") for number in range(150)]
        impact = provider_impact(KEY, PROVIDER, list(reversed(models)))
        assert impact.provider_models == tuple(model.name for model in models[:100])
        assert impact.provider_model_count == 150
        assert impact.credential_destroyed

    def test_without_credential_none_is_destroyed(self) -> None:
        assert not provider_impact(KEY, a_provider(), []).credential_destroyed


class TestToken:
    def test_is_the_same_in_any_order_of_the_models(self) -> None:
        assert token(models=MODELS[::-1]) == token()

    def test_fits_the_field_it_is_sent_back_in(self) -> None:
        assert 32 < len(token()) <= 128

    @pytest.mark.parametrize(
        "other",
        [
            token(models=MODELS[:1]),
            token(models=[*MODELS, a_model("three")]),
            token(models=[MODELS[0], replace(MODELS[1], uid=new_uuid())]),
            token(provider=replace(PROVIDER, uid=new_uuid())),
            token(provider=replace(PROVIDER, credential=None)),
            token(provider=replace(PROVIDER, credential=a_credential(2)[0])),
            token(key=b"other" * 8),
            provider_model_impact(KEY, MODELS[0]).impact_token,
        ],
        ids=["fewer", "more", "recreated", "another", "no-credential", "rotated", "another-key", "of-model"],
    )
    def test_is_of_one_impact(self, other: str) -> None:
        assert other != token()

    def test_covers_models_beyond_the_first_hundred(self) -> None:
        models = [a_model(f"m{number:03}") for number in range(101)]
        assert token(models=models) != token(models=[*models[:100], replace(models[100], uid=new_uuid())])

    def test_edits_that_change_no_impact_keep_it(self) -> None:
        edited = [replace(MODELS[0], state=State.DISABLED, labels={"a": "b"}), MODELS[1]]
        assert token(provider=replace(PROVIDER, display_name="New"), models=edited) == token()


def test_the_impact_of_one_model_is_itself() -> None:
    impact = provider_model_impact(KEY, MODELS[0])
    assert impact == DeletionImpact((MODELS[0].name,), 1, False, impact.impact_token)
