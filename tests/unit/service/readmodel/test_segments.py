"""A table in segments is the sorted dictionary that it stands for, however it has come about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.model import ProviderConfig, ProviderKind
from service.domain.routing import RoutingProvider
from service.readmodel import segments
from service.readmodel.segments import Row, Segment, Table

SPLIT, CUT, MERGE = 200, 100, 25
LARGE = 300
"""Of a row that is larger than a segment may be."""


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "SPLIT_BYTES", SPLIT)
        patch.setattr(segments, "CUT_BYTES", CUT)
        patch.setattr(segments, "MERGE_BYTES", MERGE)
        yield


ENTRY = RoutingProvider("", UUID(int=0), ProviderKind.OPENAI, "", ProviderConfig({}, {}), None, 0, {})


def a_row(size: int) -> Row:
    return Row(ENTRY, bytes(size))


def rows(table: Table) -> dict[str, Row]:
    return {name: row for one in table.segments for name, row in zip(one.names, one.rows, strict=True)}


def changes(sizes: st.SearchStrategy[int]) -> st.SearchStrategy[dict[str, Row | None]]:
    """Some rows put and some taken out, of names near each other and far apart."""
    names = st.builds("{:03}".format, st.integers(0, 400) | st.integers(0, 20))
    return st.dictionaries(names, st.none() | sizes.map(a_row), max_size=60)


def many(count: int, size: int) -> dict[str, Row | None]:
    return {f"{number:03}": a_row(size) for number in range(count)}


class TestTable:
    @given(st.lists(changes(st.integers(1, 10)), max_size=8))
    def test_is_a_dictionary_in_order_of_names(self, steps: list[dict[str, Row | None]]) -> None:
        table = Table()
        model: dict[str, Row] = {}
        for step in steps:
            table = table.changed(step)
            model = applied(model, step)
            assert list(table.items()) == sorted(model.items())
            assert list(table.in_order()) == [row for _, row in sorted(model.items())]
            assert len(table) == len(model)
            assert rows(table) == model
            assert all(name in model for name in table)
            assert "400x" not in table

    @given(st.lists(changes(st.integers(1, 10)), max_size=8))
    def test_has_segments_of_bounded_size(self, steps: list[dict[str, Row | None]]) -> None:
        table = Table()
        for step in steps:
            table = table.changed(step)
            for one in table.segments:
                assert one.size == sum(len(row.encoded) for row in one.rows) <= SPLIT
                assert one.size >= MERGE or len(table.segments) == 1

    @given(st.lists(changes(st.integers(1, LARGE)), max_size=5))
    def test_gives_a_row_that_is_too_large_a_segment_of_its_own(
        self, steps: list[dict[str, Row | None]]
    ) -> None:
        table = Table()
        model: dict[str, Row] = {}
        for step in steps:
            table, model = table.changed(step), applied(model, step)
            assert list(table.items()) == sorted(model.items())
            assert all(one.size <= SPLIT or len(one.rows) == 1 for one in table.segments)

    def test_is_itself_where_nothing_changes(self) -> None:
        table = Table().changed(many(3, 10))
        assert table.changed({}) is table


def applied(model: Mapping[str, Row], step: Mapping[str, Row | None]) -> dict[str, Row]:
    return {name: row for name, row in {**model, **step}.items() if row is not None}


class TestSharing:
    @pytest.mark.parametrize(
        ("name", "row"),
        [("055", a_row(9)), ("055x", a_row(9)), ("055", None), ("055x", None)],
        ids=["replace", "insert", "remove", "nothing there"],
    )
    def test_a_change_leaves_all_other_segments_as_they_are(self, name: str, row: Row | None) -> None:
        before = Table().changed(many(100, 10))
        after = before.changed({name: row})
        kept = [one for one in after.segments if one in before.segments]
        assert len(before.segments) == len(after.segments) == len(kept) + 1

    def test_a_segment_that_grows_is_split(self) -> None:
        before = Table().changed(many(100, 10))
        first = before.segments[0]
        after = before.changed({f"000-{number}": a_row(10) for number in range(11)})
        assert [one.size for one in after.segments[:3]] == [70, 70, 70]
        assert first not in after.segments
        assert after.segments[3:] == before.segments[1:]

    @pytest.mark.parametrize("place", [0, 4, 9], ids=["first", "middle", "last"])
    def test_a_segment_that_shrinks_is_merged_with_a_neighbour(self, place: int) -> None:
        before = Table().changed(many(100, 10))
        assert [one.size for one in before.segments] == [100] * 10
        after = before.changed(dict.fromkeys(before.segments[place].names[2:]))
        assert sorted(one.size for one in after.segments) == [100] * 8 + [120]

    def test_a_segment_that_is_emptied_goes(self) -> None:
        before = Table().changed(many(100, 10))
        after = before.changed(dict.fromkeys(before.segments[4].names))
        assert after.segments == before.segments[:4] + before.segments[5:]

    def test_all_rows_may_go_and_come_again(self) -> None:
        before = Table().changed(many(100, 10))
        emptied = before.changed(dict.fromkeys(before))
        assert (emptied.segments, list(emptied), len(emptied)) == ((), [], 0)
        assert dict(emptied.changed(many(3, 10))) == many(3, 10)


class TestSegment:
    def test_is_joined_once(self) -> None:
        asked: list[int] = []

        def join(rows: Sequence[Row]) -> bytes:
            asked.append(len(rows))
            return b"joined"

        segment = Segment(["a"], [a_row(1)], 1)
        assert segment.joined(join) is segment.joined(join)
        assert asked == [1]
