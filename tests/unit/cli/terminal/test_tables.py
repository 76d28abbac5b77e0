"""Tables fit the terminal, but never at the cost of what identifies a row."""

from __future__ import annotations

import pytest

from cli.terminal.tables import Cell, Column, Tone, Value, cells, facts, printable, rows

COLUMNS = (Column("id", whole=True), Column("state"), Column("description"), Column("count"))
ID = "local-4af084d5-v1-ce9be86a57cc44cf"
ROWS: list[tuple[Value, ...]] = [
    (ID, Cell("ACTIVE", Tone.GOOD), "A sentence that says a good deal about the version", 7),
    ("short", "DISABLED", "Nothing much", 12345),
]


def shown(width: int | None, *, colour: bool = False) -> list[str]:
    return rows(COLUMNS, ROWS, width=width, colour=colour)


def test_all_of_it_where_there_is_room() -> None:
    assert shown(None) == shown(200)
    assert shown(200) == [
        f"{'id':<34}  state     description                                         count",
        f"{ID}  ACTIVE    A sentence that says a good deal about the version      7",
        f"{'short':<34}  DISABLED  Nothing much                                        12345",
    ]


def test_the_longest_column_is_cut_first() -> None:
    assert shown(80) == [
        f"{'id':<34}  state     description                  count",
        f"{ID}  ACTIVE    A sentence that says a goo…      7",
        f"{'short':<34}  DISABLED  Nothing much                 12345",
    ]


@pytest.mark.parametrize("width", range(34, 120))
def test_lines_fit_and_ids_are_whole(width: int) -> None:
    lines = shown(width)
    assert max(map(cells, lines)) <= width
    assert lines[1].startswith(ID)


@pytest.mark.parametrize("width", [1, 10, 33])
def test_an_id_is_never_cut(width: int) -> None:
    assert shown(width) == ["id", ID, "short"]


def test_a_column_without_a_word_is_left_out() -> None:
    columns = (Column("a"), Column("b"), Column("c"))
    assert rows(columns, [("1", "", "3")], width=80, colour=False) == ["a  c", "1  3"]
    assert rows(columns, [("1", "", "3")], width=None, colour=False) == ["a  b  c", "1     3"]
    assert rows(columns, [], width=80, colour=False) == ["a  b  c"]


def test_numbers_are_on_the_right() -> None:
    assert rows((Column("n"),), [(5,), (1000,)], width=80, colour=False) == ["   n", "   5", "1000"]


def test_colour_takes_no_room() -> None:
    plain, coloured = shown(80), shown(80, colour=True)
    assert coloured[1] == plain[1].replace("ACTIVE", "\x1b[32mACTIVE\x1b[0m")


def test_wide_and_combining_characters() -> None:
    assert (cells("日本"), cells("e\u0301"), cells("ab")) == (4, 1, 2)
    assert rows((Column("a"), Column("b")), [("日本", "x"), ("abc", "y")], width=80, colour=False) == [
        "a     b",
        "日本  x",
        "abc   y",
    ]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("a\u202eb", "a\\u202eb"),
        ("日本 ü", "日本 ü"),
    ],
)
def test_nothing_acts_on_the_terminal(text: str, safe: str) -> None:
    assert printable(text) == safe


def test_facts_are_aligned() -> None:
    assert facts([("a", 1), ("longer", Cell("x", Tone.BAD))], colour=True) == [
        "\x1b[2ma     \x1b[0m  1",
        "\x1b[2mlonger\x1b[0m  \x1b[1;31mx\x1b[0m",
    ]
