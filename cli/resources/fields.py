"""Sets fields of a message from text: ``context_window=128000``, ``capabilities=tools,vision``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from cli.failures import UsageFailure
from cli.times import instant

_WHOLE_NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def assignment(text: str, option: str) -> tuple[str, str]:
    """Split ``NAME=VALUE``.

    Raises:
        UsageFailure: there is no equals sign. The text is not repeated: it may be a value alone.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageFailure(f"{option} takes NAME=VALUE, e.g. {option} display_name=Test")
    return name.strip().replace("-", "_"), value


def assign(message: Message, path: str, text: str, *, title: str = "") -> str:
    """Set the field at ``path`` and return its first part, as a mask names it. An empty text clears the
    field.

    Raises:
        UsageFailure: there is no such field, or the text is not a value of it.
    """
    first, _, rest = path.partition(".")
    field = message.DESCRIPTOR.fields_by_name.get(first)
    title = title or path
    if field is None:
        known = ", ".join(sorted(name for name in message.DESCRIPTOR.fields_by_name))
        raise UsageFailure(f"there is no field {title!r}: choose from {known}")
    if rest and _is_map(field):
        _set_entry(getattr(message, first), rest, text)
    elif rest and field.message_type is not None and not field.is_repeated:
        assign(getattr(message, first), rest, text, title=title)
    elif rest:
        raise UsageFailure(f"{title}: {first} has no fields of its own")
    elif not text:
        message.ClearField(first)
    else:
        _set(message, field, text, title)
    return first


def choice(enum: Any, text: str, title: str) -> int:
    """Return the number of an enum's value, named in full or in short: ``chat``, ``MODEL_KIND_CHAT``.

    Raises:
        UsageFailure: the enum has no such value.
    """
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    wanted = text.upper().replace("-", "_")
    found = enum.values_by_name.get(wanted) or enum.values_by_name.get(f"{prefix}{wanted}")
    if found is None or not found.number:
        known = ", ".join(value.name.removeprefix(prefix).lower() for value in enum.values if value.number)
        raise UsageFailure(f"{title}: {text!r} is not one of {known}")
    return int(found.number)


def set_labels(labels: Any, given: Iterable[str]) -> None:
    """Set each ``KEY=VALUE``; ``KEY=`` removes the label."""
    for text in given:
        key, value = assignment(text, "--label")
        _set_entry(labels, key, value)


def _set(message: Message, field: Any, text: str, title: str) -> None:
    if field.is_repeated:
        message.ClearField(field.name)
        getattr(message, field.name).extend(_scalar(field, part.strip(), title) for part in text.split(","))
    elif field.message_type is not None and field.message_type.full_name == Timestamp.DESCRIPTOR.full_name:
        getattr(message, field.name).FromDatetime(instant(text))
    elif field.message_type is not None:
        inner = ", ".join(f"{field.name}.{name}" for name in field.message_type.fields_by_name)
        raise UsageFailure(f"{title}: set one of {inner}")
    else:
        setattr(message, field.name, _scalar(field, text, title))


def _scalar(field: Any, text: str, title: str) -> str | int | bool:
    if field.enum_type is not None:
        return choice(field.enum_type, text, title)
    if field.cpp_type in _WHOLE_NUMBERS:
        try:
            return int(text)
        except ValueError:
            raise UsageFailure(f"{title}: {text!r} is not a whole number") from None
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if text.lower() not in _TRUTH:
            raise UsageFailure(f"{title}: {text!r} is neither true nor false")
        return _TRUTH[text.lower()]
    if field.message_type is not None:
        raise UsageFailure(f"{title} cannot be set here: use another client of the API")
    return text


def _is_map(field: Any) -> bool:
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)


def _set_entry(entries: Any, key: str, value: str) -> None:
    if value:
        entries[key] = value
    elif key in entries:
        del entries[key]
