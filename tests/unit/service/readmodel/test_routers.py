"""The routers that count: from their first watch until they stop, or are silent for ten observed minutes."""

from __future__ import annotations

import logging
from io import StringIO

import pytest

from runtime.logs import build_logger
from service.domain.errors import FailedPrecondition, Reason, ResourceExhausted
from service.domain.history import RevisionToken
from service.domain.routers import Router, RouterKey, RouterRecord, Stamp
from service.readmodel import routers as module
from service.readmodel.ring import Ring
from service.readmodel.routers import Routers
from tests.support.doubles.hand_log import ONE, TWO, commit_id, token
from tests.support.values.registry_values import START, ManualClock

PEER = "ipv4:10.1.2.3:4"
MINUTES = 60.0
OWN = "registry-1"
OTHER = "registry-2"


def ring_to(head: int, *, floor: int = 0, history: str = "a") -> Ring:
    """A ring in which each revision has a message."""
    ring = Ring(token(floor, history="a"))
    for revision in range(floor + 1, head + 1):
        ring.append(revision, commit_id(revision, history), b"")
    return ring


RING = ring_to(9)


def key(watcher_id: str = "gw-1", session: int | None = 1, *, principal: str = "dev:loopback") -> RouterKey:
    return RouterKey(principal, watcher_id, b"" if session is None else session.to_bytes(16))


def record(
    of: RouterKey,
    applied: RevisionToken | None = None,
    *,
    proven: bool = True,
    stopped: bool = False,
    replicas: tuple[str, ...] = (),
) -> RouterRecord:
    """A router as another replica has stored it."""
    proven = proven and applied is not None
    return RouterRecord(of, applied, proven, START, START, PEER, stopped, replicas, Stamp(OTHER, 1))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def routers(clock: ManualClock) -> Routers:
    return Routers(clock, build_logger(StringIO(), logging.INFO), shared=True)


def merge(routers: Routers, *records: RouterRecord, ring: Ring = RING) -> None:
    routers.merge(records, ring.history, ring, OWN)


def pairs(routers: Routers, ring: Ring = RING) -> list[tuple[str, int]]:
    return [(one.watcher_id, one.applied_revision) for one in routers.all(ring)]


def only(routers: Routers, ring: Ring = RING) -> Router:
    [router] = routers.all(ring)
    return router


class TestCounting:
    def test_a_watch_counts_before_anything_is_reported(self, routers: Routers) -> None:
        routers.open(key(), PEER, RING, None)
        got = only(routers)
        assert (got.watcher_id, got.session_id, got.applied_revision) == ("gw-1", "00000000", 0)
        assert (got.watching, got.seen_time, got.forget_time) == (True, START, None)

    def test_a_report_without_a_watch_makes_no_router(self, clock: ManualClock) -> None:
        routers = Routers(clock, build_logger(StringIO(), logging.INFO))
        routers.reported(key(), token(7), RING, PEER)
        routers.stopping(key("gw-2"), PEER)
        assert routers.all(RING) == []
        assert routers.drain(RING).heard == {}

    def test_a_router_that_fell_silent_counts_for_ten_observed_minutes(self, routers: Routers) -> None:
        routers.close(routers.open(key(), PEER, RING, None))
        routers.observe(10 * MINUTES, [])
        assert only(routers).watching is False
        routers.observe(0.1, [])
        assert routers.all(RING) == []
        assert [one for one, _ in routers.drain(RING).forgotten] == [key()]

    def test_a_step_of_the_wall_clock_forgets_nobody(self, routers: Routers, clock: ManualClock) -> None:
        routers.close(routers.open(key(), PEER, RING, None))
        clock.advance(days=3)
        routers.observe(1, [])
        assert only(routers).watcher_id == "gw-1"

    def test_one_that_watches_counts_for_as_long_as_it_does(self, routers: Routers) -> None:
        routers.open(key(), PEER, RING, None)
        routers.observe(3 * 24 * 60 * MINUTES, [])
        assert only(routers).watching

    def test_a_watch_that_began_before_the_last_one_ended_goes_on(self, routers: Routers) -> None:
        first = routers.open(key(), PEER, RING, None)
        routers.open(key(), PEER, RING, None)
        routers.close(first)
        assert only(routers).watching

    def test_are_in_the_order_of_their_ids(self, routers: Routers) -> None:
        for watcher_id in ("b", "c", "a"):
            routers.open(key(watcher_id), PEER, RING, None)
        assert [one.watcher_id for one in routers.all(RING)] == ["a", "b", "c"]

    def test_two_processes_of_one_id_are_two(self, routers: Routers) -> None:
        """As in a rolling restart with fixed names: the new one watches, then the old one stops."""
        old = routers.open(key(session=1), PEER, RING, None)
        routers.reported(key(session=1), token(9), RING, PEER)
        routers.open(key(session=2), PEER, RING, None)
        assert [one.applied_revision for one in routers.all(RING)] == [9, 0]
        routers.stopping(key(session=1), PEER)
        routers.close(old)
        assert only(routers).applied_revision == 0
        assert not routers.all_have(RING, 9)


