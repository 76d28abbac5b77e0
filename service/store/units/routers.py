"""What replicas share of routers: who watches where, and who has applied what. Takes no revision.

Each replica writes under its own id and counts its flushes, and a row names the flush that wrote it last. So
a reader needs only what was written since it last read, and no clocks are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    Row,
    Subquery,
    Table,
    Text,
    and_,
    bindparam,
    case,
    delete,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.types import TypeEngine

from service.domain.history import RevisionToken
from service.domain.json_forms import canonical_json
from service.domain.routers import Flush, Heard, ReplicaRecord, RouterKey, RouterRecord, Shared, Stamp
from service.store.columns import BYTEWISE, to_micros
from service.store.rows import ChangeLogRow, ReplicaRow, RevisionCounterRow, RouterRow, RouterWatchRow
from service.store.sql import Lossy, among, listed

_ROUTERS: Table = RouterRow.__table__  # type: ignore[assignment]
_REPLICAS: Table = ReplicaRow.__table__  # type: ignore[assignment]
_WATCHES: Table = RouterWatchRow.__table__  # type: ignore[assignment]

_KEY = ("principal", "watcher_id", "session")
_APPLIED = ("store_id", "content_id", "applied_revision", "apply_time")
_HEARD: Mapping[str, TypeEngine[Any]] = MappingProxyType(
    {
        "store_id": BYTEWISE,
        "content_id": BYTEWISE,
        "applied_revision": BigInteger(),
        "apply_time": BigInteger(),
        "takes": BigInteger(),
        "over": BYTEWISE,
        "seen_time": BigInteger(),
        "peer": BYTEWISE,
        "stopped": BigInteger(),
    }
)
"""What is sent of a router beside its key: `Heard`, with times in microseconds."""


def flush_routers(connection: Connection, flush: Flush, *, shared: bool) -> bool:
    """Write what a replica has heard. Returns whether its row was as it left it; if not, nothing is written.

    Without ``shared`` there is one replica, and only the routers are kept. The number of statements is the
    same for any number of routers.
    """
    replica_id, seq = flush.stamp.replica_id, flush.stamp.flush_seq + 1
    if shared and not _beat(connection, flush, seq):
        return False
    of, by = _STATEMENTS[connection.dialect.name], {"by": replica_id, "at": seq}
    heard = [_heard(*each) for each in flush.heard]
    _run(connection, of.begin, [_heard(*each) for each in flush.heard if each[1].began], by)
    if shared:
        # In the order of their keys, so that replicas never wait for each other in a circle.
        _run(connection, of.lock, heard)
    _run(connection, of.add, heard, by)
    if flush.leaves:
        connection.execute(delete(_WATCHES).where(_WATCHES.c.replica_id == replica_id))
    elif shared:
        _run(connection, of.close, [_named(key) for key in flush.closed], {"replica_id": replica_id})
        _run(connection, of.open, [_named(key) for key in flush.opened], {"replica_id": replica_id})
    for dead in flush.dead:
        _remove(connection, dead)
    _run(connection, of.forget, [(*_named(key), *written) for key, written in flush.forgotten])
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
    if flush.leaves:
        return connection.execute(delete(_REPLICAS).where(_REPLICAS.c.replica_id == replica_id)).rowcount == 1
    mine = and_(_REPLICAS.c.replica_id == replica_id, _REPLICAS.c.flush_seq == flush.stamp.flush_seq)
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


def _remove(connection: Connection, dead: Stamp) -> None:
    """Take away a replica that has not been heard of for long, unless it has been in between."""
    gone = connection.execute(
        delete(_REPLICAS).where(
            _REPLICAS.c.replica_id == dead.replica_id, _REPLICAS.c.flush_seq == dead.flush_seq
        )
    )
    if gone.rowcount:
        connection.execute(delete(_WATCHES).where(_WATCHES.c.replica_id == dead.replica_id))


@dataclass(frozen=True, slots=True)
class _Statements:
    """What is run for many routers at once, in one database's words. Each takes its ``rows`` as `listed`."""

    begin: Executable
    lock: Executable
    add: Executable
    open: Executable
    close: Executable
    forget: Executable


