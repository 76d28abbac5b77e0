from __future__ import annotations

from kms.circuit import Circuit


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def longest(_: float, high: float) -> float:
    return high


class TestCircuit:
    def test_lets_everything_through_while_calls_succeed(self) -> None:
        circuit = Circuit(monotonic=Time(), uniform=longest)
        circuit.succeeded()
        assert all(circuit.admits() for _ in range(3))

    def test_refuses_during_a_pause_that_doubles_up_to_five_seconds(self) -> None:
        time = Time()
        circuit = Circuit(monotonic=time, uniform=longest)
        pauses = []
        for _ in range(7):
            circuit.failed()
            assert not circuit.admits()
            start = time.now
            while not circuit.admits():
                time.now += 0.125
            pauses.append(time.now - start)
        assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]

    def test_after_the_pause_one_call_decides(self) -> None:
        time = Time()
        circuit = Circuit(monotonic=time, uniform=longest)
        circuit.failed()
        time.now += 1
        assert [circuit.admits() for _ in range(3)] == [True, False, False]
        circuit.succeeded()
        assert all(circuit.admits() for _ in range(3))

    def test_a_probe_that_never_reports_does_not_close_the_way_for_ever(self) -> None:
        time = Time()
        circuit = Circuit(monotonic=time, uniform=longest)
        circuit.failed()
        time.now += 1
        assert circuit.admits()
        time.now += 5
        assert circuit.admits()

    def test_the_pause_is_drawn_from_all_of_it(self) -> None:
        drawn: list[tuple[float, float]] = []

        def none(low: float, high: float) -> float:
            drawn.append((low, high))
            return low

        circuit = Circuit(monotonic=Time(), uniform=none)
        circuit.failed()
        assert drawn == [(0.0, 0.25)]
        assert circuit.admits()