class TestStopping:
    def test_nothing_late_brings_a_session_back(self, routers: Routers) -> None:
        watch = routers.open(key(), PEER, RING, None)
        routers.stopping(key(), PEER)
        assert routers.all(RING) == []
        routers.close(watch)
        routers.reported(key(), token(9), RING, PEER)
        merge(routers, record(key(), token(9)))
        routers.observe(15 * MINUTES, [])
        assert routers.all(RING) == []
        with pytest.raises(FailedPrecondition) as refused:
            routers.open(key(), PEER, RING, None)
        assert refused.value.reason is Reason.ROUTER_STOPPED

    def test_is_remembered_for_fifteen_minutes(self, routers: Routers) -> None:
        routers.close(routers.open(key(), PEER, RING, None))
        routers.stopping(key(), PEER)
        routers.observe(15 * MINUTES + 1, [])
        assert len(routers) == 0

    def test_heard_elsewhere_ends_it_here(self, routers: Routers) -> None:
        routers.open(key(), PEER, RING, None)
        merge(routers, record(key(), stopped=True))
        assert routers.all(RING) == []

    @pytest.mark.parametrize("session", [None, 2])
    def test_without_a_session_is_ignored_while_anything_of_that_id_watches(
        self, routers: Routers, session: int | None
    ) -> None:
        routers.open(key(session=session), PEER, RING, None)
        routers.stopping(key(session=None), PEER)
        assert only(routers).watching

    def test_without_a_session_ends_what_watches_no_more(self, routers: Routers) -> None:
        routers.close(routers.open(key(session=None), PEER, RING, None))
        routers.stopping(key(session=None), PEER)
        assert routers.all(RING) == []
        routers.open(key(session=None), PEER, RING, None)
        assert only(routers).watching, "the next process has the same id and no session"

    def test_without_a_session_does_not_end_a_watch_at_another_replica(self, routers: Routers) -> None:
        routers.observe(1, [OTHER])
        merge(routers, record(key(session=None), stopped=True, replicas=(OTHER,)))
        assert only(routers).watching


