"""A bar where somebody looks, a line a second at most elsewhere."""

from __future__ import annotations

import io
import re

import pytest

from cli.terminal.output import OutputFormat, Terminal
from cli.terminal.progress import duration, progress
from tests.support.doubles.cli_doubles import Clock


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(stream: io.StringIO, *, quiet: bool = False, **environment: str) -> str:
    """A thousand updates within ten seconds."""
    clock = Clock()
    terminal = Terminal(io.StringIO(), stream, environment, output=OutputFormat.TABLE, quiet=quiet)
    with progress(terminal, "rewrap", clock.monotonic) as meter:
        for done in range(0, 5001, 5):
            meter.update(done, 5000)
            clock.elapsed += 0.01
    return stream.getvalue()


class TestPlainLines:
    def test_one_a_second_at_most_and_the_end(self) -> None:
        lines = run(io.StringIO()).splitlines()
        assert 10 <= len(lines) <= 12
        assert lines[0] == "rewrap: 0 of 5000 data keys"
        assert lines[2] == "rewrap: 1000 of 5000 data keys, 500/s, 8 s left"
        assert lines[-1] == "rewrap: 5000 of 5000 data keys"

    def test_no_escapes(self) -> None:
        assert "\x1b" not in run(io.StringIO())

    def test_on_a_dumb_terminal_too(self) -> None:
        assert "\x1b" not in run(Screen(), TERM="dumb")

    def test_quiet(self) -> None:
        assert run(io.StringIO(), quiet=True) == ""


class TestBar:
    def test_has_counts_rate_and_time_left(self) -> None:
        shown = run(Screen(), TERM="xterm-256color", COLUMNS="100")
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
        assert text.endswith("rewrap [########################] 100%, 5,000 of 5,000\n")
        assert "500/s" in text
        assert "100%" in text

    def test_no_color(self) -> None:
        shown = run(Screen(), TERM="xterm-256color", COLUMNS="100", NO_COLOR="1")
        assert not re.search(r"\x1b\[[0-9;]*m", shown)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (0.4, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3599.9, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
