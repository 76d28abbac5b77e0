"""What every server of ours reads from a call before its handler runs: the request id, and broken rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from runtime.statuses import Violation

if TYPE_CHECKING:
    import protovalidate

REQUEST_ID = "x-request-id"

_GRAMMAR = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def request_id_of(metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
    """Return the caller's request id; None where it sent none, or one that does not belong into a log."""
    for key, value in metadata:
        if key == REQUEST_ID and isinstance(value, str) and _GRAMMAR.fullmatch(value):
            return value
    return None


def broken_rule(found: protovalidate.Violation) -> Violation:
    """Return a broken rule of a message with its field's snake_case path.

    The path never shows map keys: one may be a secret in the wrong place.
    """
    proto = found.proto
    path = ""
    for element in proto.field.elements if proto.field else ():
        path += f".{element.field_name}" if path else element.field_name
        if element.subscript is not None and element.subscript.field == "index":
            path += f"[{element.subscript.value}]"
    return Violation(path, proto.message or f"breaks the rule {proto.rule_id}", proto.rule_id)
