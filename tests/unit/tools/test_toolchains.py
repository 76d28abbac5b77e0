"""What happens on a machine without a toolchain."""

from __future__ import annotations

import pytest

from tests.support.toolchains import skip_without
from tools.steps import StepFailed
from tools.test import refuse_under_ci, repeatable
from tools.toolchains import unavailable, without

JDK = "the Java client needs a JDK"


def refuse() -> None:
    raise StepFailed(JDK)


def provide() -> None:
    pass


class TestUnavailable:
    def test_names_what_cannot_be_had_and_what_to_do(self) -> None:
        assert unavailable({"go": provide, "java": refuse}) == {"java": JDK}

    def test_asks_for_all_of_them(self) -> None:
        assert unavailable({"java": refuse, "node": refuse}).keys() == {"java", "node"}


class TestSkipping:
    @pytest.mark.parametrize(("missing", "skipped"), [(["go", "java"], True), (["go"], False), ([], False)])
    def test_only_tests_of_a_missing_toolchain(
        self, monkeypatch: pytest.MonkeyPatch, missing: list[str], skipped: bool
    ) -> None:
        for name, value in without(missing).items():
            monkeypatch.setenv(name, value)
        if skipped:
            with pytest.raises(pytest.skip.Exception, match="java"):
                skip_without("java")
        else:
            skip_without("java")


class TestUnderCi:
    def test_a_missing_toolchain_fails(self) -> None:
        with pytest.raises(StepFailed, match=JDK):
            refuse_under_ci({"java": JDK}, {"CI": "true"})

    @pytest.mark.parametrize(
        ("missing", "variables"),
        [({}, {"CI": "true"}), ({"java": JDK}, {}), ({"java": JDK}, {"CI": "false"})],
    )
    def test_else_nothing_does(self, missing: dict[str, str], variables: dict[str, str]) -> None:
        refuse_under_ci(missing, variables)


def test_only_ci_repeats_its_random_choices() -> None:
    assert repeatable({"CI": "true"}) == repeatable({"CI": "true"}) != []
    assert repeatable({}) == repeatable({"CI": ""}) == []
