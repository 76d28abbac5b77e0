"""The circuit: open after failures in a row, half-open after a pause, closed by one success."""

from __future__ import annotations

import pytest

from runtime.circuit import Circuit

FAILURES_TO_OPEN = 5
LONGEST_PROBE_SECONDS = 30.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class TestAfterSeveralFailures:
    """As the registry sets it up for its sidecar."""

    @pytest.fixture
    def circuit(self, clock: Clock) -> Circuit:
        return Circuit(
            monotonic=clock,
            failures_to_open=FAILURES_TO_OPEN,
            first_pause_seconds=0.5,
            longest_probe_seconds=LONGEST_PROBE_SECONDS,
        )

    @staticmethod
    def opened(circuit: Circuit) -> Circuit:
        for _ in range(FAILURES_TO_OPEN):
            circuit.failed()
        return circuit

    def test_stays_closed_below_the_limit(self, circuit: Circuit) -> None:
        for _ in range(FAILURES_TO_OPEN - 1):
            circuit.failed()
        assert circuit.admit() is None

    def test_a_success_in_between_counts_from_the_start(self, circuit: Circuit) -> None:
        for _ in range(3):
            for _ in range(FAILURES_TO_OPEN - 1):
                circuit.failed()
            circuit.succeeded()
        assert circuit.admit() is None

    def test_open_says_when_to_come_back(self, circuit: Circuit, clock: Clock) -> None:
        self.opened(circuit)
        assert circuit.admit() == 0.5
        clock.now += 0.2
        assert circuit.admit() == pytest.approx(0.3)

    def test_half_open_lets_one_through(self, circuit: Circuit, clock: Clock) -> None:
        self.opened(circuit)
        clock.now += 0.5
        assert circuit.admit() is None
        assert circuit.admit() is not None

    def test_closes_when_that_one_succeeds(self, circuit: Circuit, clock: Clock) -> None:
        self.opened(circuit)
        clock.now += 0.5
        circuit.admit()
        circuit.succeeded()
        assert [circuit.admit() for _ in range(3)] == [None, None, None]

    def test_stays_open_for_longer_each_time_that_one_fails(self, circuit: Circuit, clock: Clock) -> None:
        self.opened(circuit)
        pauses = []
        for _ in range(6):
            pause = circuit.admit()
            assert pause is not None
            pauses.append(pause)
            clock.now += pause
            assert circuit.admit() is None
            circuit.failed()
        assert pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]

    def test_one_that_never_reports_is_given_up(self, circuit: Circuit, clock: Clock) -> None:
        self.opened(circuit)
        clock.now += 0.5
        assert circuit.admit() is None
        clock.now += LONGEST_PROBE_SECONDS
        assert circuit.admit() is None


class TestAfterOneFailure:
    """As the sidecar sets it up for Vault."""

    @pytest.fixture
    def circuit(self, clock: Clock) -> Circuit:
        return Circuit(monotonic=clock)

    def test_lets_everything_through_while_calls_succeed(self, circuit: Circuit) -> None:
        circuit.succeeded()
        assert [circuit.admit() for _ in range(3)] == [None, None, None]

    def test_refuses_during_a_pause_that_doubles_up_to_five_seconds(
        self, circuit: Circuit, clock: Clock
    ) -> None:
        pauses = []
        for _ in range(7):
            circuit.failed()
            assert circuit.admit() is not None
            start = clock.now
            while circuit.admit() is not None:
                clock.now += 0.125
            pauses.append(clock.now - start)
        assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]

    def test_after_the_pause_one_call_decides(self, circuit: Circuit, clock: Clock) -> None:
        circuit.failed()
        clock.now += 1
        assert [circuit.admit() is None for _ in range(3)] == [True, False, False]
        circuit.succeeded()
        assert [circuit.admit() for _ in range(3)] == [None, None, None]

    def test_a_probe_that_never_reports_does_not_close_the_way_for_ever(
        self, circuit: Circuit, clock: Clock
    ) -> None:
        circuit.failed()
        clock.now += 1
        assert circuit.admit() is None
        clock.now += 5
        assert circuit.admit() is None

    def test_the_pause_is_drawn_from_all_of_it(self, clock: Clock) -> None:
        drawn: list[tuple[float, float]] = []

        def none(low: float, high: float) -> float:
            drawn.append((low, high))
            return low

        circuit = Circuit(monotonic=clock, uniform=none)
        circuit.failed()
        assert drawn == [(0.0, 0.25)]
        assert circuit.admit() is None
