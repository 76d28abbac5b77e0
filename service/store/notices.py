"""What replicas tell each other through PostgreSQL's NOTIFY, beside their polls, which stay the truth.

A notice says that there is something to read, and never what: one that is lost costs a poll's time. It is
sent after the commit and over a connection of its own, since NOTIFY within a write's transaction has all
commits of the server wait for each other.
Source: https://www.postgresql.org/docs/current/sql-notify.html
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from enum import Enum
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.store.failures import Cause, Failure, Trouble, trouble_of, unavailable

CHANNEL = "codevector_registry"
"""Channels belong to one database, so two registries never hear each other."""


_LOST = Trouble(Failure.LOST, Cause.CONNECTION)
_SEND = "SELECT pg_notify(%s, kind) FROM unnest(%s::text[]) AS kind"


class Notice(Enum):
    """What one replica tells the others."""

    COMMITTED = "committed"
    """There is a revision that they do not have."""
    FLUSH = "flush"
    """Somebody waits for what they have heard of routers: store it now."""
    FLUSHED = "flushed"
    """That has been done."""


class Notices:
    """Sends and hears notices over one connection, in the thread that calls `listen`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._due: set[Notice] = set()
        self._closed = False
        self._waker: socket.socket | None = None

    def tell(self, notice: Notice) -> None:
        """Have a notice sent soon: never waits. Any thread may call it.

        While one is under way, further ones of its kind become a single one. Without a connection it is sent
        once there is one.
        """
        with self._lock:
            self._due.add(notice)
            self._wake()

    def listen(self, heard: Callable[[Notice], None], *, ready: Callable[[], None]) -> None:
        """Send, and call ``heard`` with what other replicas send, until `close`.

        ``ready`` is called once everything that is sent from then on will be heard: what was sent before has
        to be looked for.

        Raises:
            Unavailable: STORE_UNAVAILABLE, there is no connection any more.
        """
        import psycopg  # an extra, which is there where a database is PostgreSQL

        try:
            with closing(self._engine.raw_connection()) as pooled:
                connection = pooled.driver_connection
                pooled.detach()
                self._exchange(connection, heard, ready)
        except (DBAPIError, PoolTimeout) as error:
            raise unavailable(trouble_of(error) or _LOST) from error
        except psycopg.Error as error:
            raise unavailable(_LOST) from error

    def close(self) -> None:
        """Have `listen` return, now or when it is called."""
        with self._lock:
            self._closed = True
            self._wake()

    def _exchange(self, connection: Any, heard: Callable[[Notice], None], ready: Callable[[], None]) -> None:
        connection.autocommit = True
        connection.execute(f"LISTEN {CHANNEL}")
        ready()
        known, own = {one.value: one for one in Notice}, connection.info.backend_pid
        with selectors.DefaultSelector() as selector, self._waking() as woken:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while not self._closed:
                due = self._take(woken)
                if due:
                    connection.execute(_SEND, [CHANNEL, due])
                # Also what has come with the answer, of which the socket says nothing any more.
                for notice in connection.notifies(timeout=0):
                    if notice.pid != own and notice.payload in known:
                        heard(known[notice.payload])
                selector.select()

    @contextmanager
    def _waking(self) -> Iterator[socket.socket]:
        """Yield a socket that can be read from once `tell` or `close` was called."""
        woken, waker = socket.socketpair()
        with woken, waker:
            for one in (woken, waker):
                one.setblocking(False)
            with self._lock:
                self._waker = waker
            try:
                yield woken
            finally:
                with self._lock:
                    self._waker = None

    def _take(self, woken: socket.socket) -> list[str]:
        """Return what is to be sent."""
        with self._lock:
            with suppress(BlockingIOError):
                woken.recv(4096)
            due, self._due = self._due, set()
        return sorted(one.value for one in due)

    def _wake(self) -> None:
        if self._waker is not None:
            with suppress(BlockingIOError):  # so much is unread that it wakes anyway
                self._waker.send(b"\0")
