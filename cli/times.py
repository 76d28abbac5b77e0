"""Times as people type them and as files hold them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from cli.failures import UsageFailure

_AGO = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, now: datetime) -> datetime:
    """Return the time of ``2026-04-15T08:00:00Z``, ``2026-04-15`` (UTC), or ``36h`` ago.

    Raises:
        UsageFailure: it is none of these, or in the future.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - timedelta(**{_UNITS[ago["unit"]]: int(ago["count"])})
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise UsageFailure(f"invalid time {text!r}: use 2026-04-15T08:00:00Z, 2026-04-15 or 36h") from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    if parsed > now:
        raise UsageFailure(f"{text} is in the future")
    return parsed.astimezone(UTC)


def instant(text: str) -> datetime:
    """Return the moment of ``2026-04-15T08:00:00Z`` or ``2026-04-15`` (UTC).

    Raises:
        UsageFailure: it is neither.
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise UsageFailure(f"invalid time {text!r}: use 2026-04-15T08:00:00Z or 2026-04-15") from None
    return parsed.replace(tzinfo=parsed.tzinfo or UTC).astimezone(UTC)


def span(text: str) -> timedelta:
    """Return the duration of ``30d``, ``36h`` and the like.

    Raises:
        UsageFailure: it is not a duration.
    """
    match = _AGO.fullmatch(text)
    if match is None:
        raise UsageFailure(f"invalid duration {text!r}: use 90s, 36h or 30d")
    return timedelta(**{_UNITS[match["unit"]]: int(match["count"])})


def stamp(when: datetime) -> str:
    """Return RFC 3339 in UTC with milliseconds, as files hold it."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_stamp(text: str) -> datetime:
    """Read what ``stamp`` wrote. Raises ValueError."""
    return datetime.fromisoformat(text)


def of_message(timestamp: Timestamp) -> datetime:
    """Return the time of a message's field."""
    return timestamp.ToDatetime(tzinfo=UTC)


def shown(timestamp: Timestamp) -> str:
    """Return UTC to the second for tables; empty if it is unset."""
    if not timestamp.seconds and not timestamp.nanos:
        return ""
    return of_message(timestamp).strftime("%Y-%m-%d %H:%M:%SZ")
