"""How far something is: a bar with counts, rate and time left on a terminal, else a line a second at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, Progress, TextColumn

from cli.terminal.output import Terminal

LINE_SECONDS = 1.0


class Meter(Protocol):
    """Where work tells how far it is."""

    def update(self, done: int, total: int) -> None:
        """``done`` of ``total``; both may change either way, as others work on the same rows."""


class _Pace:
    """Rate and time left, from the first update on."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._started: tuple[float, int] | None = None

    def at(self, done: int, total: int) -> tuple[str, str]:
        """What to print for rate and time left; empty texts while neither is known."""
        now = self._monotonic()
        if self._started is None:
            self._started = (now, done)
        seconds, moved = now - self._started[0], done - self._started[1]
        if seconds <= 0 or moved <= 0:
            return "", ""
        rate = moved / seconds
        return f"{rate:,.0f}/s", f"{duration((total - done) / rate)} left"


class _Bar:
    def __init__(self, progress: Progress, title: str, pace: _Pace) -> None:
        self._progress = progress
        self._pace = pace
        self._task = progress.add_task(title, total=None, counts="", rate="", left="")

    def update(self, done: int, total: int) -> None:
        rate, left = self._pace.at(done, total)
        self._progress.update(
            self._task,
            completed=done if total else 1,
            total=total or 1,
            counts=f"{done:,} of {total:,}",
            rate=rate,
            left="" if done >= total else left,
        )


class _Lines:
    def __init__(self, terminal: Terminal, title: str, monotonic: Callable[[], float]) -> None:
        self._terminal = terminal
        self._title = title
        self._monotonic = monotonic
        self._pace = _Pace(monotonic)
        self._said_at = -LINE_SECONDS
        self._last = (0, 0)
        self._told = (-1, -1)

    def update(self, done: int, total: int) -> None:
        self._last = (done, total)
        if self._monotonic() >= self._said_at + LINE_SECONDS:
            self._say()

    def close(self) -> None:
        """The last state is always told."""
        if self._told != self._last:
            self._say()

    def _say(self) -> None:
        done, total = self._last
        rest = [text for text in self._pace.at(done, total) if text and done < total]
        self._terminal.say(", ".join([f"{self._title}: {done} of {total} data keys", *rest]))
        self._said_at = self._monotonic()
        self._told = self._last


class _Silence:
    def update(self, done: int, total: int) -> None:
        """Says nothing."""


@contextmanager
def progress(terminal: Terminal, title: str, monotonic: Callable[[], float]) -> Iterator[Meter]:
    """A meter on stderr until the block ends."""
    if terminal.quiet:
        yield _Silence()
    elif terminal.fancy_err:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None, complete_style="cyan", finished_style="green"),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[counts]}", markup=False),
            TextColumn("{task.fields[rate]}", markup=False),
            TextColumn("{task.fields[left]}", markup=False),
        )
        with Progress(*columns, console=terminal.err) as bar:
            yield _Bar(bar, title, _Pace(monotonic))
    else:
        lines = _Lines(terminal, title, monotonic)
        try:
            yield lines
        finally:
            lines.close()


def duration(seconds: float) -> str:
    """``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
