"""One revision of the routing table, with every row's bytes ready, and the answers joined from them.

A snapshot never changes. The next one shares the rows that did not change and is a join of ready bytes, so a
change costs what changed and one join, not the building of every message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from uuid import UUID

from service.domain.history import RevisionToken
from service.domain.routing import ActiveModel, Change, ChangeSet, Entry, EntryKind, RoutingProvider


class SnapshotReason(IntEnum):
    """Why a watcher is sent a snapshot; numbered as the API's SnapshotChunk.Reason."""

    INITIAL = 1
    COMPACTED = 2
    STORE_CHANGED = 3
    SLOW_CONSUMER = 4
    REVISION_AHEAD = 5


@dataclass(frozen=True, slots=True)
class Row:
    """A routing entry and its message's bytes, with the length in front as a repeated field has it."""

    entry: Entry
    encoded: bytes


@dataclass(frozen=True, slots=True)
class RowChange:
    """A change of the table with the row's bytes ready; ``row`` is None where the entry is taken out."""

    kind: EntryKind
    name: str
    row: Row | None


@dataclass(frozen=True, slots=True)
class Codec:
    """How rows become bytes; handed in, since this room knows no messages.

    ``row`` encodes one entry. ``segments`` joins the rows of providers, provider models and models, in this
    order, into parts of less than 512 KiB, unless one row is larger. ``whole`` makes the complete answer of
    GetRoutingSnapshot, and ``chunks`` the messages of a watch. ``change_set`` makes the message of one
    revision, and ``bookmark`` a sign of life, of (where, time, draining).
    """

    row: Callable[[Entry], bytes]
    segments: Callable[[Sequence[bytes], Sequence[bytes], Sequence[bytes]], Sequence[bytes]]
    whole: Callable[[RevisionToken, Sequence[bytes]], bytes]
    chunks: Callable[[RevisionToken, Sequence[bytes], SnapshotReason], tuple[bytes, ...]]
    change_set: Callable[[RevisionToken, Sequence[RowChange], datetime], bytes]
    bookmark: Callable[[RevisionToken, datetime, bool], bytes]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The routing table at one revision of a store; rows are sorted by resource name.

    ``at`` says which revision of which history, ``commit_id`` names its commit, and ``token`` is ``at`` as
    clients know it.

    ``provider_model_rows`` are the values of ``provider_models``, for slicing. ``whole`` is the encoded
    GetRoutingSnapshotResponse, ``chunks`` what a watch begins with, both made of ``segments``.
    """

    at: RevisionToken
    commit_id: UUID
    token: str
    providers: Mapping[str, Row]
    provider_models: Mapping[str, Row]
    models: Mapping[str, Row]
    provider_model_rows: tuple[Row, ...]
    segments: tuple[bytes, ...]
    whole: bytes
    chunks: tuple[bytes, ...]

    @property
    def revision(self) -> int:
        """The registry's revision."""
        return self.at.revision

    @property
    def store_id(self) -> UUID:
        """Which store the revision belongs to."""
        return self.at.store_id


def build(codec: Codec, at: RevisionToken, commit_id: UUID, entries: Iterable[Entry]) -> Snapshot:
    """Return the snapshot of a table read as a whole."""
    changes = tuple(Change(_kind(entry), entry.name, entry) for entry in entries)
    empty = Snapshot(at, commit_id, "", {}, {}, {}, (), (), b"", ())
    return advance(codec, empty, encoded(codec, changes), at, commit_id)


def encoded(codec: Codec, changes: Iterable[Change]) -> tuple[RowChange, ...]:
    """Return the changes, each entry turned into bytes once."""
    return tuple(
        RowChange(one.kind, one.name, None if one.entry is None else Row(one.entry, codec.row(one.entry)))
        for one in changes
    )


def advance(
    codec: Codec, current: Snapshot, changes: Iterable[RowChange], at: RevisionToken, commit_id: UUID
) -> Snapshot:
    """Return the snapshot at ``at``, given every change after ``current`` up to it, in order.

    Applying a change twice changes nothing, since each row says what is there now.
    """
    tables = {
        EntryKind.PROVIDER: dict(current.providers),
        EntryKind.PROVIDER_MODEL: dict(current.provider_models),
        EntryKind.MODEL: dict(current.models),
    }
    # Replacing and removing keep a dict's order. A name that enters goes to the end, also one that was there
    # before and left in an earlier change.
    entered: set[EntryKind] = set()
    for change in changes:
        table = tables[change.kind]
        if change.row is None:
            table.pop(change.name, None)
            continue
        if change.name not in table:
            entered.add(change.kind)
        table[change.name] = change.row
    for kind in entered:
        tables[kind] = dict(sorted(tables[kind].items()))
    provider_models = tables[EntryKind.PROVIDER_MODEL]
    segments = tuple(
        codec.segments(
            *([row.encoded for row in table.values()] for table in tables.values()),
        )
    )
    return Snapshot(
        at=at,
        commit_id=commit_id,
        token=str(at),
        providers=tables[EntryKind.PROVIDER],
        provider_models=provider_models,
        models=tables[EntryKind.MODEL],
        provider_model_rows=tuple(provider_models.values()),
        segments=segments,
        whole=codec.whole(at, segments),
        chunks=codec.chunks(at, segments, SnapshotReason.INITIAL),
    )


def encoded_sets(codec: Codec, store_id: UUID, change_sets: Iterable[ChangeSet]) -> list[EncodedSet]:
    """Change sets with their rows and the message that watchers are sent, each encoded once."""
    made = []
    for one in change_sets:
        changes = encoded(codec, one.changes)
        at = RevisionToken(store_id, one.commit_id, one.revision)
        made.append(EncodedSet(at, changes, codec.change_set(at, changes, one.commit_time)))
    return made


@dataclass(frozen=True, slots=True)
class EncodedSet:
    """What one revision changed: its rows, and its message as every watcher is sent it."""

    at: RevisionToken
    changes: tuple[RowChange, ...]
    message: bytes


def _kind(entry: Entry) -> EntryKind:
    if isinstance(entry, RoutingProvider):
        return EntryKind.PROVIDER
    return EntryKind.MODEL if isinstance(entry, ActiveModel) else EntryKind.PROVIDER_MODEL
