"""What replicas share of routers: who watches where, and who has applied what. Takes no revision.

Each replica writes under its own id and counts its flushes, and a row names the flush that wrote it last. So
a reader needs only what was written since it last read, and no clocks are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    bindparam,
    case,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from service.domain.history import RevisionToken
from service.domain.routers import Flush, Heard, ReplicaRecord, RouterKey, RouterRecord, Shared, Stamp
from service.store.rows import ChangeLogRow, ReplicaRow, RevisionCounterRow, RouterRow, RouterWatchRow
from service.store.sql import Lossy, among

_ROUTERS: Table = RouterRow.__table__  # type: ignore[assignment]
_REPLICAS: Table = ReplicaRow.__table__  # type: ignore[assignment]
_WATCHES: Table = RouterWatchRow.__table__  # type: ignore[assignment]

_KEY = ("principal", "watcher_id", "session")
_APPLIED = ("store_id", "content_id", "applied_revision", "apply_time")


def flush_routers(connection: Connection, flush: Flush, *, shared: bool) -> bool:
    """Write what a replica has heard. Returns whether its row was as it left it; if not, nothing is written.

    Without ``shared`` there is one replica, and only the routers are kept.
    """
    replica_id, seq = flush.stamp.replica_id, flush.stamp.flush_seq + 1
    if shared and not _beat(connection, flush, seq):
        return False
    if flush.heard:
        _write_heard(connection, flush.heard, Stamp(replica_id, seq))
    if shared:
        _write_watches(connection, flush)
        for dead in flush.dead:
            _remove(connection, dead)
    if flush.forgotten:
        gone = delete(_ROUTERS).where(
            *(_ROUTERS.c[name] == bindparam(f"of_{name}") for name in _KEY),
            _ROUTERS.c.writer_id == bindparam("by"),
            _ROUTERS.c.writer_seq == bindparam("at"),
        )
        connection.execute(
            gone, [_of(key) | {"by": stamp[0], "at": stamp[1]} for key, stamp in sorted(flush.forgotten)]
        )
    return True


def read_shared(connection: Connection, seen: Mapping[str, int]) -> Shared:
    """Return all replicas, and the routers of which flushes wrote that are not ``seen``, by replica."""
    replicas = [_replica(row) for row in connection.execute(select(_REPLICAS))]
    logged = (
        select(Lossy(ChangeLogRow.commit_id))
        .where(ChangeLogRow.revision <= _ROUTERS.c.applied_revision)
        .order_by(ChangeLogRow.revision.desc())
        .limit(1)
        .scalar_subquery()
    )
    counter = select(
        RevisionCounterRow.store_id,
        RevisionCounterRow.compact_revision,
        RevisionCounterRow.compact_id,
        RevisionCounterRow.revision,
    )
    head = connection.execute(counter).one()
    new = _new(seen)
    watching: dict[tuple[str, ...], tuple[str, ...]] = {}
    same = and_(*(_WATCHES.c[name] == _ROUTERS.c[name] for name in _KEY))
    for row in connection.execute(select(_WATCHES).join(_ROUTERS, same).where(new)):
        key = (row.principal, row.watcher_id, row.session)
        watching[key] = (*watching.get(key, ()), row.replica_id)
    rows = connection.execute(select(_ROUTERS, logged.label("logged")).where(new))
    return Shared(replicas, [_record(row, head, watching) for row in rows])


def _beat(connection: Connection, flush: Flush, seq: int) -> bool:
    """Count this flush in the replica's own row, or take the row away with the last one."""
    replica_id = flush.stamp.replica_id
    mine = and_(_REPLICAS.c.replica_id == replica_id, _REPLICAS.c.flush_seq == flush.stamp.flush_seq)
    if flush.leaves:
        return connection.execute(delete(_REPLICAS).where(mine)).rowcount == 1
    values = {
        "flush_seq": seq,
        "store_id": str(flush.table.store_id),
        "content_id": str(flush.table.content_id),
        "table_revision": flush.table.revision,
    }
    if flush.joins:
        connection.execute(insert(_REPLICAS), {"replica_id": replica_id, **values})
        return True
    return connection.execute(update(_REPLICAS).where(mine).values(values)).rowcount == 1


def _write_heard(connection: Connection, heard: Sequence[tuple[RouterKey, Heard]], stamp: Stamp) -> None:
    """Add to the rows in the order of their keys, so that replicas never wait for each other in a circle."""
    heard = sorted(heard, key=lambda one: one[0])
    began = [(key, one) for key, one in heard if one.began]
    if began:
        _insert_missing(connection, _ROUTERS, [_first(key, one, stamp) for key, one in began])
    connection.execute(
        _UPDATE, [_of(key) | _added(one) | {"by": stamp[0], "at": stamp[1]} for key, one in heard]
    )


def _write_watches(connection: Connection, flush: Flush) -> None:
    replica_id = flush.stamp.replica_id
    if flush.leaves:
        connection.execute(delete(_WATCHES).where(_WATCHES.c.replica_id == replica_id))
        return
    if flush.closed:
        ended = delete(_WATCHES).where(
            _WATCHES.c.replica_id == replica_id,
            *(_WATCHES.c[name] == bindparam(f"of_{name}") for name in _KEY),
        )
        connection.execute(ended, [_of(key) for key in sorted(flush.closed)])
    if flush.opened:
        rows = [{"replica_id": replica_id, **_named(key)} for key in sorted(flush.opened)]
        _insert_missing(connection, _WATCHES, rows)


