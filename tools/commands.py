"""Write the table of commands in docs/cli.md from the commands themselves: `python -m tools.commands`.

With --check nothing is written, and a table that is out of date fails.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from cli.line.command import Argument, Command, Group, Option, Takes, commands
from cli.line.help import explained, term
from cli.line.shared import EVERYWHERE
from cli.nouns.root import ROOT as COMMANDS
from tools.steps import ROOT, StepFailed, main_of

PAGE = ROOT / "docs" / "cli.md"
START = "<!-- commands: written by `make commands` -->"
END = "<!-- end of commands -->"


def tables() -> str:
    """Return a table for each noun, one for the other commands, and one of the options that all take."""
    parts = []
    groups = [each for each in COMMANDS.members if isinstance(each, Group)]
    for group in groups:
        parts.append(f"### {group.name}\n{group.help}\n\n" + "\n".join(_rows(group, (group.name,))))
    others = Group("", "", tuple(each for each in COMMANDS.members if isinstance(each, Command)))
    parts.append("### Others\n" + "\n".join(_rows(others, ())))
    shared = ["| Option of every command | |", "| --- | --- |"]
    shared += [f"| `{term(option)}` | {_escaped(explained(option))} |" for option in EVERYWHERE]
    parts.append("\n".join(shared))
    return "\n\n".join(parts)


def page(text: str) -> str:
    """Return the page with its tables renewed.

    Raises:
        StepFailed: the page has no place for them.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise StepFailed(f"docs/cli.md must have the lines {START} and {END}.")
    return f"{before}{START}\n{tables()}\n{END}{after}"


def main(*, check: bool) -> None:
    """Renew the page; with ``check`` only compare.

    Raises:
        StepFailed: ``check`` finds another table.
    """
    text = PAGE.read_text()
    if page(text) == text:
        return
    if check:
        raise StepFailed("docs/cli.md is out of date: run `make commands` and commit it.")
    PAGE.write_text(page(text))


def _rows(group: Group, path: tuple[str, ...]) -> Iterator[str]:
    yield "| Command | Does | Options |"
    yield "| --- | --- | --- |"
    for words, command in commands(group, path):
        if command.hidden:
            continue
        name = " ".join((*words, *map(_argument, command.arguments)))
        options = [_option(option) for option in command.options if not option.refused]
        yield f"| `{name}` | {_escaped(command.help)} | {', '.join(options)} |"


def _argument(argument: Argument) -> str:
    name = f"{argument.name}…" if argument.takes is Takes.TEXTS else argument.name
    return name if argument.required else f"[{name}]"


def _option(option: Option) -> str:
    value = "" if option.takes is Takes.NOTHING else f" {option.value or 'TEXT'}"
    return f"`--{option.name}{value}`"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if the table is out of date"
    )
    arguments = parser.parse_args()
    sys.exit(main_of(lambda: main(check=arguments.check)))
