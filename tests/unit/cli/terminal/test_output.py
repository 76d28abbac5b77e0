from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest

from cli.failures import UsageFailure
from cli.terminal.output import Cell, Facts, OutputFormat, Section, Terminal, Tone, yaml_lines
from tests.unit.cli.terminal.test_progress import Screen

PARTS = (
    Facts([("name", Cell("well", Tone.GOOD)), ("count", 3)]),
    Section("", ("provider", "times"), [("providers/a", 1), (Cell("[bold]providers/b", Tone.BAD), 20)]),
)


def shown(stream: io.StringIO, output: OutputFormat = OutputFormat.TABLE, **environment: str) -> str:
    terminal = Terminal(stream, io.StringIO(), environment, output=output, quiet=False)
    terminal.show({"a": ["ü"]}, *PARTS)
    return stream.getvalue()


def test_plain_where_nobody_looks() -> None:
    assert shown(io.StringIO()) == (
        "name: well\ncount: 3\n\nPROVIDER\tTIMES\nproviders/a\t1\n[bold]providers/b\t20\n"
    )


def test_json_is_the_same_on_a_terminal() -> None:
    assert shown(io.StringIO(), OutputFormat.JSON) == shown(Screen(), OutputFormat.JSON)
    assert json.loads(shown(io.StringIO(), OutputFormat.JSON)) == {"a": ["ü"]}


def test_a_table_on_a_terminal_does_not_interpret_values() -> None:
    text = shown(Screen(), TERM="xterm-256color", COLUMNS="80")
    assert "\x1b[32mwell" in text
    assert "[bold]providers/b" in re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_no_color() -> None:
    text = shown(Screen(), TERM="xterm-256color", COLUMNS="80", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", text)


def test_data_and_talk_go_apart() -> None:
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal(out, err, {}, output=OutputFormat.TABLE, quiet=False)
    terminal.say("talk")
    assert (out.getvalue(), err.getvalue()) == ("", "talk\n")


class TestYaml:
    @pytest.mark.parametrize(
        ("data", "lines"),
        [
            ([], ["[]"]),
            ({}, ["{}"]),
            ({"a": [], "b": {}}, ["a: []", "b: {}"]),
            ({"a": {"b": 1, "c": None}}, ["a:", "  b: 1", "  c: null"]),
            ({"a": [1, "x"]}, ["a:", "- 1", "- x"]),
            ([{"a": 1, "b": [2]}, "x"], ["- a: 1", "  b:", "  - 2", "- x"]),
            ({"yes": "no", "n": "1", "t": True}, ['"yes": "no"', '"n": "1"', "t: true"]),
            ({"a": "b: c", "d": " e", "f": "- g"}, ['a: "b: c"', 'd: " e"', 'f: "- g"']),
            ({"a": "line\nline", "b": "ü", "c": ""}, ['a: "line\\nline"', 'b: "ü"', 'c: ""']),
            ({"a": "providers/x", "b": "2026-04-15"}, ["a: providers/x", 'b: "2026-04-15"']),
        ],
    )
    def test_lines(self, data: Any, lines: list[str]) -> None:
        assert yaml_lines(data) == lines


class TestNames:
    def test_of_what_has_none(self) -> None:
        with pytest.raises(UsageFailure, match="has no names"):
            shown(io.StringIO(), OutputFormat.NAME)
