"""The routers that count: from their first sign of life until they stop, or are silent for ten minutes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.domain.history import RevisionToken
from service.domain.routers import REMEMBERED_FOR, Router
from service.readmodel.ring import Ring
from service.readmodel.routers import NOTED_EVERY, Routers
from tests.support.doubles.hand_log import ONE, TWO, commit_id, token
from tests.support.values.registry_values import START, ManualClock

PEER = "ipv4:10.1.2.3:4"
SECOND = timedelta(seconds=1)


def ring_to(head: int, *, floor: int = 0, history: str = "a") -> Ring:
    """A ring in which each revision has a message."""
    ring = Ring(token(floor, history="a"))
    for revision in range(floor + 1, head + 1):
        ring.append(revision, commit_id(revision, history), b"")
    return ring


RING = ring_to(9)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def routers(clock: ManualClock) -> Routers:
    return Routers(clock)


def only(routers: Routers, ring: Ring = RING) -> Router:
    [router] = routers.all(ring)
    return router


class TestCounting:
    def test_a_watch_counts_before_anything_is_reported(self, routers: Routers) -> None:
        routers.opened("gw-1", PEER)
        assert only(routers) == Router("gw-1", 0, None, watching=True, seen_time=START, peer=PEER)
        assert only(routers).forget_time is None

    def test_so_does_a_report_without_a_watch(self, routers: Routers) -> None:
        routers.reported("gw-1", token(7), RING, PEER)
        assert only(routers) == Router("gw-1", 7, START, watching=False, seen_time=START, peer=PEER)

    def test_a_router_that_fell_silent_counts_for_ten_minutes(
        self, routers: Routers, clock: ManualClock
    ) -> None:
        closed = routers.opened("gw-1", PEER)
        clock.now += timedelta(hours=3)
        closed()
        assert only(routers).forget_time == clock.now + REMEMBERED_FOR
        clock.now += REMEMBERED_FOR
        assert only(routers).watching is False
        clock.now += SECOND
        assert routers.all(RING) == []

    def test_one_that_watches_counts_for_as_long_as_it_does(
        self, routers: Routers, clock: ManualClock
    ) -> None:
        routers.opened("gw-1", PEER)
        clock.now += timedelta(days=3)
        assert only(routers).seen_time == clock.now

    def test_a_watch_that_began_before_the_last_one_ended_goes_on(self, routers: Routers) -> None:
        closed = routers.opened("gw-1", PEER)
        routers.opened("gw-1", PEER)
        closed()
        assert only(routers).watching

    def test_one_that_says_it_stops_is_forgotten_and_stays_so(self, routers: Routers) -> None:
        closed = routers.opened("gw-1", PEER)
        routers.stopping("gw-1")
        closed()
        assert routers.all(RING) == []

    def test_one_that_begins_anew_under_its_name_counts_whatever_ends_of_the_old(
        self, routers: Routers
    ) -> None:
        closed = routers.opened("gw-1", PEER)
        routers.stopping("gw-1")
        routers.opened("gw-1", PEER)
        closed()
        assert only(routers).watching

    def test_are_in_the_order_of_their_ids(self, routers: Routers) -> None:
        for watcher_id in ("b", "c", "a"):
            routers.opened(watcher_id, PEER)
        assert [one.watcher_id for one in routers.all(RING)] == ["a", "b", "c"]


class TestReports:
    def test_the_time_is_that_of_the_first_report_of_a_revision(
        self, routers: Routers, clock: ManualClock
    ) -> None:
        routers.reported("gw-1", token(7), RING, PEER)
        clock.now += SECOND
        routers.reported("gw-1", token(7), RING, PEER)
        assert (only(routers).apply_time, only(routers).seen_time) == (START, START + SECOND)
        routers.reported("gw-1", token(8), RING, PEER)
        assert only(routers).apply_time == START + SECOND

    def test_the_last_one_holds_also_when_it_is_lower(self, routers: Routers) -> None:
        """A router that starts from the table it had stored is lagging, whatever it said before."""
        routers.reported("gw-1", token(7), RING, PEER)
        routers.reported("gw-1", token(3), RING, PEER)
        assert only(routers).applied_revision == 3

    @pytest.mark.parametrize(
        "applied",
        [
            pytest.param(None, id="nothing"),
            pytest.param(token(7, history="b"), id="another history"),
            pytest.param(RevisionToken(ONE, commit_id(5), 7), id="a content that the revision does not have"),
            pytest.param(token(10), id="not seen here yet"),
        ],
    )
    def test_what_is_not_of_this_history_counts_as_nothing(
        self, routers: Routers, applied: RevisionToken | None
    ) -> None:
        routers.reported("gw-1", applied, RING, PEER)
        assert only(routers).applied_revision == 0
        assert not routers.all_have(RING, 1)

    def test_what_another_replica_has_sent_counts_once_it_is_seen_here(self, routers: Routers) -> None:
        ring = ring_to(9)
        routers.reported("gw-1", token(10), ring, PEER)
        ring.append(10, commit_id(10), b"")
        assert only(routers, ring).applied_revision == 10

    def test_of_a_lost_history_count_no_more(self, routers: Routers) -> None:
        """Neither at a revision that the new history has too, nor before what it still has in memory."""
        for name, revision in (("kept", 3), ("lost", 7)):
            routers.reported(name, token(revision), RING, PEER)
        forked = ring_to(5)
        for revision in range(6, 10):
            forked.append(revision, commit_id(revision, "b"), b"")
        assert [one.applied_revision for one in routers.all(forked)] == [3, 0]
        assert [one.applied_revision for one in routers.all(ring_to(9, floor=8, history="b"))] == [0, 0]

    def test_count_where_a_newer_ring_does_not_go_back_to_them(self, routers: Routers) -> None:
        ring = ring_to(9)
        routers.reported("gw-1", token(3), ring, PEER)
        newer = Ring(token(9), history=ring.history)
        assert only(routers, newer).applied_revision == 3

    def test_revisions_of_another_store_do_not_compare(self, routers: Routers) -> None:
        routers.reported("gw-1", token(9, store_id=TWO), RING, PEER)
        assert (only(routers).applied_revision, only(routers).apply_time) == (0, None)


class TestKeeping:
    def test_what_was_taken_makes_the_same_routers_again(self, routers: Routers, clock: ManualClock) -> None:
        routers.reported("gw-1", token(7), RING, PEER)
        routers.opened("gw-2", PEER)
        put, gone = routers.drain_changes()
        again = Routers(clock, put, RING.history)
        assert gone == []
        assert [(one.watcher_id, one.applied_revision) for one in again.all(RING)] == [
            ("gw-1", 7),
            ("gw-2", 0),
        ]
        assert not any(one.watching for one in again.all(RING))

    def test_nothing_is_taken_twice(self, routers: Routers) -> None:
        routers.reported("gw-1", token(7), RING, PEER)
        routers.drain_changes()
        assert routers.drain_changes() == ([], [])

    def test_those_that_went_are_told(self, routers: Routers, clock: ManualClock) -> None:
        routers.reported("stops", token(7), RING, PEER)
        routers.reported("silent", token(7), RING, PEER)
        routers.drain_changes()
        routers.stopping("stops")
        clock.now += REMEMBERED_FOR + SECOND
        assert routers.drain_changes() == ([], ["silent", "stops"])

    def test_a_watcher_is_noted_as_alive_every_minute(self, routers: Routers, clock: ManualClock) -> None:
        routers.opened("gw-1", PEER)
        routers.drain_changes()
        clock.now += NOTED_EVERY
        assert routers.drain_changes() == ([], [])
        clock.now += SECOND
        [record], _ = routers.drain_changes()
        assert record.seen_time == clock.now

    def test_what_could_not_be_stored_is_taken_again(self, routers: Routers) -> None:
        routers.reported("gw-1", token(7), RING, PEER)
        put, gone = routers.drain_changes()
        routers.requeue([record.watcher_id for record in put] + gone)
        assert routers.drain_changes() == (put, gone)


class TestReplicas:
    @pytest.fixture
    def other(self, clock: ManualClock) -> Routers:
        return Routers(clock)

    def test_what_another_was_told_is_heard(self, routers: Routers, other: Routers) -> None:
        other.opened("gw-1", PEER)
        other.reported("gw-1", token(7), RING, PEER)
        routers.merge_stored(other.drain_changes()[0], RING.history)
        assert (only(routers).applied_revision, only(routers).watching) == (7, False)
        assert routers.drain_changes() == ([], []), "it is stored already"

    def test_the_newest_word_wins(self, routers: Routers, other: Routers, clock: ManualClock) -> None:
        other.reported("gw-1", token(7), RING, PEER)
        [older], _ = other.drain_changes()
        clock.now += SECOND
        routers.reported("gw-1", token(8), RING, PEER)
        routers.drain_changes()
        routers.merge_stored([older], RING.history)
        assert only(routers).applied_revision == 8
        clock.now += SECOND
        other.reported("gw-1", token(9), RING, PEER)
        routers.merge_stored(other.drain_changes()[0], RING.history)
        assert only(routers).applied_revision == 9

    def test_of_who_watches_here_nobody_knows_more(
        self, routers: Routers, other: Routers, clock: ManualClock
    ) -> None:
        """A watch that broke off may be seen to end elsewhere long after the next one began here."""
        closed = other.opened("gw-1", PEER)
        routers.opened("gw-1", PEER)
        routers.reported("gw-1", token(7), RING, PEER)
        routers.drain_changes()
        clock.now += SECOND
        closed()
        routers.merge_stored(other.drain_changes()[0], RING.history)
        routers.merge_stored([], RING.history)
        assert (only(routers).applied_revision, only(routers).watching) == (7, True)

    def test_who_stopped_elsewhere_counts_no_more(self, routers: Routers) -> None:
        routers.reported("gw-1", token(7), RING, PEER)
        routers.drain_changes()
        routers.reported("gw-2", token(7), RING, PEER)
        routers.merge_stored([], RING.history)
        assert only(routers).watcher_id == "gw-2", "what is not stored yet stays"

    def test_who_stopped_here_is_not_brought_back(self, routers: Routers) -> None:
        routers.reported("gw-1", token(7), RING, PEER)
        stored, _ = routers.drain_changes()
        routers.stopping("gw-1")
        routers.merge_stored(stored, RING.history)
        assert routers.all(RING) == []


class TestAllHave:
    @pytest.mark.parametrize(("revision", "expected"), [(6, True), (7, True), (8, False)])
    def test_tells_of_the_last_one(self, routers: Routers, revision: int, expected: bool) -> None:
        routers.reported("gw-1", token(9), RING, PEER)
        routers.reported("gw-2", token(7), RING, PEER)
        assert routers.all_have(RING, revision) is expected

    def test_counts_nobody_who_is_silent(self, routers: Routers, clock: ManualClock) -> None:
        routers.reported("gw-1", token(9, store_id=TWO), RING, PEER)
        assert not routers.all_have(RING, 1)
        clock.now += REMEMBERED_FOR + SECOND
        assert routers.all_have(RING, 1)
