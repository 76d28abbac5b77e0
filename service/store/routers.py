"""Routers that the registry has heard of, kept so that a restart forgets none. Takes no revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, Table, delete, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from service.domain.routers import RouterRecord
from service.store.rows import RouterRow
from service.store.sql import among

_ROUTERS: Table = RouterRow.__table__  # type: ignore[assignment]


def load_routers(connection: Connection) -> list[RouterRecord]:
    """All that are kept, by watcher_id."""
    rows = connection.execute(select(_ROUTERS).order_by(_ROUTERS.c.watcher_id))
    return [RouterRecord(**row) for row in rows.mappings()]


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
        connection.execute(statement, [asdict(record) for record in put])
