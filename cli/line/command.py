"""A command, its arguments and options, and the groups that they stand in."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from keyword import iskeyword
from pathlib import Path

Value = str | int | bool | Path | list[str] | None


class Takes(Enum):
    """What an option or argument takes, and so what its parsed value is."""

    NOTHING = "nothing"
    """A switch: ``bool``."""
    TEXT = "text"
    """``str``; empty if it is not given."""
    NUMBER = "number"
    """``int``; None if it is not given and has no default."""
    PATH = "path"
    """``Path``; None if it is not given."""
    TEXTS = "texts"
    """It may be repeated: ``list[str]``."""


class Completes(Enum):
    """What the shell offers for a value, beside fixed choices."""

    NOTHING = ""
    FILES = "files"
    PROVIDERS = "providers"
    PROVIDER_MODELS = "provider models"
    MODELS = "models"
    CATALOGS = "catalogs"
    KINDS = "kinds"
    KEY_VERSIONS = "key versions"


@dataclass(frozen=True, slots=True)
class Option:
    """``name`` is typed with two dashes, ``short`` with one. ``value`` is the placeholder in the help."""

    name: str
    help: str
    takes: Takes = Takes.TEXT
    value: str = ""
    short: str = ""
    default: Value = None
    choices: tuple[str, ...] = ()
    least: int | None = None
    required: bool = False
    completes: Completes = Completes.NOTHING
    refused: str = ""
    """Why the option is not accepted, with what to use instead. Such an option is hidden."""

    @property
    def flags(self) -> tuple[str, ...]:
        """The spellings, the short one first."""
        return (f"-{self.short}", f"--{self.name}") if self.short else (f"--{self.name}",)

    @property
    def key(self) -> str:
        """The parameter that takes the value."""
        return _key(self.name)


@dataclass(frozen=True, slots=True)
class Argument:
    """A word whose place decides what it is. With ``Takes.TEXTS`` it takes all that remain."""

    name: str
    help: str
    takes: Takes = Takes.TEXT
    required: bool = True
    choices: tuple[str, ...] = ()
    completes: Completes = Completes.NOTHING

    @property
    def key(self) -> str:
        """The parameter that takes the value."""
        return _key(self.name.lower())


@dataclass(frozen=True, slots=True)
class Command:
    """``work`` is where its function is, as ``module:function``: imported only to run it.

    The function takes the session, and each argument and option by its key.
    """

    name: str
    help: str
    work: str
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    more: str = ""
    """Further paragraphs of its own help."""
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Commands and groups under one word."""

    name: str
    help: str
    members: tuple[Command | Group, ...] = field(default=())

    def member(self, name: str) -> Command | Group | None:
        """Return the command or group of that name."""
        return next((each for each in self.members if each.name == name), None)


def takers(command: Command) -> tuple[Argument | Option, ...]:
    """Return what its function takes: its arguments, and its options but for refused ones."""
    return (*command.arguments, *(option for option in command.options if not option.refused))


def commands(group: Group, path: Sequence[str] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    """Yield every command below ``group`` with the words that lead to it."""
    for member in group.members:
        here = (*path, member.name)
        if isinstance(member, Group):
            yield from commands(member, here)
        else:
            yield here, member


def _key(name: str) -> str:
    """Return ``provider_id`` of ``provider-id``, and ``all_`` of ``all``: parameters hide no builtin or
    keyword."""
    key = name.replace("-", "_")
    return f"{key}_" if iskeyword(key) or hasattr(builtins, key) else key
