"""One revision of the routing table, with every row's bytes ready.

A snapshot never changes. The next one shares the rows that did not change and is a join of ready bytes, so a
change costs what changed and one join, not the building of every message.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.domain.routing import ActiveModel, Change, ChangeSet, Entry, EntryKind, RoutingProvider


@dataclass(frozen=True, slots=True)
class Row:
    """A routing entry and its message's bytes, with the length in front as a repeated field has it."""

    entry: Entry
    encoded: bytes


@dataclass(frozen=True, slots=True)
class Codec:
    """How rows become bytes; handed in, since this room knows no messages.

    ``row`` encodes one entry. ``whole`` makes the complete answer of GetRoutingSnapshot from
    (revision, store_id, rows of providers, of provider models, of models).
    """

    row: Callable[[Entry], bytes]
    whole: Callable[[int, str, Sequence[bytes], Sequence[bytes], Sequence[bytes]], bytes]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The routing table at ``revision`` of the store ``store_id``; rows are sorted by resource name.

    ``models`` are provider models, of which ``model_names`` and ``model_rows`` run side by side, and
    ``facades`` what callers of the gateway know as models. ``whole`` is the ready answer of
    GetRoutingSnapshot.
    """

    revision: int
    store_id: str
    providers: Mapping[str, Row]
    models: Mapping[str, Row]
    facades: Mapping[str, Row]
    model_names: tuple[str, ...]
    model_rows: tuple[Row, ...]
    whole: bytes

    def behind(self, name: str) -> int:
        """The position of the first provider model behind ``name``, which need not be there any more."""
        return bisect_right(self.model_names, name)


def build(codec: Codec, revision: int, store_id: str, entries: Iterable[Entry]) -> Snapshot:
    """The snapshot of a table read as a whole."""
    changes = tuple(Change(_kind(entry), entry.name, entry) for entry in entries)
    empty = Snapshot(-1, store_id, {}, {}, {}, (), (), b"")
    return _next(codec, empty, revision, changes)


def advance(codec: Codec, current: Snapshot, change_sets: Iterable[ChangeSet], head: int) -> Snapshot:
    """The snapshot at ``head``, given every change set behind ``current`` up to it.

    Applying a change set twice changes nothing, since each row says what is there now.
    """
    changes = tuple(
        change
        for change_set in change_sets
        if change_set.revision > current.revision
        for change in change_set.changes
    )
    return _next(codec, current, head, changes)


def _next(codec: Codec, current: Snapshot, revision: int, changes: Sequence[Change]) -> Snapshot:
    tables = {
        EntryKind.PROVIDER: dict(current.providers),
        EntryKind.PROVIDER_MODEL: dict(current.models),
        EntryKind.MODEL: dict(current.facades),
    }
    # Replacing and removing keep a dict's order. A name that enters goes to the end, also one that was there
    # before and left in an earlier change.
    entered: set[EntryKind] = set()
    for change in changes:
        table = tables[change.kind]
        if change.entry is None:
            table.pop(change.name, None)
            continue
        if change.name not in table:
            entered.add(change.kind)
        table[change.name] = Row(change.entry, codec.row(change.entry))
    for kind in entered:
        tables[kind] = dict(sorted(tables[kind].items()))
    models = tables[EntryKind.PROVIDER_MODEL]
    return Snapshot(
        revision=revision,
        store_id=current.store_id,
        providers=tables[EntryKind.PROVIDER],
        models=models,
        facades=tables[EntryKind.MODEL],
        model_names=tuple(models),
        model_rows=tuple(models.values()),
        whole=codec.whole(
            revision,
            current.store_id,
            *([row.encoded for row in table.values()] for table in tables.values()),
        ),
    )


def _kind(entry: Entry) -> EntryKind:
    if isinstance(entry, RoutingProvider):
        return EntryKind.PROVIDER
    return EntryKind.MODEL if isinstance(entry, ActiveModel) else EntryKind.PROVIDER_MODEL
