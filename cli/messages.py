"""Messages of the API as proto JSON, with empty fields too, so that names never come and go."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message


def as_json(message: Message) -> dict[str, Any]:
    """Return the message as proto JSON; an empty list is ``[]``."""
    return MessageToDict(message, always_print_fields_with_no_presence=True)
