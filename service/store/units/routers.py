"""Known routers, stored so that a restart forgets none. Takes no revision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Table, delete, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from service.domain.history import RevisionToken
from service.domain.routers import RouterRecord
from service.store.rows import ChangeLogRow, RevisionCounterRow, RouterRow
from service.store.sql import among

_ROUTERS: Table = RouterRow.__table__  # type: ignore[assignment]


def load_routers(connection: Connection) -> list[RouterRecord]:
    """Return the stored routers by watcher_id, with what they applied where it is of this history."""
    logged = (
        select(ChangeLogRow.commit_id)
        .where(ChangeLogRow.revision <= _ROUTERS.c.applied_revision)
        .order_by(ChangeLogRow.revision.desc())
        .limit(1)
        .scalar_subquery()
    )
    counter = select(
        RevisionCounterRow.store_id, RevisionCounterRow.compact_revision, RevisionCounterRow.compact_id
    )
    head = connection.execute(counter).one()
    rows = connection.execute(select(_ROUTERS, logged.label("logged")).order_by(_ROUTERS.c.watcher_id))
    return [_record(row, head) for row in rows]


def save_routers(connection: Connection, put: Sequence[RouterRecord], gone: Sequence[str]) -> None:
    """Keep these records, in the place of older ones, and drop those of the routers that are gone."""
    if gone:
        connection.execute(delete(_ROUTERS).where(among(_ROUTERS.c.watcher_id, gone)))
    if put:
        insert = insert_sqlite if connection.dialect.name == "sqlite" else insert_postgresql
        statement = insert(_ROUTERS)
        newer = {
            column.name: statement.excluded[column.name]
            for column in _ROUTERS.columns
            if not column.primary_key
        }
        statement = statement.on_conflict_do_update(
            index_elements=[_ROUTERS.c.watcher_id],
            set_=newer,
            where=statement.excluded.seen_time >= _ROUTERS.c.seen_time,
        )
        connection.execute(statement, [_values(record) for record in put])


def _record(row: Row[Any], head: Row[UUID, int, UUID]) -> RouterRecord:
    known = row.logged or (head.compact_id if row.applied_revision >= head.compact_revision else None)
    applied = None
    if known is not None and (row.store_id, row.content_id) == (str(head.store_id), str(known)):
        applied = RevisionToken(head.store_id, known, row.applied_revision)
    return RouterRecord(row.watcher_id, applied, row.apply_time, row.seen_time, row.peer)


def _values(record: RouterRecord) -> dict[str, object]:
    applied = record.applied
    return {
        "watcher_id": record.watcher_id,
        "store_id": str(applied.store_id) if applied else "",
        "content_id": str(applied.content_id) if applied else "",
        "applied_revision": applied.revision if applied else 0,
        "apply_time": record.apply_time,
        "seen_time": record.seen_time,
        "peer": record.peer,
    }
