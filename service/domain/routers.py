"""Routers as operators see them: who has which revision of the table, and for how long each counts.

A router is one session of a watcher id: two processes that use one id, as in a rolling restart with fixed
names, are two routers. A client that sends no session has the empty one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.domain.history import RevisionToken

REMEMBERED_FOR = timedelta(minutes=10)
"""How long a router counts after its last sign of life.

By then it uses no credential any more: without a live watch the library keeps one for at most ten minutes.
"""
STOPPED_FOR = timedelta(minutes=15)
"""How long a session that said it stops is remembered, so that nothing late brings it back."""


class RouterKey(NamedTuple):
    """Which router: who calls, under which id, and which session of it (16 bytes, or none)."""

    principal: str
    watcher_id: str
    session: bytes


class Stamp(NamedTuple):
    """Which replica wrote a row last, and with which of its flushes."""

    replica_id: str
    flush_seq: int


@dataclass(frozen=True, slots=True)
class Router:
    """A router that counts. Before a report of this store the revision is 0 and ``apply_time`` None.

    ``replicas`` are those that it watches, as far as is known here. ``session_id`` tells sessions of an id
    apart, and is not enough to speak for one. ``forget_time`` is None while it is watching.
    """

    watcher_id: str
    session_id: str
    applied_revision: int
    apply_time: datetime | None
    watching: bool
    replicas: Sequence[str]
    seen_time: datetime
    forget_time: datetime | None
    peer: str


@dataclass(slots=True)
class Heard:
    """What a replica has heard of a router since it last wrote, to be added to what is stored.

    ``applied`` replaces the stored token if its revision is higher, if the stored one has the content id
    ``over``, which is of another history, or with ``sets`` in any case. ``began`` makes the router if it is
    not stored; anything else that is heard does not. ``stopped`` is None where nothing was said of it.
    """

    seen_time: datetime
    peer: str
    began: bool = False
    applied: RevisionToken | None = None
    apply_time: datetime | None = None
    over: UUID | None = None
    sets: bool = False
    stopped: bool | None = None


@dataclass(frozen=True, slots=True)
class RouterRecord:
    """A router as it is stored. ``proven`` says that ``applied`` was of the store's history when read."""

    key: RouterKey
    applied: RevisionToken | None
    proven: bool
    apply_time: datetime | None
    seen_time: datetime
    peer: str
    stopped: bool
    replicas: tuple[str, ...]
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class ReplicaRecord:
    """A replica as it is stored: its last flush, and the table that it had then."""

    stamp: Stamp
    table: RevisionToken


@dataclass(frozen=True, slots=True)
class Flush:
    """What one replica writes at once. ``stamp`` is that of the flush before.

    ``opened`` and ``closed`` are routers that now watch this replica, or no longer do. ``forgotten`` go if
    nobody has written of them since, and so do ``dead`` replicas, with what they held open.
    """

    stamp: Stamp
    table: RevisionToken
    heard: Sequence[tuple[RouterKey, Heard]] = ()
    opened: Sequence[RouterKey] = ()
    closed: Sequence[RouterKey] = ()
    forgotten: Sequence[tuple[RouterKey, Stamp]] = ()
    dead: Sequence[Stamp] = ()
    joins: bool = False
    leaves: bool = False


@dataclass(frozen=True, slots=True)
class Shared:
    """What is stored of replicas and routers at one moment; of routers what is new to the reader."""

    replicas: Sequence[ReplicaRecord]
    routers: Sequence[RouterRecord]
