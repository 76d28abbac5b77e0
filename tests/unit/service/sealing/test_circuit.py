"""The circuit: open after failures in a row, half-open after a pause, closed by one success."""

from __future__ import annotations

import pytest

from service.sealing.circuit import FAILURES_TO_OPEN, LONGEST_PROBE_SECONDS, Circuit


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    return Circuit(clock)


def opened(circuit: Circuit) -> Circuit:
    for _ in range(FAILURES_TO_OPEN):
        circuit.failed()
    return circuit


def test_stays_closed_below_the_limit(circuit: Circuit) -> None:
    for _ in range(FAILURES_TO_OPEN - 1):
        circuit.failed()
    assert circuit.admit() is None


def test_a_success_in_between_counts_from_the_start(circuit: Circuit) -> None:
    for _ in range(3):
        for _ in range(FAILURES_TO_OPEN - 1):
            circuit.failed()
        circuit.succeeded()
    assert circuit.admit() is None


def test_open_says_when_to_come_back(circuit: Circuit, clock: Clock) -> None:
    opened(circuit)
    assert circuit.admit() == 0.5
    clock.now += 0.2
    assert circuit.admit() == pytest.approx(0.3)


def test_half_open_lets_one_through(circuit: Circuit, clock: Clock) -> None:
    opened(circuit)
    clock.now += 0.5
    assert circuit.admit() is None
    assert circuit.admit() is not None


def test_closes_when_that_one_succeeds(circuit: Circuit, clock: Clock) -> None:
    opened(circuit)
    clock.now += 0.5
    circuit.admit()
    circuit.succeeded()
    assert [circuit.admit() for _ in range(3)] == [None, None, None]


def test_stays_open_for_longer_each_time_that_one_fails(circuit: Circuit, clock: Clock) -> None:
    opened(circuit)
    pauses = []
    for _ in range(6):
        pause = circuit.admit()
        assert pause is not None
        pauses.append(pause)
        clock.now += pause
        assert circuit.admit() is None
        circuit.failed()
    assert pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_one_that_never_reports_is_given_up(circuit: Circuit, clock: Clock) -> None:
    opened(circuit)
    clock.now += 0.5
    assert circuit.admit() is None
    clock.now += LONGEST_PROBE_SECONDS
    assert circuit.admit() is None
