"""Progress on stderr: a bar with counts, rate and time left on a terminal, else at most a line a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from cli.terminal.output import Terminal

LINE_SECONDS = 1.0
_BAR_SECONDS = 0.1
_BAR_CELLS = 24


class Meter(Protocol):
    """Where work reports its progress."""

    def update(self, done: int, total: int) -> None:
        """Report ``done`` of ``total``; both may go up and down, as others work on the same rows."""


class _Pace:
    """Rate and time left since the first update."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._started: tuple[float, int] | None = None

    def at(self, done: int, total: int) -> tuple[str, str]:
        """Return rate and time left as text; empty while they are unknown."""
        now = self._monotonic()
        if self._started is None:
            self._started = (now, done)
        seconds, moved = now - self._started[0], done - self._started[1]
        if seconds <= 0 or moved <= 0:
            return "", ""
        rate = moved / seconds
        return f"{rate:,.0f}/s", f"{duration((total - done) / rate)} left"


class _Bar:
    """One line that is drawn over and over; it stays when the work ends."""

    def __init__(self, terminal: Terminal, title: str, monotonic: Callable[[], float]) -> None:
        self._stream = terminal.stderr
        self._title = title
        self._monotonic = monotonic
        self._pace = _Pace(monotonic)
        self._drawn_at = -_BAR_SECONDS
        self._line = ""

    def update(self, done: int, total: int) -> None:
        rate, left = self._pace.at(done, total)
        part = done / total if total else 1.0
        filled = round(min(1.0, part) * _BAR_CELLS)
        words = [
            f"{self._title} [{'#' * filled}{'.' * (_BAR_CELLS - filled)}] {part:4.0%}",
            f"{done:,} of {total:,}",
        ]
        self._line = ", ".join([*words, *(each for each in (rate, left) if each and done < total)])
        if self._monotonic() >= self._drawn_at + _BAR_SECONDS:
            self._draw()

    def close(self) -> None:
        """Draw the last state, and end the line."""
        self._draw()
        print(file=self._stream, flush=True)

    def _draw(self) -> None:
        # To the line's start, the new text, and away with the rest of the old one.
        print(f"\r{self._line}\x1b[K", end="", file=self._stream, flush=True)
        self._drawn_at = self._monotonic()


class _Lines:
    def __init__(self, terminal: Terminal, title: str, monotonic: Callable[[], float]) -> None:
        self._terminal = terminal
        self._title = title
        self._monotonic = monotonic
        self._pace = _Pace(monotonic)
        self._said_at = -LINE_SECONDS
        self._last = (0, 0)
        self._said = (-1, -1)

    def update(self, done: int, total: int) -> None:
        self._last = (done, total)
        if self._monotonic() >= self._said_at + LINE_SECONDS:
            self._say()

    def close(self) -> None:
        """Say the last state unless it was said."""
        if self._said != self._last:
            self._say()

    def _say(self) -> None:
        done, total = self._last
        rest = [text for text in self._pace.at(done, total) if text and done < total]
        self._terminal.say(", ".join([f"{self._title}: {done} of {total} data keys", *rest]))
        self._said_at = self._monotonic()
        self._said = self._last


class _Silence:
    def update(self, done: int, total: int) -> None:
        """Say nothing."""


@contextmanager
def progress(terminal: Terminal, title: str, monotonic: Callable[[], float]) -> Iterator[Meter]:
    """Yield a meter on stderr."""
    if terminal.quiet:
        yield _Silence()
        return
    kind = _Bar if terminal.fancy_err else _Lines
    meter = kind(terminal, title, monotonic)
    try:
        yield meter
    finally:
        meter.close()


def duration(seconds: float) -> str:
    """Return ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
