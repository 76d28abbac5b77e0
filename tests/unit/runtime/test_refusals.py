"""Refusals: each is told by itself or is in a count, and none is in both."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from runtime.refusals import COUNT_SECONDS, Refusals


class Clock:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(clock: Clock) -> Refusals[str]:
    return Refusals(clock)


class TestRefusals:
    def test_the_first_of_each_kind_is_told(self, refusals: Refusals[str]) -> None:
        assert [refusals.is_first(kind) for kind in "abaab"] == [True, True, False, False, False]
        assert refusals.take() == {"a": 2, "b": 1}

    def test_it_is_first_again_after_a_minute_without_any(self, refusals: Refusals[str]) -> None:
        assert refusals.is_first("a")
        assert not refusals.is_first("a")
        assert refusals.take() == {"a": 1}
        assert not refusals.is_first("a")
        assert refusals.take() == {"a": 1}
        assert refusals.take() == {}
        assert refusals.is_first("a")

    def test_counts_are_due_once_a_minute(self, refusals: Refusals[str], clock: Clock) -> None:
        for _ in range(3):
            refusals.is_first("a")
        clock.seconds += COUNT_SECONDS - 1
        assert refusals.due() == {}
        clock.seconds += 1
        assert refusals.due() == {"a": 2}
        refusals.is_first("a")
        assert refusals.due() == {}
        assert refusals.take() == {"a": 1}

    def test_what_could_not_be_told_is_counted(self, refusals: Refusals[str]) -> None:
        assert refusals.is_first("a")
        refusals.add("a", 1)
        refusals.is_first("a")
        refusals.add("b", 5)
        assert refusals.take() == {"a": 2, "b": 5}

    def test_threads_lose_none(self, refusals: Refusals[str]) -> None:
        with ThreadPoolExecutor(8) as pool:
            firsts = sum(pool.map(lambda _: refusals.is_first("a"), range(4_000)))
        assert (firsts, refusals.take()) == (1, {"a": 3_999})
