"""What models lose when upstreams retire what they are wired to."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from service.domain.impact import BackendImpact
from service.domain.model import ModelView, ProviderModel, ProviderModelView, State
from service.domain.retirements import affected_models, models_left_unroutable, retirements
from tests.support.values.registry_values import START, a_backend, a_model, a_provider_model


def ending(model_id: str, days: int | None) -> ProviderModel:
    model = a_provider_model(model_id)
    return replace(model, facts=replace(model.facts, retire_time=_day(days)))


def _day(days: int | None) -> datetime | None:
    return None if days is None else START + timedelta(days=days)


SOON, LATER, SAME, STAYS = ending("soon", 10), ending("later", 20), ending("same", 10), ending("stays", None)
ALL = [ProviderModelView(model, True) for model in (LATER, STAYS, SOON, SAME)]


def over(*models: ProviderModel, name: str = "chat", state: State = State.ACTIVE) -> ModelView:
    model = a_model(name, *models, state=state)
    return ModelView(model, frozenset(backend.target for backend in model.backends))


def told(*wired: ModelView) -> dict[str, tuple[list[int], tuple[str, ...]]]:
    """By model id: what remains of each wired model, and the models left with nothing."""
    return {
        each.view.model.model_id: (
            [backend.remaining_routable_backends for backend in each.backends],
            each.models_left_unroutable,
        )
        for each in retirements(ALL, wired)
    }


class TestRetirements:
    def test_are_in_order_of_time_then_name_and_leave_out_what_stays(self) -> None:
        found = retirements(ALL, [])
        assert [each.view.model.model_id for each in found] == ["same", "soon", "later"]
        assert [each.retire_time for each in found] == [_day(10), _day(10), _day(20)]

    @pytest.mark.parametrize(
        ("wired", "expected"),
        [
            pytest.param(over(SOON), {"soon": ([0], ("models/chat",))}, id="its only one"),
            pytest.param(over(SOON, STAYS), {"soon": ([1], ())}, id="another stays"),
            pytest.param(
                over(SOON, LATER), {"soon": ([1], ()), "later": ([0], ("models/chat",))}, id="one by one"
            ),
            pytest.param(
                over(SOON, SAME),
                {"soon": ([0], ("models/chat",)), "same": ([0], ("models/chat",))},
                id="both at once",
            ),
            pytest.param(over(SOON, state=State.DISABLED), {"soon": ([0], ())}, id="disabled already"),
        ],
    )
    def test_tell_what_remains_then(
        self, wired: ModelView, expected: dict[str, tuple[list[int], tuple[str, ...]]]
    ) -> None:
        nothing: tuple[list[int], tuple[str, ...]] = ([], ())
        assert told(wired) == {name: expected.get(name, nothing) for name in ("same", "soon", "later")}

    def test_a_wire_that_carries_nothing_is_not_what_was_lost(self) -> None:
        model = a_model("chat", SOON, a_backend(SAME, disabled=True))
        view = ModelView(model, frozenset({("acme", "soon"), ("acme", "same")}))
        assert told(view)["same"] == ([0], ())
        assert told(view)["soon"] == ([0], ("models/chat",))

    def test_sums(self) -> None:
        found = retirements(ALL, [over(SOON, LATER, name="b"), over(SOON, STAYS, name="a")])
        assert [each.backends for each in found][1] == (
            BackendImpact("models/a", SOON.name, 1),
            BackendImpact("models/b", SOON.name, 1),
        )
        assert affected_models(found) == {"models/a", "models/b"}
        assert models_left_unroutable(found) == ["models/b"]