def _insert_missing(connection: Connection, table: Table, rows: Sequence[dict[str, object]]) -> None:
    dialect = insert_sqlite if connection.dialect.name == "sqlite" else insert_postgresql
    connection.execute(dialect(table).on_conflict_do_nothing(), rows)


def _remove(connection: Connection, dead: Stamp) -> None:
    """Take away a replica that has not been heard of for long, unless it has been in between."""
    gone = connection.execute(
        delete(_REPLICAS).where(
            _REPLICAS.c.replica_id == dead.replica_id, _REPLICAS.c.flush_seq == dead.flush_seq
        )
    )
    if gone.rowcount:
        connection.execute(delete(_WATCHES).where(_WATCHES.c.replica_id == dead.replica_id))


def _update() -> Any:
    """Return the statement that adds what was heard to a row."""
    rows = _ROUTERS.c
    takes = or_(
        bindparam("takes") == 2,
        and_(
            bindparam("takes") == 1,
            or_(
                rows.applied_revision < bindparam("to_applied_revision"),
                rows.content_id == bindparam("over"),
                rows.content_id == "",
                rows.store_id != bindparam("to_store_id"),
            ),
        ),
    )
    applied = {
        name: case((takes, bindparam(f"to_{name}", type_=rows[name].type)), else_=rows[name])
        for name in _APPLIED
    }
    stopped = case((bindparam("says_stopped") == 1, bindparam("to_stopped")), else_=rows.stopped)
    return (
        update(_ROUTERS)
        .where(*(rows[name] == bindparam(f"of_{name}") for name in _KEY))
        .values(
            {
                **applied,
                "stopped": stopped,
                "seen_time": bindparam("to_seen_time", type_=rows.seen_time.type),
                "peer": bindparam("to_peer"),
                "writer_id": bindparam("by"),
                "writer_seq": bindparam("at"),
            }
        )
    )


_UPDATE = _update()


def _named(key: RouterKey) -> dict[str, object]:
    return {"principal": key.principal, "watcher_id": key.watcher_id, "session": key.session.hex()}


def _of(key: RouterKey) -> dict[str, object]:
    return {f"of_{name}": value for name, value in _named(key).items()}


def _token_values(applied: RevisionToken | None) -> dict[str, object]:
    return {
        "store_id": str(applied.store_id) if applied else "",
        "content_id": str(applied.content_id) if applied else "",
        "applied_revision": applied.revision if applied else 0,
    }


def _first(key: RouterKey, heard: Heard, stamp: Stamp) -> dict[str, object]:
    return {
        **_named(key),
        **_token_values(None),
        "apply_time": None,
        "seen_time": heard.seen_time,
        "peer": heard.peer,
        "stopped": 0,
        "writer_id": stamp.replica_id,
        "writer_seq": stamp.flush_seq,
    }


def _added(heard: Heard) -> dict[str, object]:
    takes = 2 if heard.sets else int(heard.applied is not None)
    values = _token_values(heard.applied)
    return {f"to_{name}": value for name, value in values.items()} | {
        "takes": takes,
        "over": str(heard.over or ""),
        "to_apply_time": heard.apply_time,
        "to_seen_time": heard.seen_time,
        "to_peer": heard.peer,
        "says_stopped": int(heard.stopped is not None),
        "to_stopped": int(bool(heard.stopped)),
    }


def _new(seen: Mapping[str, int]) -> ColumnElement[bool]:
    """Return which rows were written by flushes that are not ``seen``."""
    rows = _ROUTERS.c
    newer = [and_(rows.writer_id == replica_id, rows.writer_seq > seq) for replica_id, seq in seen.items()]
    return or_(~among(rows.writer_id, seen), *newer)


def _replica(row: Row[Any]) -> ReplicaRecord:
    table = RevisionToken(UUID(row.store_id), UUID(row.content_id), row.table_revision)
    return ReplicaRecord(Stamp(row.replica_id, row.flush_seq), table)


def _record(
    row: Row[Any],
    head: Row[UUID, int, UUID, int],
    watching: Mapping[tuple[str, ...], tuple[str, ...]],
) -> RouterRecord:
    applied, proven = None, False
    if row.content_id:
        applied = RevisionToken(UUID(row.store_id), UUID(row.content_id), row.applied_revision)
        known = row.logged
        if known is None and row.applied_revision >= head.compact_revision:
            known = str(head.compact_id)
        proven = (applied.store_id, str(applied.content_id)) == (head.store_id, known)
        proven = proven and applied.revision <= head.revision
    return RouterRecord(
        key=RouterKey(row.principal, row.watcher_id, bytes.fromhex(row.session)),
        applied=applied,
        proven=proven,
        apply_time=row.apply_time,
        seen_time=row.seen_time,
        peer=row.peer,
        stopped=bool(row.stopped),
        replicas=watching.get((row.principal, row.watcher_id, row.session), ()),
        stamp=Stamp(row.writer_id, row.writer_seq),
    )
