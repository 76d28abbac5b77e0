"""The order of backends, and what a list of them must be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.backends import MAX_BACKENDS, check_unique, in_order, with_backend
from service.domain.errors import FailedPrecondition, InvalidArgument, Reason
from service.domain.model import ModelBackend
from tests.support.values.registry_values import a_model

A, B, C = (ModelBackend("acme", model_id) for model_id in "abc")


class TestOrder:
    @pytest.mark.parametrize(
        ("backends", "expected"),
        [
            pytest.param(["b", "a"], ["a", "b"], id="by name"),
            pytest.param([("a", 1, 0), ("b", 0, 0)], ["b", "a"], id="by priority first"),
            pytest.param([("a", 0, 1), ("b", 0, 2)], ["b", "a"], id="the heavier first"),
            pytest.param([("b", 0, 0), ("a", 0, 1)], ["a", "b"], id="0 weighs 1"),
        ],
    )
    def test(self, backends: list[str | tuple[str, int, int]], expected: list[str]) -> None:
        made = [ModelBackend("acme", *(b if isinstance(b, tuple) else (b,))) for b in backends]
        assert [each.provider_model_id for each in in_order(made)] == expected

    def test_by_the_whole_name(self) -> None:
        """``-`` sorts before ``/``."""
        one, other = ModelBackend("a", "x"), ModelBackend("a-b", "x")
        assert in_order([one, other]) == (other, one)

    @given(st.permutations([A, B, C, ModelBackend("bolt", "a", 1, 5), ModelBackend("bolt", "b", 1, 7)]))
    def test_does_not_depend_on_where_one_begins(self, backends: list[ModelBackend]) -> None:
        assert in_order(backends) == in_order(sorted(backends, key=repr))


class TestUnique:
    def test_names_the_second(self) -> None:
        with pytest.raises(InvalidArgument) as caught:
            check_unique([A, B, ModelBackend("acme", "a", 3)], field="model.backends")
        assert caught.value.violations[0].field == "model.backends[2].provider_model"

    def test_the_same_id_at_another_provider_is_another(self) -> None:
        check_unique([A, ModelBackend("bolt", "a")], field="model.backends")


class TestWithBackend:
    def test_takes_the_place_of_the_one_to_the_same_provider_model(self) -> None:
        changed = ModelBackend("acme", "a", 7)
        assert with_backend(a_model("chat", A, B), changed) == (B, changed)

    def test_the_65th_is_refused_and_a_replacement_is_not(self) -> None:
        full = a_model("chat", *(ModelBackend("acme", f"m{n:02}") for n in range(MAX_BACKENDS)))
        with pytest.raises(FailedPrecondition) as caught:
            with_backend(full, A)
        assert caught.value.reason is Reason.TOO_MANY_BACKENDS
        assert len(with_backend(full, ModelBackend("acme", "m00", 9))) == MAX_BACKENDS
