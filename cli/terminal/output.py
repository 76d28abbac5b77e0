"""Data on stdout as tables, plain lines or documents; messages for people on stderr."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TextIO

from cli.failures import UsageFailure
from cli.terminal import tables
from cli.terminal.tables import Cell, Column, Tone, Value


class OutputFormat(StrEnum):
    """How data is printed."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    JSONL = "jsonl"
    YAML = "yaml"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Section:
    """Rows under a title and column names."""

    title: str
    columns: Sequence[str | Column]
    rows: Sequence[Sequence[Value]]


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    pairs: Sequence[tuple[str, Value]]


class Terminal:
    """The two streams, and what each can show."""

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
        self.stderr = stderr
        dumb = environment.get("TERM") == "dumb"
        colour = not environment.get("NO_COLOR")
        self._columns = environment.get("COLUMNS", "")
        self.fancy_out = stdout.isatty() and not dumb
        self.fancy_err = stderr.isatty() and not dumb
        self._colour_out = self.fancy_out and colour
        self._colour_err = self.fancy_err and colour

    def say(self, sentence: str, tone: Tone = Tone.PLAIN) -> None:
        """Print a message, unless quiet was asked for."""
        if not self.quiet:
            self.complain(sentence, tone)

    def complain(self, sentence: str, tone: Tone = Tone.PLAIN) -> None:
        """Print a message that quiet does not silence."""
        print(
            tables.painted(tables.printable(sentence), tone, colour=self._colour_err),
            file=self.stderr,
            flush=True,
        )

    def show(self, data: Any, *parts: Section | Facts, names: Sequence[str] | None = None) -> None:
        """Print ``data`` as JSON or YAML, ``names`` a line each, or ``parts`` as tables or plain lines.

        ``names`` defaults to the ``name`` of each item of ``data``.

        Raises:
            UsageFailure: names are asked for, and what is shown has none.
        """
        if self.output in (OutputFormat.TABLE, OutputFormat.WIDE):
            for index, part in enumerate(parts):
                if index:
                    print(file=self._stdout)
                print(*self._lines(part), sep="\n", file=self._stdout)
        else:
            self._print_document(data, names)
        self._stdout.flush()

    def show_aside(self, part: Section | Facts) -> None:
        """Print a part on stderr, for somebody who has to decide."""
        print(*self._plain(part), sep="\n", file=self.stderr, flush=True)

    def stream(self, data: Any, line: str, name: str) -> None:
        """Print one of many items, as it comes: a JSON line, a YAML document, a name, or ``line``."""
        if self.output in (OutputFormat.JSON, OutputFormat.JSONL):
            print(_json_line(data), file=self._stdout)
        elif self.output is OutputFormat.YAML:
            print("---", *yaml_lines(data), sep="\n", file=self._stdout)
        else:
            print(name if self.output is OutputFormat.NAME else tables.printable(line), file=self._stdout)
        self._stdout.flush()

    def _print_document(self, data: Any, names: Sequence[str] | None) -> None:
        if self.output is OutputFormat.JSON:
            lines: Iterable[str] = [json.dumps(data, indent=2, ensure_ascii=False)]
        elif self.output is OutputFormat.JSONL:
            lines = [_json_line(each) for each in (data if isinstance(data, list) else [data])]
        elif self.output is OutputFormat.YAML:
            lines = yaml_lines(data)
        else:
            lines = _names(data) if names is None else names
        for line in lines:
            print(line, file=self._stdout)

    def _lines(self, part: Section | Facts) -> list[str]:
        if isinstance(part, Facts):
            if not self.fancy_out:
                return self._plain(part)
            return tables.facts(part.pairs, colour=self._colour_out)
        # What comes first identifies the row.
        columns = [
            Column(each, whole=index == 0) if isinstance(each, str) else each
            for index, each in enumerate(part.columns)
        ]
        if not self.fancy_out:
            return self._plain(part)
        lines = [tables.painted(part.title, Tone.TITLE, colour=self._colour_out)] if part.title else []
        width = None if self.output is OutputFormat.WIDE else self._width()
        return lines + tables.rows(columns, part.rows, width=width, colour=self._colour_out)

    def _plain(self, part: Section | Facts) -> list[str]:
        if isinstance(part, Facts):
            return [f"{name}: {tables.text(value)}" for name, value in part.pairs]
        names = [each if isinstance(each, str) else each.name for each in part.columns]
        return [
            *([f"{part.title}:"] if part.title else []),
            "\t".join(name.upper() for name in names),
            *("\t".join(tables.text(value) for value in row) for row in part.rows),
        ]

    def _width(self) -> int:
        if self._columns.isdigit():
            return int(self._columns)
        try:
            return os.get_terminal_size(self._stdout.fileno()).columns
        except (OSError, ValueError):
            return 80


def yaml_lines(data: Any, indent: str = "") -> list[str]:
    """Return ``data`` as the lines of a YAML document. Strings are plain only where no reader could mistake
    them."""
    if isinstance(data, Mapping) and data:
        lines = []
        for key, value in data.items():
            lines += _yaml_item(f"{indent}{_yaml_scalar(key)}:", value, indent, deeper="  ")
        return lines
    if isinstance(data, list) and data:
        lines = []
        for value in data:
            inner = yaml_lines(value, f"{indent}  ")
            lines += [f"{indent}- {inner[0].lstrip()}", *inner[1:]]
        return lines
    return [f"{indent}{_yaml_scalar(data)}"]


def _yaml_item(head: str, value: Any, indent: str, *, deeper: str) -> list[str]:
    if isinstance(value, (Mapping, list)) and value:
        return [head, *yaml_lines(value, indent if isinstance(value, list) else indent + deeper)]
    return [f"{head} {_yaml_scalar(value)}"]


_YAML_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_YAML_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def _yaml_scalar(value: Any) -> str:
    if isinstance(value, str) and _YAML_PLAIN.fullmatch(value) and value.lower() not in _YAML_WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def _json_line(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _names(data: Any) -> list[str]:
    items = data if isinstance(data, list) else [data]
    try:
        return [item["name"] for item in items]
    except (KeyError, TypeError):
        raise UsageFailure("-o name: what this command prints has no names; choose another format") from None


__all__ = ["Cell", "Column", "Facts", "OutputFormat", "Section", "Terminal", "Tone", "Value"]
