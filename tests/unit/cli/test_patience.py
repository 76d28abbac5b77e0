from __future__ import annotations

import pytest

from cli.patience import LONGEST_PAUSE_SECONDS, Patience
from runtime.calls import CallRefused, Refusal
from tests.support.doubles.cli_doubles import Clock


def refused(status: str) -> CallRefused:
    return CallRefused(Refusal("registry", status, "no"))


def test_gives_up_after_its_time_without_progress() -> None:
    clock = Clock()
    patience = Patience(60, clock.monotonic, clock.sleep, lambda: 1.0)
    while patience.pause():
        assert clock.elapsed < 60 + LONGEST_PAUSE_SECONDS
    assert clock.elapsed >= 60
    assert clock.slept[:3] == [0.1, 0.2, 0.4]
    assert max(clock.slept) == LONGEST_PAUSE_SECONDS


def test_progress_begins_anew() -> None:
    clock = Clock()
    patience = Patience(1, clock.monotonic, clock.sleep, lambda: 1.0)
    for _ in range(5):
        assert patience.pause()
        clock.elapsed += 10
        patience.rewarded()
    assert clock.slept == [0.1] * 5


def test_insists_on_what_passes_only() -> None:
    clock = Clock()
    patience = Patience(60, clock.monotonic, clock.sleep, lambda: 0.5)
    left = ["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"]

    def work() -> str:
        if left:
            raise refused(left.pop())
        return "done"

    assert patience.insist(work) == "done"

    def never() -> str:
        raise refused("FAILED_PRECONDITION")

    slept = len(clock.slept)
    with pytest.raises(CallRefused):
        patience.insist(never)
    assert len(clock.slept) == slept
