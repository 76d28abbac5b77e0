"""What a deletion takes with it, and the token that holds a delete to its preview."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.impact import (
    SHOWN_BACKENDS,
    BackendImpact,
    DeletionImpact,
    Loss,
    loss,
    provider_impact,
    provider_models_impact,
)
from service.domain.model import Model, ModelView, Provider, ProviderModel, State
from tests.support.values.registry_values import (
    a_backend,
    a_credential,
    a_model,
    a_provider,
    a_provider_model,
    new_uuid,
)

KEY = b"k" * 32
PROVIDER = replace(a_provider(), credential=a_credential()[0])
MODELS = [a_provider_model("one"), a_provider_model("two")]
ELSEWHERE = a_provider_model("three", provider_id="bolt")


def seen(model: Model, *, unroutable: frozenset[tuple[str, str]] = frozenset()) -> ModelView:
    return ModelView(model, frozenset(backend.target for backend in model.backends) - unroutable)


WIRED = [seen(a_model("chat", MODELS[0], ELSEWHERE)), seen(a_model("draft", MODELS[0]))]


def token(
    provider: Provider = PROVIDER,
    models: list[ProviderModel] = MODELS,
    wired: list[ModelView] = WIRED,
    key: bytes = KEY,
) -> str:
    return provider_impact(key, provider, models, wired).impact_token


class TestProviderImpact:
    def test_lists_the_first_hundred_by_name_and_counts_all(self) -> None:
        models = [a_provider_model(f"m{number:03}") for number in range(150)]
        impact = provider_impact(KEY, PROVIDER, list(reversed(models)), [])
        assert impact.provider_models == tuple(model.name for model in models[:100])
        assert impact.provider_model_count == 150
        assert impact.credential_destroyed

    def test_lists_the_first_thousand_wires_and_models_and_counts_all(self) -> None:
        wired = [seen(a_model(f"f{number:04}", MODELS[0])) for number in range(SHOWN_BACKENDS + 1)]
        impact = provider_impact(KEY, PROVIDER, MODELS, wired)
        assert (len(impact.backends), impact.backend_count) == (SHOWN_BACKENDS, SHOWN_BACKENDS + 1)
        assert len(impact.models_left_unroutable) == SHOWN_BACKENDS
        assert impact.models_left_unroutable_count == SHOWN_BACKENDS + 1

    def test_without_credential_none_is_destroyed(self) -> None:
        assert not provider_impact(KEY, a_provider(), [], []).credential_destroyed


class TestLoss:
    GONE = frozenset({("acme", "one"), ("acme", "two")})

    @pytest.mark.parametrize(
        ("view", "remaining", "unroutable"),
        [
            pytest.param(seen(a_model("chat", MODELS[0])), [0], True, id="its last"),
            pytest.param(seen(a_model("chat", MODELS[0], ELSEWHERE)), [1], False, id="one of two"),
            pytest.param(seen(a_model("chat", *MODELS)), [0, 0], True, id="both"),
            pytest.param(
                seen(a_model("chat", MODELS[0], a_backend(ELSEWHERE, disabled=True))),
                [0],
                True,
                id="what remains is switched off",
            ),
            pytest.param(
                seen(a_model("chat", MODELS[0], ELSEWHERE), unroutable=frozenset({("bolt", "three")})),
                [0],
                True,
                id="what remains is not offered",
            ),
            pytest.param(
                seen(a_model("chat", a_backend(MODELS[0], disabled=True))),
                [0],
                False,
                id="had none before",
            ),
            pytest.param(
                seen(a_model("chat", MODELS[0], state=State.DISABLED)), [0], False, id="is disabled itself"
            ),
        ],
    )
    def test_tells_what_remains(self, view: ModelView, remaining: list[int], unroutable: bool) -> None:
        found = loss([view], self.GONE)
        assert [backend.remaining_routable_backends for backend in found.backends] == remaining
        assert found.models_left_unroutable == (("models/chat",) if unroutable else ())

    def test_is_in_order_of_names(self) -> None:
        views = [seen(a_model("b", *MODELS[::-1])), seen(a_model("a", MODELS[1]))]
        assert loss(views, self.GONE) == Loss(
            (
                BackendImpact("models/a", MODELS[1].name, 0),
                BackendImpact("models/b", MODELS[0].name, 0),
                BackendImpact("models/b", MODELS[1].name, 0),
            ),
            ("models/a", "models/b"),
        )


class TestToken:
    def test_is_the_same_in_any_order(self) -> None:
        assert token(models=MODELS[::-1], wired=WIRED[::-1]) == token()

    def test_fits_the_field_it_is_sent_back_in(self) -> None:
        assert 32 < len(token()) <= 128

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(token(models=MODELS[:1]), id="fewer"),
            pytest.param(token(models=[*MODELS, a_provider_model("three")]), id="more"),
            pytest.param(token(models=[MODELS[0], replace(MODELS[1], uid=new_uuid())]), id="recreated"),
            pytest.param(token(provider=replace(PROVIDER, uid=new_uuid())), id="another"),
            pytest.param(token(provider=replace(PROVIDER, credential=None)), id="no credential"),
            pytest.param(token(provider=replace(PROVIDER, credential=a_credential(2)[0])), id="rotated"),
            pytest.param(token(key=b"other" * 8), id="another key"),
            pytest.param(provider_models_impact(KEY, MODELS, WIRED).impact_token, id="of models"),
            pytest.param(token(wired=WIRED[:1]), id="fewer wires"),
            pytest.param(token(wired=[WIRED[0], seen(a_model("draft", MODELS[0]))]), id="model recreated"),
            pytest.param(
                token(wired=[replace(WIRED[0], routable_targets=frozenset()), WIRED[1]]), id="less remains"
            ),
            pytest.param(
                token(wired=[WIRED[0], seen(replace(WIRED[1].model, state=State.DISABLED))]),
                id="no outage any more",
            ),
        ],
    )
    def test_is_of_one_impact(self, other: str) -> None:
        assert other != token()

    def test_covers_models_beyond_the_first_hundred(self) -> None:
        models = [a_provider_model(f"m{number:03}") for number in range(101)]
        assert token(models=models) != token(models=[*models[:100], replace(models[100], uid=new_uuid())])

    def test_edits_that_change_no_impact_keep_it(self) -> None:
        edited = [replace(MODELS[0], state=State.DISABLED, labels={"a": "b"}), MODELS[1]]
        renamed = [replace(WIRED[0], model=replace(WIRED[0].model, display_name="New")), WIRED[1]]
        assert token(provider=replace(PROVIDER, display_name="New"), models=edited, wired=renamed) == token()


def test_the_impact_of_one_model_that_nothing_is_wired_to_is_itself() -> None:
    impact = provider_models_impact(KEY, MODELS[:1], [])
    assert impact == DeletionImpact(
        provider_models=(MODELS[0].name,), provider_model_count=1, impact_token=impact.impact_token
    )
