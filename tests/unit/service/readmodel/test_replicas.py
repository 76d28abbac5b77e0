"""Which replicas are alive, and when all that they had heard is known: no clocks are compared."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from service.domain.history import RevisionToken
from service.domain.routers import REMEMBERED_FOR, ReplicaRecord, Stamp
from service.readmodel.replicas import DEAD_SECONDS, LOOKED_SECONDS, SILENT_SECONDS, Replicas
from service.readmodel.ring import Ring
from tests.support.doubles.hand_log import commit_id, token
from tests.support.values.registry_values import START, ManualClock

OWN = "registry-1"


class Bench:
    """A replica that reads what others have stored, on a monotonic clock moved by hand."""

    def __init__(self, *, shared: bool = True) -> None:
        self.seconds = 100.0
        self.is_older = False
        self.clock = ManualClock()
        self.replicas = Replicas(OWN, shared=shared, monotonic=lambda: self.seconds, clock=self.clock)

    def read(self, after: float = 1.0, table: RevisionToken | None = None, **flushes: int) -> float:
        """Read, so many seconds later, how often each replica has flushed."""
        reading = self.replicas.begin()
        self.seconds += after
        at = table or token(5)
        records = [ReplicaRecord(Stamp(one, seq), at) for one, seq in flushes.items()]
        records.append(ReplicaRecord(Stamp(OWN, 1), token(0)))
        return self.replicas.took(reading, records, is_older=self.is_older)

    def read_for(self, seconds: float, flushes: Mapping[str, int]) -> None:
        for _ in range(int(seconds)):
            self.read(1.0, None, **flushes)


@pytest.fixture
def bench() -> Bench:
    return Bench()


class TestLife:
    def test_one_that_flushes_is_alive_whatever_the_clock_says(self, bench: Bench) -> None:
        for seq in range(100):
            bench.read(two=seq)
            bench.clock.advance(hours=-3)
        assert (bench.replicas.alive, bench.replicas.silent) == (["two"], [])

    def test_one_that_does_not_is_silent_and_then_dead(self, bench: Bench) -> None:
        bench.read(two=7)
        bench.read_for(SILENT_SECONDS, {"two": 7})
        assert (bench.replicas.alive, bench.replicas.silent) == (["two"], ["two"])
        bench.read_for(DEAD_SECONDS - SILENT_SECONDS, {"two": 7})
        assert (bench.replicas.alive, bench.replicas.silent) == ([], [])
        bench.read(two=8)
        assert bench.replicas.alive == ["two"], "it goes on"

    def test_one_whose_count_goes_back_is_alive(self, bench: Bench) -> None:
        """An older database was put back."""
        bench.read_for(DEAD_SECONDS - 1, {"two": 7})
        bench.read(two=3)
        assert not bench.replicas.silent

    @pytest.mark.parametrize("pause", [60.0, 3600.0])
    def test_who_did_not_look_takes_nobody_for_dead(self, bench: Bench, pause: float) -> None:
        """This process was paused, or had no database: nobody could have written."""
        bench.read(two=7)
        assert bench.read(pause, two=7) == LOOKED_SECONDS
        assert bench.replicas.alive == ["two"]

    def test_one_that_left_is_gone_at_once(self, bench: Bench) -> None:
        bench.read(two=7)
        bench.read()
        assert bench.replicas.alive == bench.replicas.stored == []

    def test_one_that_is_missing_in_an_older_database_has_not_left(self, bench: Bench) -> None:
        """It joins again under another name once it notices; till then it is not known who watches it."""
        bench.read(two=7)
        bench.is_older = True
        bench.read()
        bench.is_older = False
        view = bench.replicas.next_view()
        bench.read_for(DEAD_SECONDS - 2, {"again": 1})
        assert bench.replicas.alive == ["two", "again"]
        assert not bench.replicas.has_view(view)
        assert "two" in bench.replicas.unanswered(view)
        bench.read(again=2)
        bench.read(again=3)
        assert bench.replicas.alive == ["again"]
        assert bench.replicas.has_view(view)

    def test_one_is_taken_away_ten_minutes_after_its_death(self, bench: Bench) -> None:
        bench.read(two=7)
        bench.read_for(REMEMBERED_FOR.total_seconds() + DEAD_SECONDS - 1, {"two": 7})
        assert bench.replicas.dead == []
        bench.read(two=7)
        assert bench.replicas.dead == [Stamp("two", 7)]


class TestViews:
    def test_wait_for_two_flushes_after_the_first_reading_that_began_later(self, bench: Bench) -> None:
        bench.read(two=1)
        view = bench.replicas.next_view()
        for seq, expected in ((4, False), (5, False), (6, True)):
            assert not bench.replicas.has_view(view)
            bench.read(two=seq)
            assert bench.replicas.has_view(view) is expected

    def test_a_reading_that_had_begun_does_not_do(self, bench: Bench) -> None:
        reading = bench.replicas.begin()
        view = bench.replicas.next_view()
        bench.replicas.took(reading, [])
        assert not bench.replicas.has_view(view)
        bench.read()
        assert bench.replicas.has_view(view)

    def test_name_whom_they_wait_for(self, bench: Bench) -> None:
        bench.read(two=1, three=1)
        view = bench.replicas.next_view()
        bench.read(two=1, three=1)
        bench.read(two=3, three=2)
        assert bench.replicas.unanswered(view) == ["three"]

    def test_wait_for_nobody_who_is_dead_or_gone(self, bench: Bench) -> None:
        bench.read(two=1, three=1)
        view = bench.replicas.next_view()
        bench.read(two=1, three=1)
        bench.read_for(DEAD_SECONDS - 2, {"two": 1})
        assert not bench.replicas.has_view(view)
        bench.read(two=1)
        assert bench.replicas.has_view(view)

    def test_say_as_of_when_they_are(self, bench: Bench) -> None:
        bench.read(two=1)
        bench.clock.advance(minutes=1)
        bench.read(two=2)
        assert bench.replicas.view_time == START
        bench.clock.advance(minutes=1)
        bench.read(two=4)
        assert (bench.replicas.view_time - START).total_seconds() == 60

    def test_of_one_registry_are_its_memory(self) -> None:
        bench = Bench(shared=False)
        assert bench.replicas.has_view(bench.replicas.next_view())
        bench.clock.advance(days=1)
        assert bench.replicas.view_time == bench.clock.now


class TestTables:
    @pytest.mark.parametrize(
        ("table", "has"),
        [
            pytest.param(token(5), True, id="that revision"),
            pytest.param(token(4), False, id="an older one"),
            pytest.param(token(6, history="b"), False, id="another history"),
            pytest.param(token(9), False, id="not known here yet"),
        ],
    )
    def test_have_a_revision_as_far_as_is_known_here(
        self, bench: Bench, table: RevisionToken, has: bool
    ) -> None:
        ring = Ring(token(0))
        for revision in range(1, 8):
            ring.append(revision, commit_id(revision), b"")
        bench.read(two=1, table=table)
        assert bench.replicas.without(ring, 5) == ([] if has else ["two"])
