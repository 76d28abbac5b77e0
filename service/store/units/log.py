"""The revision counter and the change log: where the store is, and what each revision changed for routers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, select, update
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
UNKNOWN_COMMIT = UUID(int=0)
"""The content id where the log holds what cannot be read: equal on all replicas, and what no router has."""

_COUNTER = table(RevisionCounterRow)
_CHANGE_LOG = table(ChangeLogRow)

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


class LogReads:
    """Where the store is, and what changed after a revision."""

    def __init__(self, session: Session) -> None:
        self._session = session

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
        super().__init__(session)
        self._writing = writing

    def compact(self, *, kept_for: timedelta = KEPT_FOR, kept_revisions: int = KEPT_REVISIONS) -> int:
        """Forget change sets older than ``kept_for`` and not among the last ``kept_revisions``.

        Returns the head's ``compact_revision``, which never decreases. Takes no revision.
        """
        compacted = self.head().compact_revision
        newest = self._writing.revision - 1
        # Of a revision that there is not yet: a hand put them there, and they are in the way of a real one.
        ahead = self._writing.connection.execute(delete(_CHANGE_LOG).where(_CHANGE_LOG.c.revision > newest))
        self._writing.bookkeeping |= ahead.rowcount > 0
        last = self._writing.connection.execute(
            select(_CHANGE_LOG.c.revision)
            .where(
                _CHANGE_LOG.c.commit_time < self._writing.now - kept_for,
                _CHANGE_LOG.c.revision <= newest - kept_revisions,
            )
            .order_by(_CHANGE_LOG.c.revision.desc())
            .limit(1)
        ).first()
        if last is None:
            return compacted
        forgotten: int = last.revision
        content_id = self.content_id(forgotten)
        self._writing.execute(delete(_CHANGE_LOG).where(_CHANGE_LOG.c.revision <= forgotten))
        self._writing.execute(update(_COUNTER), {"compact_revision": forgotten, "compact_id": content_id})
        self._writing.bookkeeping = True
        return forgotten

    def append(self, changes: Sequence[Change], commit_id: UUID) -> None:
        """Log the changes of this unit's revision."""
        if not changes:
            return
        self._writing.execute(
            insert(_CHANGE_LOG),
            [
                {
                    "revision": self._writing.revision,
                    "ordinal": ordinal,
                    "kind": change.kind.value,
                    "name": change.name,
                    "op": REMOVE if change.entry is None else PUT,
                    "payload": None if change.entry is None else entry_to_json(change.entry),
                    "commit_time": self._writing.now,
                    "commit_id": commit_id,
                }
                for ordinal, change in enumerate(changes)
            ],
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
