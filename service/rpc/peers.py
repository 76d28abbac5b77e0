"""What one client may have under way, so that it takes neither the threads nor the memory of others.

A peer is a connection: on loopback all clients are one principal, and behind a proxy many have one address. A
proxy opens further connections when one has as many streams as it may.

| Share of a connection | Bound by |
|---|---|
| streams of any kind, reset ones included until they are cleared away | gRPC, ``MAX_STREAMS`` in `options` |
| unary calls, from their request to their response | here: the next is refused |
| watches | here: the next is refused |
| bytes that were sent to it and that it has not read | here: the next response is refused, a watch waits |

A refusal says more to an honest client than waiting in line for its own calls, which gRPC would do silently.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import grpc

from service.domain.errors import Reason, ResourceExhausted

MAX_CALLS = 100
MAX_WATCHES = 100
MAX_UNREAD_BYTES = 32 << 20
"""Beyond which nothing more is sent: one snapshot of the largest table always is."""
SMALL_BYTES = 256 << 10
"""Messages up to this size are not counted, which would cost a read 4 % more CPU: there cannot be more of
them than streams, so these are 32 MiB as well."""
RETRY_SECONDS = 1.0

PEER: ContextVar[str] = ContextVar("peer", default="")
"""The connection that the running call came by; empty in background work."""

Send = Callable[[bytes], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Peer:
    """What a connection has under way. ``senders`` wait until some of ``unread_bytes`` have been read."""

    calls: int = 0
    watches: int = 0
    unread_bytes: int = 0
    senders: list[asyncio.Future[None]] = field(default_factory=list)


class Peers:
    """The connections that have something under way. Belongs to the event loop."""

    def __init__(
        self,
        *,
        max_calls: int = MAX_CALLS,
        max_watches: int = MAX_WATCHES,
        max_unread_bytes: int = MAX_UNREAD_BYTES,
    ) -> None:
        self._max_calls = max_calls
        self._max_watches = max_watches
        self._max_unread_bytes = max_unread_bytes
        self._peers: dict[str, _Peer] = {}

    def __len__(self) -> int:
        return len(self._peers)

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """Count a unary call of this connection while the block runs.

        Raises:
            ResourceExhausted: TOO_MANY_CALLS; UNREAD_RESPONSES, as `respond`.
        """
        peer = self._of(name)
        if peer.calls >= self._max_calls:
            raise _exhausted(
                f"this connection has {self._max_calls} calls under way, as many as it may: "
                "retry when some have ended",
                Reason.TOO_MANY_CALLS,
                max_calls=self._max_calls,
            )
        self._check_unread(peer)
        peer.calls += 1
        before = PEER.set(name)
        try:
            yield
        finally:
            PEER.reset(before)
            peer.calls -= 1
            self._tidy(name, peer)

    @contextmanager
    def watch(self, name: str, write: Send) -> Iterator[Send]:
        """Count a watch of this connection while the block runs; yield how to send to it.

        Raises:
            ResourceExhausted: TOO_MANY_WATCHERS.
        """
        peer = self._of(name)
        if peer.watches >= self._max_watches:
            raise _exhausted(
                f"this connection has {self._max_watches} watches, as many as it may: use another connection",
                Reason.TOO_MANY_WATCHERS,
                max_watchers=self._max_watches,
            )
        peer.watches += 1

        def send(message: bytes) -> Awaitable[None]:
            if len(message) <= SMALL_BYTES:
                return write(message)
            return self._send(peer, write, message)

        try:
            yield send
        finally:
            peer.watches -= 1
            self._tidy(name, peer)

    def respond(
        self, context: grpc.aio.ServicerContext[Any, Any], response: bytes, *, may_refuse: bool
    ) -> bytes:
        """Return the response of a unary call, counted until it has been read or its client has gone.

        Raises:
            ResourceExhausted: UNREAD_RESPONSES, the connection has not read what it was sent before.
        """
        size = len(response)
        if size <= SMALL_BYTES:
            return response
        name = context.peer()
        peer = self._of(name)
        if may_refuse:
            self._check_unread(peer)
        peer.unread_bytes += size

        def done(_context: object) -> None:
            self._was_read(peer, size)
            self._tidy(name, peer)

        context.add_done_callback(done)  # type: ignore[arg-type]  # the stubs' class should be a protocol
        return response

    async def _send(self, peer: _Peer, write: Send, message: bytes) -> None:
        """Send a large message once there is room for it."""
        while peer.unread_bytes >= self._max_unread_bytes:
            room = asyncio.get_running_loop().create_future()
            peer.senders.append(room)
            await room
        peer.unread_bytes += len(message)
        try:
            await write(message)
        finally:
            self._was_read(peer, len(message))

    def _was_read(self, peer: _Peer, size: int) -> None:
        peer.unread_bytes -= size
        if peer.senders and peer.unread_bytes < self._max_unread_bytes:
            senders, peer.senders = peer.senders, []
            for room in senders:
                if not room.done():
                    room.set_result(None)

    def _check_unread(self, peer: _Peer) -> None:
        if peer.unread_bytes >= self._max_unread_bytes:
            raise _exhausted(
                f"this connection has not read {self._max_unread_bytes} bytes of responses: read them first",
                Reason.UNREAD_RESPONSES,
                max_unread_bytes=self._max_unread_bytes,
            )

    def _of(self, name: str) -> _Peer:
        peer = self._peers.get(name)
        if peer is None:
            peer = self._peers[name] = _Peer()
        return peer

    def _tidy(self, name: str, peer: _Peer) -> None:
        if not (peer.calls or peer.watches or peer.unread_bytes):
            del self._peers[name]


def _exhausted(message: str, reason: Reason, **limit: int) -> ResourceExhausted:
    return ResourceExhausted(
        message,
        reason=reason,
        subject="connection",
        metadata={name: str(value) for name, value in limit.items()},
        retry_after_seconds=RETRY_SECONDS,
    )
