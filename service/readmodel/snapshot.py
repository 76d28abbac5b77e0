"""One revision of the routing table, with every row's bytes ready, and the answers joined from them.

A snapshot never changes. The next one shares the segments in which no row changed, and a revision that
changes nothing for routers shares them all. The answers are joined when they are asked for, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from functools import partial
from uuid import UUID

from service.domain.history import RevisionToken
from service.domain.routing import ActiveModel, Change, ChangeSet, Entry, EntryKind, RoutingProvider
from service.readmodel.segments import Row, Table


class SnapshotReason(IntEnum):
    """Why a watcher is sent a snapshot; numbered as the API's SnapshotChunk.Reason."""

    INITIAL = 1
    COMPACTED = 2
    STORE_CHANGED = 3
    SLOW_CONSUMER = 4
    REVISION_AHEAD = 5


@dataclass(frozen=True, slots=True)
class RowChange:
    """A change of the table with the row's bytes ready; ``row`` is None where the entry is taken out."""

    kind: EntryKind
    name: str
    row: Row | None


@dataclass(frozen=True, slots=True)
class Codec:
    """How rows become bytes; handed in, since this room knows no messages.

    ``rows`` encodes entries, with what many have in common made once. ``segment`` joins rows of one kind as
    the table's field of them. ``whole`` makes the complete answer of GetRoutingSnapshot of such segments, in
    the order of kinds, and ``chunks`` the messages of a watch, of less than 512 KiB if the segments are.
    ``change_set`` makes the message of one revision, and ``bookmark`` a sign of life, of (where, time,
    the table's age, draining).
    """

    rows: Callable[[Sequence[Entry]], list[bytes]]
    segment: Callable[[EntryKind, Sequence[bytes]], bytes]
    whole: Callable[[RevisionToken, Sequence[bytes]], bytes]
    chunks: Callable[[RevisionToken, Sequence[bytes], SnapshotReason], tuple[bytes, ...]]
    change_set: Callable[[RevisionToken, Sequence[RowChange], datetime], bytes]
    bookmark: Callable[[RevisionToken, datetime, timedelta, bool], bytes]


_NOTHING = Table()


class Snapshot:
    """The routing table at one revision of a store.

    ``at`` says which revision of which history, ``commit_id`` names its commit, and ``token`` is ``at`` as
    clients know it.
    """

    __slots__ = (
        "_chunks",
        "_codec",
        "_provider_model_rows",
        "_whole",
        "at",
        "commit_id",
        "models",
        "provider_models",
        "providers",
        "token",
    )

    def __init__(
        self,
        codec: Codec,
        at: RevisionToken,
        commit_id: UUID,
        *,
        providers: Table = _NOTHING,
        provider_models: Table = _NOTHING,
        models: Table = _NOTHING,
    ) -> None:
        self.at = at
        self.commit_id = commit_id
        self.token = str(at)
        self.providers = providers
        self.provider_models = provider_models
        self.models = models
        self._codec = codec
        self._provider_model_rows: Sequence[Row] | None = None
        self._whole: bytes | None = None
        self._chunks: dict[SnapshotReason, tuple[bytes, ...]] = {}

    @property
    def revision(self) -> int:
        """The registry's revision."""
        return self.at.revision

    @property
    def store_id(self) -> UUID:
        """Which store the revision belongs to."""
        return self.at.store_id

    @property
    def provider_model_rows(self) -> Sequence[Row]:
        """The rows of provider models by name, for slicing."""
        if self._provider_model_rows is None:
            self._provider_model_rows = tuple(self.provider_models.in_order())
        return self._provider_model_rows

    @property
    def whole(self) -> bytes:
        """The encoded GetRoutingSnapshotResponse: the same bytes wherever the table is the same."""
        if self._whole is None:
            self._whole = self._codec.whole(self.at, self._segments())
        return self._whole

    def chunks(self, reason: SnapshotReason) -> tuple[bytes, ...]:
        """Return what a watch begins with. Where it is cut is not the same everywhere."""
        if reason not in self._chunks:
            self._chunks[reason] = self._codec.chunks(self.at, self._segments(), reason)
        return self._chunks[reason]

    def _segments(self) -> list[bytes]:
        return [
            segment.joined(partial(self._join, kind))
            for kind, table in (
                (EntryKind.PROVIDER, self.providers),
                (EntryKind.PROVIDER_MODEL, self.provider_models),
                (EntryKind.MODEL, self.models),
            )
            for segment in table.segments
        ]

    def _join(self, kind: EntryKind, rows: Sequence[Row]) -> bytes:
        return self._codec.segment(kind, [row.encoded for row in rows])


def build(codec: Codec, at: RevisionToken, commit_id: UUID, entries: Sequence[Entry]) -> Snapshot:
    """Return the snapshot of a table read as a whole."""
    rows: dict[EntryKind, dict[str, Row | None]] = {kind: {} for kind in EntryKind}
    for entry, octets in zip(entries, codec.rows(entries), strict=True):
        rows[_kind(entry)][entry.name] = Row(entry, octets)
    return _changed(codec, Snapshot(codec, at, commit_id), rows, at, commit_id)


def encoded(codec: Codec, changes: Sequence[Change]) -> tuple[RowChange, ...]:
    """Return the changes, each entry turned into bytes once."""
    entries = [one.entry for one in changes if one.entry is not None]
    rows = iter([Row(entry, octets) for entry, octets in zip(entries, codec.rows(entries), strict=True)])
    return tuple(RowChange(one.kind, one.name, None if one.entry is None else next(rows)) for one in changes)


def advance(
    codec: Codec, current: Snapshot, changes: Iterable[RowChange], at: RevisionToken, commit_id: UUID
) -> Snapshot:
    """Return the snapshot at ``at``, given every change after ``current`` up to it, in order.

    Applying a change twice changes nothing, since each row says what is there now.
    """
    rows: dict[EntryKind, dict[str, Row | None]] = {kind: {} for kind in EntryKind}
    for change in changes:
        rows[change.kind][change.name] = change.row
    return _changed(codec, current, rows, at, commit_id)


def _changed(
    codec: Codec,
    current: Snapshot,
    rows: Mapping[EntryKind, Mapping[str, Row | None]],
    at: RevisionToken,
    commit_id: UUID,
) -> Snapshot:
    return Snapshot(
        codec,
        at,
        commit_id,
        providers=current.providers.changed(rows[EntryKind.PROVIDER]),
        provider_models=current.provider_models.changed(rows[EntryKind.PROVIDER_MODEL]),
        models=current.models.changed(rows[EntryKind.MODEL]),
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