def _statements(dialect: str) -> _Statements:
    insert = insert_sqlite if dialect == "sqlite" else insert_postgresql
    names: dict[str, TypeEngine[Any]] = dict.fromkeys(_KEY, BYTEWISE)
    heard, named = listed(dialect, **names, **_HEARD), listed(dialect, **names)
    forgotten = listed(dialect, **names, by=BYTEWISE, at=BigInteger())
    by, at = bindparam("by", type_=Text()), bindparam("at", type_=BigInteger())
    replica_id = bindparam("replica_id", type_=Text())
    first = {
        "store_id": literal(""),
        "content_id": literal(""),
        "applied_revision": literal(0),
        "seen_time": heard.c.seen_time,
        "peer": heard.c.peer,
        "stopped": literal(0),
        "writer_id": by,
        "writer_seq": at,
    }
    keys = [heard.c[name] for name in _KEY]
    begin = select(*keys, *first.values()).order_by(*keys)
    opened = select(replica_id, *named.c).order_by(*named.c)
    written_by = tuple_(*(_ROUTERS.c[name] for name in (*_KEY, "writer_id", "writer_seq")))
    watching = tuple_(*(_WATCHES.c[name] for name in _KEY))
    same = and_(*(_ROUTERS.c[name] == heard.c[name] for name in _KEY))
    return _Statements(
        begin=insert(_ROUTERS).from_select([*_KEY, *first], begin).on_conflict_do_nothing(),
        lock=select(literal(1))
        .select_from(_ROUTERS.join(heard, same))
        .order_by(*(_ROUTERS.c[name] for name in _KEY))
        .with_for_update(of=_ROUTERS),
        add=update(_ROUTERS).where(same).values(_sum(heard) | {"writer_id": by, "writer_seq": at}),
        open=insert(_WATCHES).from_select(["replica_id", *_KEY], opened).on_conflict_do_nothing(),
        close=delete(_WATCHES).where(_WATCHES.c.replica_id == replica_id, watching.in_(select(*named.c))),
        forget=delete(_ROUTERS).where(written_by.in_(select(*forgotten.c))),
    )


def _sum(heard: Subquery) -> dict[str, ColumnElement[Any]]:
    """Return what a row holds with what was heard added to it."""
    rows = _ROUTERS.c
    takes = or_(
        heard.c.takes == 2,
        and_(
            heard.c.takes == 1,
            or_(
                rows.applied_revision < heard.c.applied_revision,
                rows.content_id == heard.c.over,
                rows.content_id == "",
                rows.store_id != heard.c.store_id,
            ),
        ),
    )
    applied = {name: case((takes, heard.c[name]), else_=rows[name]) for name in _APPLIED}
    stopped = case((heard.c.stopped >= 0, heard.c.stopped), else_=rows.stopped)
    return {**applied, "stopped": stopped, "seen_time": heard.c.seen_time, "peer": heard.c.peer}


def _run(
    connection: Connection,
    statement: Executable,
    rows: Sequence[tuple[object, ...]],
    values: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Run a statement for rows, if there are any."""
    if rows:
        connection.execute(statement, {"rows": canonical_json(rows).decode(), **values})


def _named(key: RouterKey) -> tuple[str, str, str]:
    return key.principal, key.watcher_id, key.session.hex()


def _heard(key: RouterKey, heard: Heard) -> tuple[object, ...]:
    """Return a row of `_HEARD`. ``takes`` is 2 for what replaces, 1 for what is merged, 0 for nothing."""
    applied = heard.applied
    return (
        *_named(key),
        str(applied.store_id) if applied else "",
        str(applied.content_id) if applied else "",
        applied.revision if applied else 0,
        to_micros(heard.apply_time) if heard.apply_time else None,
        2 if heard.sets else int(applied is not None),
        str(heard.over or ""),
        to_micros(heard.seen_time),
        heard.peer,
        -1 if heard.stopped is None else int(heard.stopped),
    )


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
    if row.content_id and row.store_id:  # both or none, unless a hand took one away
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


_STATEMENTS = {dialect: _statements(dialect) for dialect in ("sqlite", "postgresql")}
