"""Data on stdout as a table, as plain lines where nobody looks, or as JSON; talk on stderr."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text


class OutputFormat(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"


class Tone(Enum):
    """What a word means, so that colour never says anything that the word does not."""

    PLAIN = ""
    GOOD = "green"
    WARNING = "yellow"
    BAD = "bold red"
    QUIET = "dim"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text with a tone."""

    text: str
    tone: Tone = Tone.PLAIN


Value = str | int | Cell


@dataclass(frozen=True, slots=True)
class Section:
    """Rows under a title and column names."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    pairs: Sequence[tuple[str, Value]]


class Terminal:
    """Two streams and what may be done to them."""

    def __init__(
        self,
        stdout: TextIO,
        stderr: TextIO,
        environment: Mapping[str, str],
        *,
        output: OutputFormat,
        quiet: bool,
    ) -> None:
        self.output = output
        self.quiet = quiet
        self._stdout = stdout
        self._dumb = environment.get("TERM") == "dumb"
        self.out = _console(stdout, environment)
        self.err = _console(stderr, environment)
        self.fancy_out = stdout.isatty() and not self._dumb
        self.fancy_err = stderr.isatty() and not self._dumb
        self._stderr = stderr

    def say(self, sentence: str, tone: Tone = Tone.PLAIN) -> None:
        """Talk; silent where quiet was asked for."""
        if not self.quiet:
            self.complain(sentence, tone)

    def complain(self, sentence: str, tone: Tone = Tone.PLAIN) -> None:
        """Talk that quiet does not silence."""
        if self.fancy_err:
            self.err.print(Text(sentence, style=tone.value))
        else:
            print(sentence, file=self._stderr, flush=True)

    def show(self, data: Any, *parts: Section | Facts) -> None:
        """``data`` as JSON, or ``parts`` as tables or plain lines."""
        if self.output is OutputFormat.JSON:
            print(json.dumps(data, indent=2, ensure_ascii=False), file=self._stdout, flush=True)
            return
        for index, part in enumerate(parts):
            if index:
                print(file=self._stdout)
            if self.fancy_out:
                self.out.print(_facts_table(part) if isinstance(part, Facts) else _rows_table(part))
            else:
                self._print_plain(part)
        self._stdout.flush()

    def _print_plain(self, part: Section | Facts) -> None:
        if isinstance(part, Facts):
            lines = [f"{name}: {_text(value)}" for name, value in part.pairs]
        else:
            lines = [f"{part.title}:"] if part.title else []
            lines += ["\t".join(name.upper() for name in part.columns)]
            lines += ["\t".join(_text(value) for value in row) for row in part.rows]
        print(*lines, sep="\n", file=self._stdout)


def _console(stream: TextIO, environment: Mapping[str, str]) -> Console:
    return Console(file=stream, highlight=False, markup=False, emoji=False, _environ=environment)


def _text(value: Value) -> str:
    return value.text if isinstance(value, Cell) else str(value)


def _rich(value: Value) -> Text:
    return Text(_text(value), style=value.tone.value if isinstance(value, Cell) else "")


def _rows_table(section: Section) -> Table:
    table = Table(
        title=section.title or None, title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    for index, name in enumerate(section.columns):
        numeric = bool(section.rows) and all(isinstance(row[index], int) for row in section.rows)
        table.add_column(
            name, header_style="dim", justify="right" if numeric else "left", overflow="fold", no_wrap=False
        )
    for row in section.rows:
        table.add_row(*(_rich(value) for value in row))
    return table


def _facts_table(facts: Facts) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.pairs:
        table.add_row(name, _rich(value))
    return table