class TestReports:
    def test_the_time_is_that_of_the_first_report_of_a_revision(
        self, routers: Routers, clock: ManualClock
    ) -> None:
        routers.open(key(), PEER, RING, None)
        routers.reported(key(), token(7), RING, PEER)
        clock.advance(seconds=1)
        routers.reported(key(), token(7), RING, PEER)
        assert only(routers).apply_time == START
        routers.reported(key(), token(8), RING, PEER)
        assert only(routers).apply_time == clock.now

    def test_the_highest_of_a_session_counts(self, routers: Routers) -> None:
        """A balancer may bring them in any order."""
        routers.open(key(), PEER, RING, None)
        for revision in (7, 9, 3):
            routers.reported(key(), token(revision), RING, PEER)
        assert only(routers).applied_revision == 9

    def test_without_a_session_a_new_watch_proves_only_where_it_resumes(self, routers: Routers) -> None:
        routers.open(key(session=None), PEER, RING, None)
        routers.reported(key(session=None), token(9), RING, PEER)
        routers.open(key(session=None), PEER, RING, token(3))
        assert only(routers).applied_revision == 3
        routers.open(key(session=None), PEER, RING, None)
        assert only(routers).applied_revision == 0

    @pytest.mark.parametrize(
        "applied",
        [
            pytest.param(None, id="nothing"),
            pytest.param(token(7, history="b"), id="another history"),
            pytest.param(RevisionToken(ONE, commit_id(5), 7), id="a content that the revision does not have"),
            pytest.param(token(10), id="not seen here yet"),
            pytest.param(token(9, store_id=TWO), id="another store"),
        ],
    )
    @pytest.mark.parametrize("had", [0, 4])
    def test_what_is_not_of_this_history_replaces_nothing(
        self, routers: Routers, applied: RevisionToken | None, had: int
    ) -> None:
        routers.open(key(), PEER, RING, None)
        if had:
            routers.reported(key(), token(had), RING, PEER)
        routers.reported(key(), applied, RING, PEER)
        assert only(routers).applied_revision == had
        assert not routers.all_have(RING, had + 1)

    @pytest.mark.parametrize("had", [0, 4])
    def test_what_another_replica_has_sent_counts_once_it_is_seen_here(
        self, routers: Routers, had: int
    ) -> None:
        ring = ring_to(9)
        routers.open(key(), PEER, ring, None)
        if had:
            routers.reported(key(), token(had), ring, PEER)
        routers.reported(key(), token(10), ring, PEER)
        routers.drain(ring)
        ring.append(10, commit_id(10), b"")
        assert only(routers, ring).applied_revision == 10
        if had:
            assert routers.drain(ring).heard[key()].applied == token(10)

    def test_of_a_lost_history_count_no_more_and_give_way_to_a_lower_one(self, routers: Routers) -> None:
        routers.open(key(), PEER, RING, None)
        routers.reported(key(), token(7), RING, PEER)
        routers.drain(RING)
        forked = ring_to(5)
        for revision in range(6, 10):
            forked.append(revision, commit_id(revision, "b"), b"")
        assert only(routers, forked).applied_revision == 0
        routers.reported(key(), token(6, history="b"), forked, PEER)
        assert only(routers, forked).applied_revision == 6
        assert routers.drain(forked).heard[key()].over == commit_id(7)

    def test_count_where_a_newer_ring_does_not_go_back_to_them(self, routers: Routers) -> None:
        ring = ring_to(9)
        routers.open(key(), PEER, ring, None)
        routers.reported(key(), token(3), ring, PEER)
        assert only(routers, Ring(token(9), history=ring.history)).applied_revision == 3


class TestReplicas:
    def test_a_watch_at_another_replica_counts_while_that_lives(self, routers: Routers) -> None:
        routers.observe(1, [OTHER])
        merge(routers, record(key(), token(7), replicas=(OTHER,)))
        got = only(routers)
        assert (got.applied_revision, got.watching, got.replicas) == (7, True, [OTHER])
        routers.observe(3600, [OTHER])
        assert only(routers).watching

    def test_with_a_dead_replica_ends_what_it_held_ten_minutes_later(self, routers: Routers) -> None:
        routers.observe(1, [OTHER])
        merge(routers, record(key(), token(7), replicas=(OTHER,)))
        routers.observe(3600, [OTHER])
        routers.observe(1, [])
        assert only(routers).watching is False
        routers.observe(10 * MINUTES, [])
        assert len(routers.all(RING)) == 1
        routers.observe(1, [])
        assert routers.all(RING) == []

    def test_a_report_may_come_before_its_watch_is_known_here(self, routers: Routers) -> None:
        """A balancer brings them to different replicas."""
        routers.observe(1, [OTHER])
        routers.reported(key(), token(8), RING, PEER)
        assert routers.all(RING) == []
        heard = routers.drain(RING).heard[key()]
        assert (heard.applied, heard.began) == (token(8), False)
        merge(routers, record(key(), replicas=(OTHER,)))
        assert pairs(routers) == [("gw-1", 8)]

    def test_a_report_whose_watch_never_comes_is_dropped(self, routers: Routers) -> None:
        routers.observe(1, [OTHER])
        routers.reported(key(), token(8), RING, PEER)
        routers.observe(11, [OTHER])
        merge(routers, record(key(), replicas=(OTHER,)))
        assert pairs(routers) == [("gw-1", 0)]

    @pytest.mark.parametrize(("stored", "expected"), [(6, 7), (8, 8)])
    def test_the_higher_report_of_a_session_counts(
        self, routers: Routers, stored: int, expected: int
    ) -> None:
        routers.open(key(), PEER, RING, None)
        routers.reported(key(), token(7), RING, PEER)
        routers.drain(RING)
        merge(routers, record(key(), token(stored)))
        assert pairs(routers) == [("gw-1", expected)]

    def test_a_sound_report_is_put_over_a_stored_one_of_another_history(self, routers: Routers) -> None:
        routers.open(key(), PEER, RING, None)
        routers.reported(key(), token(7), RING, PEER)
        routers.drain(RING)
        merge(routers, record(key(), token(8, history="b"), proven=False))
        assert pairs(routers) == [("gw-1", 7)]
        heard = routers.drain(RING).heard[key()]
        assert (heard.applied, heard.over) == (token(7), commit_id(8, "b"))

    def test_what_could_not_be_stored_is_drained_again(self, routers: Routers) -> None:
        watch = routers.open(key(), PEER, RING, None)
        drained = routers.drain(RING)
        assert drained.opened == [key()]
        routers.reported(key(), token(7), RING, PEER)
        routers.close(watch)
        routers.requeue(drained)
        again = routers.drain(RING)
        heard = again.heard[key()]
        assert (heard.began, heard.applied, again.opened, again.closed) == (True, token(7), [], [key()])

    def test_who_watches_is_stored_anew_where_that_was_lost(self, routers: Routers) -> None:
        routers.open(key(), PEER, RING, None)
        routers.reported(key(), token(7), RING, PEER)
        routers.drain(RING)
        routers.rejoin()
        again = routers.drain(RING)
        assert (again.opened, again.heard[key()].began, again.heard[key()].applied) == (
            [key()],
            True,
            token(7),
        )


