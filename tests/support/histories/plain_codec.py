"""The routing table's messages as plain JSON: what an explorer of many states can afford to make and read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.domain.history import RevisionToken, parse_token
from service.domain.routing import Entry, EntryKind, RoutingProvider
from service.readmodel.snapshot import Codec, RowChange, SnapshotReason

Value = tuple[int, str]
"""The version of a provider's credential, and which credential it is: versions repeat, these do not."""


@dataclass(frozen=True, slots=True)
class PlainTable:
    """A table that was put together from messages; None for ``token`` before the first."""

    token: RevisionToken | None = None
    rows: Mapping[str, Value] | None = None

    def after(self, octets: bytes) -> tuple[PlainTable, SnapshotReason | None]:
        """Return the table with one message applied, and why it was a snapshot, if it was one."""
        message = json.loads(octets)
        token = parse_token(message["token"])
        assert token is not None
        if "reason" in message:
            return PlainTable(token, _values(message["rows"])), SnapshotReason(message["reason"])
        rows = dict(self.rows or {})
        for name, value in message.get("changes", {}).items():
            if value is None:
                del rows[name]
            else:
                rows[name] = (value[0], value[1])
        return replace(self, token=token, rows=rows), None


def value_of(entry: Entry) -> Value:
    """Return what a row says of its credential."""
    assert isinstance(entry, RoutingProvider)
    return entry.credential_version, entry.labels["credential"]


def _rows(entries: Sequence[Entry]) -> list[bytes]:
    return [_row(entry) for entry in entries]


def _row(entry: Entry) -> bytes:
    return json.dumps({entry.name: value_of(entry)})[1:-1].encode()


def _values(rows: Mapping[str, Sequence[object]]) -> dict[str, Value]:
    return {name: (int(str(version)), str(which)) for name, (version, which) in rows.items()}


def _segment(kind: EntryKind, rows: Sequence[bytes]) -> bytes:
    return b", ".join(rows)


def _whole(at: RevisionToken, segments: Sequence[bytes]) -> bytes:
    return b""


def _chunks(at: RevisionToken, segments: Sequence[bytes], reason: SnapshotReason) -> tuple[bytes, ...]:
    rows = b", ".join(segments).decode()
    return (f'{{"token": "{at}", "reason": {reason.value}, "rows": {{{rows}}}}}'.encode(),)


def _change_set(at: RevisionToken, changes: Sequence[RowChange], time: datetime) -> bytes:
    rows = {one.name: None if one.row is None else value_of(one.row.entry) for one in changes}
    return json.dumps({"token": str(at), "changes": rows}).encode()


def _bookmark(at: RevisionToken, time: datetime, age: timedelta, draining: bool) -> bytes:
    return f'{{"token": "{at}"}}'.encode()


PLAIN_CODEC = Codec(
    rows=_rows, segment=_segment, whole=_whole, chunks=_chunks, change_set=_change_set, bookmark=_bookmark
)
