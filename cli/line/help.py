"""What ``--help`` prints: whole sentences, wrapped at the terminal's width and never cut."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from cli.line.command import Argument, Command, Group, Option, Takes
from cli.line.shared import COMMON, CONNECTION, HELP, VERSION

PROGRAM = "providerctl"
EXIT_CODES = "Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 not allowed, 5 conflict, 6 unavailable."

_NARROWEST, _WIDEST = 40, 110
_LONGEST_TERM = 30


def text(path: Sequence[str], target: Command | Group, *, width: int) -> str:
    """Return the help of a command or group."""
    return "\n".join(_lines(path, target, max(_NARROWEST, min(width, _WIDEST)))) + "\n"


def usage(path: Sequence[str], target: Command | Group) -> str:
    """Return how it is called, in one line."""
    words = [PROGRAM, *path]
    if isinstance(target, Group):
        return " ".join([*words, "COMMAND"])
    words += [_shown(argument) for argument in target.arguments]
    return " ".join([*words, "[OPTIONS]"])


def term(option: Option) -> str:
    """Return the option as it is typed: ``-o, --output FORMAT``."""
    value = "" if option.takes is Takes.NOTHING else f" {option.value or 'TEXT'}"
    return f"{', '.join(option.flags)}{value}"


def explained(option: Option) -> str:
    """Return its sentence, with the choices and the default."""
    parts = [option.help]
    if option.choices:
        parts.append(f"One of {', '.join(option.choices)}.")
    if option.takes is Takes.TEXTS:
        parts.append("May be repeated.")
    if option.default not in (None, "", False):
        parts.append(f"Default: {option.default}.")
    return " ".join(parts)


def _lines(path: Sequence[str], target: Command | Group, width: int) -> Iterator[str]:
    yield f"Usage: {usage(path, target)}"
    yield ""
    yield from textwrap.wrap(target.help, width)
    if isinstance(target, Group):
        yield from _terms("Commands", list(_members(target)), width)
        yield from _options("Options", (HELP, VERSION) if not path else (HELP,), width)
        if not path:
            yield ""
            yield from textwrap.wrap(
                f"Options may stand anywhere on the line. `{PROGRAM} COMMAND --help` explains a command.",
                width,
            )
            yield EXIT_CODES
        return
    for paragraph in target.more.split("\n\n") if target.more else ():
        yield ""
        yield from textwrap.wrap(paragraph, width)
    arguments = [(argument.name, argument.help) for argument in target.arguments]
    yield from _terms("Arguments", arguments, width)
    yield from _options("Options", [option for option in target.options if not option.refused], width)
    yield from _options("Options of every command", COMMON, width)
    yield from _options("Connection", CONNECTION, width)


def _members(group: Group) -> Iterator[tuple[str, str]]:
    for member in group.members:
        if not (isinstance(member, Command) and member.hidden):
            yield member.name, member.help


def _options(title: str, options: Sequence[Option], width: int) -> Iterator[str]:
    return _terms(title, [(term(option), explained(option)) for option in options], width)


def _terms(title: str, pairs: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """Yield a heading and two columns; a term too long for its column has a line of its own."""
    if not pairs:
        return
    yield ""
    yield f"{title}:"
    column = 2 + min(_LONGEST_TERM, max(len(name) for name, _ in pairs)) + 2
    for name, sentence in pairs:
        wrapped = textwrap.wrap(sentence, max(20, width - column)) or [""]
        if len(name) + 4 > column:
            yield f"  {name}"
        else:
            yield f"{f'  {name}':<{column}}{wrapped.pop(0)}".rstrip()
        yield from (" " * column + line for line in wrapped)


def _shown(argument: Argument) -> str:
    name = f"{argument.name}…" if argument.takes is Takes.TEXTS else argument.name
    return name if argument.required else f"[{name}]"
