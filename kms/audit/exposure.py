"""Which credentials a principal could have seen: what to replace upstream after a compromise.

Pure, over lines. A damaged line is skipped: after an attack an incomplete list is better than none, and
``chain.verify`` says whether it may be incomplete.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kms.audit.chain import Segment
from kms.audit.lines import OK, Line, LineMalformed, parse

EXPOSING = frozenset({"unwrap", "wrap"})
"""The events whose caller had data keys: it received them, or it sent them."""


@dataclass(slots=True)
class Exposed:
    """One credential: under which key versions, who had its data key, when and how often."""

    provider_uid: str
    credential_version: int
    data_key_id: str
    first_time: datetime
    last_time: datetime
    count: int = 0
    key_versions: list[str] = field(default_factory=list)
    principals: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Exposure:
    """The credentials in the order they were first seen.

    ``start_time`` is when the oldest line here was written, None if that is line 1.
    """

    credentials: tuple[Exposed, ...]
    start_time: datetime | None


def exposure(segments: Iterable[Segment], *, since: datetime, principal: str = "") -> Exposure:
    """Return what ``principal`` could have seen, from the first line at or after ``since`` to the last line.

    ``principal`` is ``role:place`` as in the lines, or the role alone; empty means all.
    """
    found: dict[tuple[str, str, int], Exposed] = {}
    oldest: tuple[Line, datetime] | None = None
    counting = False
    for line, time in _timed(segments):
        oldest = oldest or (line, time)
        counting = counting or time >= since
        if counting and line.event in EXPOSING and _is_of(line, principal):
            for item in _given(line):
                _count(found, line, time, item)
    is_cut = oldest is not None and oldest[0].position.seq > 1
    return Exposure(tuple(found.values()), oldest[1] if oldest and is_cut else None)


def _timed(segments: Iterable[Segment]) -> Iterable[tuple[Line, datetime]]:
    for segment in segments:
        for octets in segment.lines:
            try:
                line = parse(octets.rstrip(b"\n"))
                yield line, line.time
            except LineMalformed:
                continue


def _is_of(line: Line, principal: str) -> bool:
    whose = str(line.fields.get("principal", ""))
    return principal in ("", whose, whose.partition(":")[0])


def _given(line: Line) -> Iterable[Mapping[str, Any]]:
    """Yield the items whose data key the caller had: unwrapped, or sent to be wrapped, even in vain."""
    items = line.fields.get("items")
    for item in items if isinstance(items, list) else ():
        if (
            isinstance(item, dict)
            and "dek_id" in item
            and (line.event == "wrap" or item.get("outcome") == OK)
        ):
            yield item


def _count(
    found: dict[tuple[str, str, int], Exposed], line: Line, time: datetime, item: Mapping[str, Any]
) -> None:
    try:
        key = str(item["provider_uid"]), str(item["dek_id"]), int(item["credential_version"])
    except (KeyError, TypeError, ValueError):
        return
    exposed = found.setdefault(key, Exposed(key[0], key[2], key[1], time, time))
    exposed.count += 1
    exposed.last_time = max(exposed.last_time, time)
    for values, value in (
        (exposed.key_versions, item.get("key_version")),
        (exposed.principals, line.fields.get("principal")),
    ):
        if isinstance(value, str) and value not in values:
            values.append(value)
