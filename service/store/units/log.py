"""The revision counter and the change log: where the store is, and what each revision changed for routers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, cast, delete, func, insert, select, update
from sqlalchemy.orm import Session

from service.domain.errors import InvalidArgument
from service.domain.ids import parse_model_name, parse_provider_model_name, parse_provider_name
from service.domain.routing import Change, ChangeSet, EntryKind, entry_from_json, entry_to_json
from service.store.columns import Unreadable
from service.store.rows import PUT, REMOVE, ChangeLogRow, RevisionCounterRow
from service.store.sql import among
from service.store.units.writing import Writing, table

KEPT_FOR = timedelta(hours=24)
KEPT_REVISIONS = 10_000
KEPT_BYTES = 256 << 20
ROW_BYTES = 128
"""What a row takes beside its name and payload: the other columns, and its place in the index."""

FORGOTTEN_ROWS = 500
"""How many rows a unit deletes, up to the end of a change set: writers wait for it."""

UNKNOWN_COMMIT = UUID(int=0)
"""The content id where the log holds what cannot be read: equal on all replicas, and what no router has."""

_COUNTER = table(RevisionCounterRow)
_CHANGE_LOG = table(ChangeLogRow)
_REVISIONS_AT_ONCE = 10_000
# A hand may have given a row a number that is none: it goes with the first that is forgotten.
_PLACED = and_(ChangeLogRow.revision >= 0, cast(ChangeLogRow.revision, BigInteger) == ChangeLogRow.revision)
# Names are ASCII. Neither database reads a long payload for its length.
_SIZE = (
    ROW_BYTES
    + func.length(ChangeLogRow.name, type_=BigInteger())
    + func.coalesce(func.length(ChangeLogRow.payload, type_=BigInteger()), 0)
)

# The parent is the id that this very statement replaces. A subquery on the log could not return it: under
# READ COMMITTED one that waited for the row lock reads the state before the commit it waited for.
TAKE_REVISION = (
    update(_COUNTER)
    .values(
        revision=_COUNTER.c.revision + 1, parent_id=_COUNTER.c.commit_id, commit_id=bindparam("new_commit_id")
    )
    .returning(_COUNTER.c.revision, _COUNTER.c.parent_id)
)


@dataclass(frozen=True, slots=True)
class Head:
    """Where the store is. Change sets up to and including ``compact_revision`` are no longer kept.

    ``commit_id`` is that of ``revision``, ``compact_id`` the content id at ``compact_revision``.
    """

    revision: int
    compact_revision: int
    store_id: UUID
    commit_id: UUID
    compact_id: UUID


@dataclass(frozen=True, slots=True)
class Compaction:
    """How far a unit has compacted: the head's ``compact_revision``, which never decreases.

    ``is_done`` says that nothing is left of what it was to forget.
    """

    compact_revision: int
    is_done: bool


class LogReads:
    """Where the store is, and what changed after a revision."""

    def __init__(self, session: Session, now: datetime) -> None:
        self._session = session
        self._now = now

    def head(self) -> Head:
        """Return the newest revision that this unit sees."""
        row = self._session.execute(
            select(
                RevisionCounterRow.revision,
                RevisionCounterRow.compact_revision,
                RevisionCounterRow.store_id,
                RevisionCounterRow.commit_id,
                RevisionCounterRow.compact_id,
            )
        ).one()
        return Head(*row)

    def content_id(self, revision: int) -> UUID | None:
        """Return the content id at ``revision``, which may be newer than the head; None if compacted."""
        try:
            found = self._session.scalar(
                select(ChangeLogRow.commit_id)
                .where(ChangeLogRow.revision <= revision)
                .order_by(ChangeLogRow.revision.desc())
                .limit(1)
            )
        except Unreadable:
            return UNKNOWN_COMMIT
        if found is not None:
            return found
        head = self.head()
        return head.compact_id if revision >= head.compact_revision else None

    def changes_since(self, revision: int) -> list[ChangeSet]:
        """Return the change sets after ``revision``, in order.

        A revision that changed nothing for routers has none. It is all of them only if ``revision`` is
        at least the head's ``compact_revision``.

        Raises:
            Unreadable: one of them is not what was logged.
        """
        head = select(RevisionCounterRow.revision).scalar_subquery()
        rows = self._session.execute(
            select(
                ChangeLogRow.revision.label("revision"),
                ChangeLogRow.kind,
                ChangeLogRow.name,
                ChangeLogRow.op,
                ChangeLogRow.payload,
                ChangeLogRow.commit_time,
                ChangeLogRow.commit_id,
            )
            .where(ChangeLogRow.revision > revision, ChangeLogRow.revision <= head)
            .order_by(ChangeLogRow.revision, ChangeLogRow.ordinal)
        )
        return [
            ChangeSet(
                of,
                tuple(_change(row.kind, row.name, row.op, row.payload) for row in (first, *rest)),
                first.commit_time,
                first.commit_id,
            )
            for of, (first, *rest) in groupby(rows, key=attrgetter("revision"))
        ]

    def known(self, names: Collection[str]) -> set[str]:
        """Return those of these resources that routers were not told to drop by the newest change of each."""
        rows = self._session.execute(
            select(ChangeLogRow.name, ChangeLogRow.op == REMOVE)
            .where(among(ChangeLogRow.name, names))
            .order_by(ChangeLogRow.revision, ChangeLogRow.ordinal)
        )
        dropped = {name: bool(removed) for name, removed in rows}
        return {name for name in names if not dropped.get(name, False)}

    def outdated(self, *, kept_for: timedelta = KEPT_FOR, kept_revisions: int = KEPT_REVISIONS) -> int:
        """Return the newest revision older than ``kept_for`` and not among the last ``kept_revisions``.

        0 where none is.
        """
        newest = self.head().revision
        found = self._session.scalar(
            select(ChangeLogRow.revision)
            .where(
                _PLACED,
                ChangeLogRow.commit_time < self._now - kept_for,
                ChangeLogRow.revision <= newest - kept_revisions,
            )
            .order_by(ChangeLogRow.revision.desc())
            .limit(1)
        )
        return found or 0

    def overlong(self, limit: int) -> int:
        """Return the newest revision that has to go for the log to have at most ``limit`` bytes; 0 if none.

        Goes back from the newest row, and reads no payload: what lies before costs nothing.
        """
        oldest, newest = self._session.execute(
            select(func.min(ChangeLogRow.revision), func.max(ChangeLogRow.revision)).where(
                _PLACED, ChangeLogRow.revision <= self.head().revision
            )
        ).one()
        left = limit
        for last in range(newest or 0, (oldest or 0) - 1, -_REVISIONS_AT_ONCE):
            among_these = and_(_PLACED, ChangeLogRow.revision.between(last - _REVISIONS_AT_ONCE + 1, last))
            size = int(self._session.scalar(select(func.sum(_SIZE)).where(among_these)) or 0)
            if size > left:
                return self._where_it_ends(left, among_these)
            left -= size
        return 0

    def _where_it_ends(self, left: int, among_these: ColumnElement[bool]) -> int:
        """Return the newest of these revisions that does not fit into ``left`` bytes with those after it."""
        sizes = self._session.execute(
            select(ChangeLogRow.revision, func.sum(_SIZE))
            .where(among_these)
            .group_by(ChangeLogRow.revision)
            .order_by(ChangeLogRow.revision.desc())
        )
        for revision, size in sizes:
            left -= int(size)
            if left < 0:
                return int(revision)
        raise AssertionError("unreachable: together they do not fit")

    def change_set_count(self, revision: int) -> int:
        """Count the change sets that ``changes_since`` would return."""
        return (
            self._session.scalar(
                select(func.count(ChangeLogRow.revision.distinct())).where(ChangeLogRow.revision > revision)
            )
            or 0
        )


class LogWrites(LogReads):
    """The log and the counter of a unit that writes."""

    def __init__(self, session: Session, writing: Writing) -> None:
        super().__init__(session, writing.now)
        self._writing = writing
        self.appended_bytes = 0
        """By how much this unit makes the log longer."""

    def compact(self, until: int) -> Compaction:
        """Forget change sets up to and including a revision. Takes none.

        Of many, the oldest go first; the rest is left to the next unit.
        """
        compacted = self.head().compact_revision
        newest = self._writing.revision - 1
        # Of a revision that there is not yet: a hand put them there, and they are in the way of a real one.
        ahead = self._writing.connection.execute(delete(_CHANGE_LOG).where(_CHANGE_LOG.c.revision > newest))
        self._writing.bookkeeping |= ahead.rowcount > 0
        rows = (
            select(_CHANGE_LOG.c.revision)
            .where(_PLACED, _CHANGE_LOG.c.revision <= until)
            .order_by(_CHANGE_LOG.c.revision, _CHANGE_LOG.c.ordinal)
            .limit(FORGOTTEN_ROWS)
            .subquery()
        )
        forgotten = self._writing.connection.scalar(select(func.max(rows.c.revision)))
        if forgotten is None:
            return Compaction(compacted, is_done=True)
        content_id = self.content_id(forgotten)
        self._writing.execute(delete(_CHANGE_LOG).where(_CHANGE_LOG.c.revision <= forgotten))
        self._writing.execute(update(_COUNTER), {"compact_revision": forgotten, "compact_id": content_id})
        self._writing.bookkeeping = True
        return Compaction(forgotten, is_done=forgotten == until)

    def append(self, changes: Sequence[Change], commit_id: UUID) -> None:
        """Log the changes of this unit's revision."""
        if not changes:
            return
        payloads = [None if change.entry is None else entry_to_json(change.entry) for change in changes]
        self._writing.execute(
            insert(_CHANGE_LOG),
            [
                {
                    "revision": self._writing.revision,
                    "ordinal": ordinal,
                    "kind": change.kind.value,
                    "name": change.name,
                    "op": REMOVE if change.entry is None else PUT,
                    "payload": payload,
                    "commit_time": self._writing.now,
                    "commit_id": commit_id,
                }
                for ordinal, (change, payload) in enumerate(zip(changes, payloads, strict=True))
            ],
        )
        self.appended_bytes = sum(
            ROW_BYTES + len(change.name) + len(payload or b"")
            for change, payload in zip(changes, payloads, strict=True)
        )

    def give_back(self, parent_id: UUID) -> None:
        """Return the revision that this unit took, and the commit id before it."""
        self._writing.execute(
            update(_COUNTER), {"revision": self._writing.revision - 1, "commit_id": parent_id}
        )


def _change(kind: str, name: str, op: str, payload: bytes | None) -> Change:
    try:
        entry_kind = EntryKind(kind)
        _PARSE_NAME[entry_kind](name)
        entry = None if payload is None else entry_from_json(entry_kind, payload)
    except (ValueError, InvalidArgument):
        raise Unreadable from None
    if op != (REMOVE if entry is None else PUT) or (entry is not None and entry.name != name):
        raise Unreadable
    return Change(entry_kind, name, entry)


_PARSE_NAME: Mapping[EntryKind, Callable[[str], object]] = MappingProxyType(
    {
        EntryKind.PROVIDER: parse_provider_name,
        EntryKind.PROVIDER_MODEL: parse_provider_model_name,
        EntryKind.MODEL: parse_model_name,
    }
)
