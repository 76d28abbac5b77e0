"""The shared ring: positions stay valid whatever is dropped or put in front, and it stays within its size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.history import RevisionToken
from service.readmodel.ring import Ring
from tests.support.doubles.hand_log import ONE, TWO, commit_id, token


def filled(*revisions: int, floor: int = 0, **limits: int) -> Ring:
    ring = Ring(token(floor), **limits)  # type: ignore[arg-type]
    for revision in revisions:
        ring.append(revision, commit_id(revision), str(revision).encode())
    return ring


def content(ring: Ring) -> list[int]:
    return [ring.reached(position + 1) for position in range(ring.begin, ring.end)]


class TestPositions:
    @pytest.mark.parametrize(
        ("revision", "expected"), [(0, [3, 5, 9]), (3, [5, 9]), (4, [5, 9]), (8, [9]), (9, []), (12, [])]
    )
    def test_behind_a_revision_comes_all_that_is_newer(self, revision: int, expected: list[int]) -> None:
        ring = filled(3, 5, 9)
        assert [ring.reached(position + 1) for position in range(ring.after(revision), ring.end)] == expected

    def test_stay_valid_when_older_messages_are_put_in_front(self) -> None:
        ring = filled(5, 9, floor=4)
        position = ring.after(5)
        assert ring.extend_back(1, commit_id(1), [(2, commit_id(2), b"2"), (3, commit_id(3), b"3")])
        assert ring.message(position) == b"9"
        assert (content(ring), ring.floor) == ([2, 3, 5, 9], 1)

    def test_stay_valid_when_old_messages_are_dropped(self) -> None:
        ring = filled(*range(1, 11), max_messages=10)
        position = ring.after(9)
        ring.append(11, commit_id(11), b"11")
        assert ring.message(position) == b"10"


class TestHistory:
    @pytest.mark.parametrize(
        ("revision", "content"), [(2, 2), (3, 3), (4, 3), (5, 5), (8, 5), (9, 9), (12, 9)]
    )
    def test_of_a_revision_is_that_of_the_last_message_up_to_it(self, revision: int, content: int) -> None:
        ring = filled(3, 5, 9, floor=2)
        ring.head = 12
        assert ring.content_id(revision) == commit_id(content)
        assert ring.holds(RevisionToken(ONE, commit_id(content), revision))

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(RevisionToken(TWO, commit_id(5), 5), id="another store"),
            pytest.param(RevisionToken(ONE, commit_id(5, "b"), 5), id="another commit"),
            pytest.param(RevisionToken(ONE, commit_id(5), 9), id="an older content at a newer revision"),
            pytest.param(RevisionToken(ONE, commit_id(1), 1), id="before the floor"),
            pytest.param(RevisionToken(ONE, commit_id(9), 13), id="after the head"),
        ],
    )
    def test_has_no_other_tables(self, other: RevisionToken) -> None:
        ring = filled(3, 5, 9, floor=2)
        assert not ring.holds(other)

    def test_goes_on_when_old_messages_are_dropped(self) -> None:
        ring = filled(*range(1, 101), max_messages=10)
        assert ring.content_id(ring.floor) == commit_id(ring.floor)


class TestSize:
    def test_the_oldest_make_room(self) -> None:
        ring = filled(*range(1, 101), max_messages=10)
        assert content(ring) == list(range(ring.floor + 1, 101))
        assert 9 <= len(content(ring)) <= 10
        assert ring.out_of_reach == ring.floor

    def test_is_one_of_bytes_too(self) -> None:
        ring = Ring(token(0), max_bytes=1000)
        for revision in range(1, 50):
            ring.append(revision, commit_id(revision), bytes(100))
        assert 8 <= len(content(ring)) <= 10

    def test_the_newest_stays_however_large_it_is(self) -> None:
        ring = Ring(token(0), max_bytes=1000)
        ring.append(1, commit_id(1), bytes(10))
        ring.append(2, commit_id(2), bytes(5000))
        assert content(ring) == [2]
        assert ring.floor == 1

    @pytest.mark.parametrize(
        "older", [[(1, b"1"), (2, b"2")], [(2, bytes(2000))]], ids=["too-many", "too-large"]
    )
    def test_what_does_not_fit_is_not_put_in_front(self, older: list[tuple[int, bytes]]) -> None:
        ring = filled(3, 4, floor=2, max_messages=3, max_bytes=1000)
        assert not ring.extend_back(
            0, commit_id(0), [(one, commit_id(one), message) for one, message in older]
        )
        assert (content(ring), ring.floor, ring.out_of_reach) == ([3, 4], 2, 0)

    @given(st.lists(st.integers(1, 300), max_size=200), st.integers(1, 20), st.integers(1, 2000))
    def test_nothing_behind_the_floor_is_ever_missing(
        self, sizes: list[int], max_messages: int, max_bytes: int
    ) -> None:
        ring = Ring(token(0), max_messages=max_messages, max_bytes=max_bytes)
        for revision, size in enumerate(sizes, start=1):
            ring.append(revision, commit_id(revision), bytes(size))
            assert content(ring) == list(range(ring.floor + 1, revision + 1))
            assert len(content(ring)) <= max_messages
            kept = sum(len(ring.message(position)) for position in range(ring.begin, ring.end))
            assert kept <= max_bytes or len(content(ring)) == 1
