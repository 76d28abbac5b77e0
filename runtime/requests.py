"""What every server of ours reads from a call before its handler runs: the request id, and broken rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from runtime.statuses import Violation

if TYPE_CHECKING:
    import protovalidate

REQUEST_ID = "x-request-id"
UNREADABLE = "the request cannot be parsed: its bytes are malformed, or a string is not UTF-8"

_GRAMMAR = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def request_id_of(metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
    """Return the caller's request id; None where it sent none, or one that does not belong into a log."""
    for key, value in metadata:
        if key == REQUEST_ID and isinstance(value, str) and _GRAMMAR.fullmatch(value):
            return value
    return None


def broken_rule(found: protovalidate.Violation) -> Violation:
    """Return a broken rule of a message: its field's snake_case path, and what is right in plain words.

    The path never shows map keys: one may be a secret in the wrong place. A rule of a whole message names the
    field that it is about at the beginning of its text: ``store_id: is required``.
    """
    proto = found.proto
    path, in_map = "", False
    for element in proto.field.elements if proto.field else ():
        path += f".{element.field_name}" if path else element.field_name
        if element.subscript is not None:
            in_map = element.subscript.field != "index"
            if not in_map:
                path += f"[{element.subscript.value}]"
    description = plain(proto.message or "breaks a rule of this field")
    named = _NAMED.match(description)
    if named is not None:
        path = f"{path}.{named[1]}" if path else named[1]
        description = named[2]
    if proto.for_key:
        description = f"has a key that {description}"
    elif in_map and not named:
        description = f"has a value that {description}"
    return Violation(path, description, proto.rule_id)


def summary(broken: Sequence[Violation]) -> str:
    """Return the first broken rule in a sentence, and how many more there are."""
    return f"{broken[0]}{f' (and {len(broken) - 1} more)' if len(broken) > 1 else ''}"


def plain(message: str) -> str:
    """Return a rule's message in plain words; those of the standard rules are for programmers."""
    for pattern, words in _STANDARD:
        match = pattern.fullmatch(message)
        if match is not None:
            return words.format(*(_amount(part) for part in match.groups()))
    return message


def _amount(text: str) -> str:
    """``100000000`` with its thousands apart, ``604800s`` as days."""
    if not text.endswith("s"):
        return f"{int(text):,}" if text.lstrip("-").isdigit() else text
    seconds = text.removesuffix("s")
    if seconds.isdigit() and int(seconds) and int(seconds) % 86_400 == 0:
        return f"{int(seconds) // 86_400:,} days"
    return f"{seconds} seconds"


_NAMED = re.compile(r"([a-z_]+): (.+)")
_STANDARD = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"value is required", "is required"),
        (r"must be at least 1 characters", "must not be empty"),
        (r"must be at (least|most) (\d+) (characters|bytes)", "must have at {0} {1} {2}"),
        (r"must be (\d+) bytes", "must have exactly {0} bytes"),
        (r"must be greater than or equal to 0", "must not be negative"),
        (r"must be greater than or equal to (\S+)", "must be at least {0}"),
        (
            r"must be greater than or equal to (\S+) and less than or equal to (\S+)",
            "must be from {0} to {1}",
        ),
        (r"must be greater than 0 and less than or equal to (\S+)", "must be from 1 to {0}"),
        (
            r"value must be one of the defined enum values",
            "must be a value that the API defines, by its name",
        ),
        (r"must not be in list \[0\]", "must not be unspecified"),
        (r"(?:map )?must be at most (\d+) entries", "must have at most {0} entries"),
        (r"must contain no more than (\d+) item\(s\)", "must have at most {0} entries"),
        (r"repeated value must contain unique items", "must name each entry once"),
        (r"must be a valid URI", "must be a URL, e.g. https://api.example.com/v1"),
        (r"must be a valid UUID", "must be a UUID, e.g. 123e4567-e89b-42d3-a456-426614174000"),
        (r".*valid HTTP header name", "must be an HTTP header name, e.g. X-Team"),
    )
)
"""What protovalidate says, and how we say it."""
