"""Reads a command line. Options may stand anywhere on it, before the command as well as after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cli.failures import UsageFailure
from cli.line.command import Argument, Command, Group, Option, Takes, Value, commands
from cli.line.shared import EVERYWHERE, HELP, VERSION


@dataclass(frozen=True, slots=True)
class Line:
    """What was typed. ``target`` is a group where the line ends before a command is named."""

    path: tuple[str, ...]
    target: Command | Group
    values: Mapping[str, Value] = field(default_factory=dict)
    wants_help: bool = False
    wants_version: bool = False


@dataclass(slots=True)
class _Split:
    """A line taken apart: the words in order, and each option with its value."""

    words: list[str] = field(default_factory=list)
    options: list[tuple[Option, str | None]] = field(default_factory=list)


def options_of(target: Command | Group) -> tuple[Option, ...]:
    """Return every option that the command takes, its own first."""
    own = target.options if isinstance(target, Command) else ()
    return (*own, *EVERYWHERE, VERSION)


def parse(root: Group, words: Sequence[str]) -> Line:
    """Read the line.

    Raises:
        UsageFailure: it names no command or option of ours, or a value is missing or of the wrong kind.
    """
    path, target = find(root, words)
    split = _take_apart(words, options_of(target), path)
    given = {option for option, _ in split.options}
    rest = split.words[len(path) :]
    if HELP in given or VERSION in given:
        return Line(path, target, wants_help=HELP in given, wants_version=VERSION in given)
    if isinstance(target, Group):
        if rest:
            raise UsageFailure(_unknown_word(rest[0], path, target))
        return Line(path, target, wants_help=True)
    values = _option_values(split.options, target)
    values |= _argument_values(rest, target, path)
    return Line(path, target, values)


def find(root: Group, words: Sequence[str]) -> tuple[tuple[str, ...], Command | Group]:
    """Return the command or group that the words name, and those words."""
    taking = _all_flags(root)
    path: tuple[str, ...] = ()
    target: Command | Group = root
    waiting = iter(words)
    for typed in waiting:
        if typed == "--":
            break
        if typed.startswith("-") and typed != "-":
            if "=" not in typed and taking.get(typed, False):
                next(waiting, None)
            continue
        member = target.member(typed) if isinstance(target, Group) else None
        if member is None:
            break
        path, target = (*path, typed), member
    return path, target


def _all_flags(root: Group) -> dict[str, bool]:
    """Return whether each flag of any command takes a value. One flag never means two things in this."""
    everything = [option for _, command in commands(root) for option in command.options]
    return {
        flag: option.takes is not Takes.NOTHING
        for option in (*everything, *EVERYWHERE, VERSION)
        for flag in option.flags
    }


def _take_apart(words: Sequence[str], options: Iterable[Option], path: Sequence[str]) -> _Split:
    by_flag = {flag: option for option in options for flag in option.flags}
    split = _Split()
    waiting = iter(words)
    for typed in waiting:
        if typed == "--":
            split.words += waiting
        elif typed.startswith("--") or (typed.startswith("-") and typed != "-"):
            for flag, attached in _flags(typed, by_flag):
                option = by_flag.get(flag)
                if option is None:
                    raise UsageFailure(_unknown_flag(flag, by_flag, path))
                if option.refused:
                    raise UsageFailure(f"{flag}: {option.refused}")
                split.options.append((option, _value(option, flag, attached, waiting)))
        else:
            split.words.append(typed)
    return split


def _flags(typed: str, by_flag: Mapping[str, Option]) -> Iterable[tuple[str, str | None]]:
    """Yield the flags of a typed with what is attached: ``--name=value``, ``-oname``, ``-qv``."""
    if typed.startswith("--"):
        flag, equals, value = typed.partition("=")
        yield flag, value if equals else None
        return
    letters = typed[1:]
    while letters:
        flag, letters = f"-{letters[0]}", letters[1:]
        option = by_flag.get(flag)
        if letters and option is not None and option.takes is not Takes.NOTHING:
            yield flag, letters.removeprefix("=")
            return
        yield flag, None


def _value(option: Option, flag: str, attached: str | None, waiting: Iterable[str]) -> str | None:
    if option.takes is Takes.NOTHING:
        if attached is not None:
            raise UsageFailure(f"{flag} takes no value")
        return None
    if attached is not None:
        return attached
    for typed in waiting:
        return typed
    raise UsageFailure(f"{flag} needs a value: {option.help}")


def _option_values(given: Sequence[tuple[Option, str | None]], target: Command) -> dict[str, Value]:
    taken = [each for each in (*target.options, *EVERYWHERE) if each is not HELP and not each.refused]
    values = {option.key: _default(option) for option in taken}
    repeated: dict[str, list[str]] = {}
    for option, text in given:
        if option.takes is Takes.TEXTS:
            values[option.key] = repeated.setdefault(option.key, [])
            repeated[option.key].append(text or "")
        else:
            values[option.key] = _converted(option, f"--{option.name}", text)
    missing = [option for option in target.options if option.required and not values[option.key]]
    if missing:
        raise UsageFailure(f"--{missing[0].name} is missing: {missing[0].help}")
    return values


def _default(option: Option) -> Value:
    if option.default is not None:
        return option.default
    empty: Mapping[Takes, Value] = {Takes.NOTHING: False, Takes.TEXT: ""}
    return [] if option.takes is Takes.TEXTS else empty.get(option.takes)


def _converted(taker: Option | Argument, title: str, text: str | None) -> Value:
    if text is None:
        return True
    if taker.choices and text not in taker.choices:
        raise UsageFailure(f"{title}: {text!r} is not one of {', '.join(taker.choices)}")
    if taker.takes is Takes.PATH:
        return Path(text)
    if taker.takes is Takes.NUMBER:
        least = taker.least if isinstance(taker, Option) else None
        if not text.isascii() or not text.isdigit() or (least is not None and int(text) < least):
            raise UsageFailure(f"{title}: {text!r} is not a whole number of {least or 0} or more")
        return int(text)
    return text


def _argument_values(words: Sequence[str], command: Command, path: Sequence[str]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    waiting = list(words)
    usage = f"see `providerctl {' '.join(path)} --help`"
    for argument in command.arguments:
        if argument.takes is Takes.TEXTS:
            values[argument.key], waiting = waiting, []
            if argument.required and not values[argument.key]:
                raise UsageFailure(f"{argument.name} is missing: {usage}")
        elif waiting:
            values[argument.key] = _converted(argument, argument.name, waiting.pop(0))
        elif argument.required:
            raise UsageFailure(f"{argument.name} is missing: {usage}")
        else:
            values[argument.key] = None if argument.takes is Takes.PATH else ""
    if waiting:
        # Not quoted: it may be a secret that was typed in the wrong place.
        raise UsageFailure(f"too many arguments: {usage}")
    return values


def _unknown_word(word: str, path: Sequence[str], group: Group) -> str:
    names = [member.name for member in group.members]
    near = _near(word, names)
    hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(names)}"
    return f"there is no command {' '.join((*path, word))!r}: {hint}"


def _unknown_flag(flag: str, known: Mapping[str, Option], path: Sequence[str]) -> str:
    near = _near(flag, [each for each, option in known.items() if not option.refused])
    hint = f"did you mean {near[0]}?" if near else f"see `providerctl {' '.join((*path, '--help'))}`"
    return f"there is no option {flag}: {hint}"


def _near(word: str, known: Sequence[str]) -> list[str]:
    from difflib import get_close_matches  # for mistakes alone

    return get_close_matches(word, known, n=1)