class TestLimits:
    def test_the_silent_session_of_an_id_makes_room(self, clock: ManualClock) -> None:
        log = StringIO()
        routers = Routers(clock, build_logger(log, logging.INFO))
        for number in range(module.MAX_SESSIONS):
            watch = routers.open(key(session=number), PEER, RING, None)
            if number in (3, 5):
                routers.close(watch)
                routers.observe(1, [])
        routers.open(key(session=100), PEER, RING, None)
        assert len(routers) == module.MAX_SESSIONS
        assert routers.drain(RING).forgotten[0][0] == key(session=3)
        assert '"router_evicted"' in log.getvalue()

    def test_one_whose_sessions_all_watch_is_refused(self, routers: Routers) -> None:
        for number in range(module.MAX_SESSIONS):
            routers.open(key(session=number), PEER, RING, None)
        with pytest.raises(ResourceExhausted, match="8 routers watch under this id") as refused:
            routers.open(key(session=100), PEER, RING, None)
        assert refused.value.reason is Reason.TOO_MANY_ROUTERS
        assert len(routers) == module.MAX_SESSIONS

    def test_a_caller_has_so_many_ids(self, routers: Routers, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MAX_IDS", 2)
        for watcher_id in ("a", "b", "b"):
            routers.open(key(watcher_id, principal="team:x"), PEER, RING, None)
        with pytest.raises(ResourceExhausted, match="2 ids"):
            routers.open(key("c", principal="team:x"), PEER, RING, None)
        for watcher_id in ("a", "b", "c"):
            routers.open(key(watcher_id), PEER, RING, None)

    def test_those_that_stopped_make_room(self, routers: Routers, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MAX_ROUTERS", 2)
        routers.close(routers.open(key("a"), PEER, RING, None))
        routers.stopping(key("a"), PEER)
        for watcher_id in ("b", "c"):
            routers.open(key(watcher_id), PEER, RING, None)
        with pytest.raises(ResourceExhausted, match="2 routers it takes"):
            routers.open(key("d"), PEER, RING, None)

    def test_reports_without_a_watch_take_no_more_room(
        self, routers: Routers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MAX_UNKNOWN", 2)
        routers.observe(1, [OTHER])
        for watcher_id in ("a", "b", "c"):
            routers.reported(key(watcher_id), token(8), RING, PEER)
        merge(routers, *(record(key(one), replicas=(OTHER,)) for one in ("a", "b", "c")))
        assert pairs(routers) == [("a", 0), ("b", 8), ("c", 8)]


class TestAllHave:
    @pytest.mark.parametrize(("revision", "expected"), [(6, True), (7, True), (8, False)])
    def test_is_of_the_last_one(self, routers: Routers, revision: int, expected: bool) -> None:
        for watcher_id, applied in (("gw-1", 9), ("gw-2", 7)):
            routers.open(key(watcher_id), PEER, RING, None)
            routers.reported(key(watcher_id), token(applied), RING, PEER)
        assert routers.all_have(RING, revision) is expected
        assert routers.all_have(RING, revision) is expected, "also when asked again"

    def test_counts_nobody_who_is_silent(self, routers: Routers) -> None:
        routers.close(routers.open(key(), PEER, RING, None))
        assert not routers.all_have(RING, 1)
        routers.observe(10 * MINUTES + 1, [])
        assert routers.all_have(RING, 1)
