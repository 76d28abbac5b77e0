"""How a resource is shown: the columns of its lists, and any field of its message as one more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from cli.failures import UsageFailure
from cli.messages import as_json
from cli.session import Session
from cli.terminal.output import Cell, Column, Facts, OutputFormat, Section, Tone, Value
from cli.times import shown

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Field(Generic[M]):
    """One column. ``wide`` ones are shown by ``-o wide`` alone; ``whole`` ones are never cut."""

    name: str
    value: Callable[[M], Value]
    whole: bool = False
    wide: bool = False


@dataclass(frozen=True, slots=True)
class View(Generic[M]):
    """The fields of a resource, in order. ``message`` is its type."""

    message: type[M]
    fields: tuple[Field[M], ...]

    def section(self, messages: Sequence[M], columns: str, *, wide: bool, title: str = "") -> Section:
        """Return a table with the usual columns, or with those that are named, separated by commas.

        Raises:
            UsageFailure: a column is named that the resource does not have.
        """
        fields = self._named(columns) if columns else [each for each in self.fields if wide or not each.wide]
        return Section(
            title,
            [Column(field.name, whole=field.whole) for field in fields],
            [[field.value(message) for field in fields] for message in messages],
        )

    def facts(self, message: M) -> Facts:
        """Return every field that has a value, one below the other."""
        pairs = [(field.name, field.value(message)) for field in self.fields]
        return Facts([(name, value) for name, value in pairs if value != ""])

    def _named(self, columns: str) -> list[Field[M]]:
        known = {field.name.replace(" ", "_"): field for field in self.fields}
        return [known.get(name) or self._path(name) for name in columns.split(",")]

    def _path(self, path: str) -> Field[M]:
        """Return the field of the message at a path such as ``labels.team`` or ``credential.prefix``."""
        if path.split(".")[0] not in self.message.DESCRIPTOR.fields_by_name:
            names = ", ".join(field.name.replace(" ", "_") for field in self.fields)
            raise UsageFailure(
                f"--columns: there is no column {path!r}: use {names}, or a field of the API's message"
            )
        return Field(path, lambda message: _at(message, path), whole=path == "name")


def show_list(session: Session, view: View[M], messages: Sequence[M], columns: str) -> None:
    """Print a list of resources."""
    wide = session.terminal.output is OutputFormat.WIDE
    section = view.section(messages, columns, wide=wide)
    session.terminal.show([as_json(each) for each in messages], section)
    if not messages:
        session.terminal.say("nothing found", Tone.QUIET)


def show_one(session: Session, view: View[M], message: M, *more: Section) -> None:
    """Print one resource."""
    session.terminal.show(as_json(message), view.facts(message), *more)


def show_written(
    session: Session, view: View[M], message: M, act: str, *more: Section, dry_run: bool
) -> None:
    """Print a resource after a write, and on stderr what was done. ``act`` is such as ``created``."""
    show_one(session, view, message, *more)
    name = getattr(message, "name", "") or "it"
    if dry_run:
        session.terminal.say(f"dry run: {name} would be {act}", Tone.QUIET)
    else:
        session.terminal.say(f"{act} {name} at revision {getattr(message, 'revision', 0)}", Tone.GOOD)


def word(message: Message, field: str) -> str:
    """Return the short form of an enum's value: ``openai`` of ``PROVIDER_KIND_OPENAI``; empty if
    unspecified."""
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    return enum_word(descriptor.enum_type, getattr(message, field))


def enum_word(enum: object, number: int) -> str:
    """Return the short form of a value of an enum's descriptor."""
    values = enum.values_by_number  # type: ignore[attr-defined] # the stubs name it in another class
    unspecified: str = values[0].name
    prefix = unspecified.removesuffix("UNSPECIFIED")
    known = values.get(number)
    return "" if known is None or not number else str(known.name).removeprefix(prefix).lower()


def state_cell(message: Message) -> Cell:
    """Return ``active`` or ``disabled``."""
    text = word(message, "state")
    return Cell(text, Tone.GOOD if text == "active" else Tone.WARNING)


def yes_or_no(value: bool) -> Cell:
    """Return whether something is as it should be."""
    return Cell("yes", Tone.GOOD) if value else Cell("no", Tone.WARNING)


def pairs(entries: object) -> str:
    """Return labels as ``team=payments,tier=1``."""
    return ",".join(f"{key}={value}" for key, value in sorted(dict(entries).items()))  # type: ignore[call-overload]


def _at(message: Message, path: str) -> str:
    value: object = message
    for part in path.split("."):
        if isinstance(value, Message):
            descriptor = value.DESCRIPTOR.fields_by_name.get(part)
            if descriptor is None:
                return ""
            if descriptor.enum_type is not None and not descriptor.is_repeated:
                return enum_word(descriptor.enum_type, getattr(value, part))
            value = getattr(value, part)
        elif hasattr(value, "items"):
            value = dict(value.items()).get(part, "")
        else:
            return ""
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, Timestamp):
        return shown(value)
    if isinstance(value, Message):
        return ",".join(f"{field.name}={_text(inner)}" for field, inner in value.ListFields())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if hasattr(value, "items"):
        return pairs(value)
    if isinstance(value, (str, int)):
        return str(value)
    return ",".join(_text(each) for each in value) if isinstance(value, Sequence) else str(value)
