"""The way from the event loop into synchronous code: lanes of a few threads, none of which waits for another.

A stopped key sidecar holds up what needs keys, a locked database what writes, a slow upstream what asks it;
reads and what routers get go on. What waits is bounded: the next call is refused at once, which tells its
caller more than a deadline does.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import TypeVar

from service.domain.errors import Reason, ResourceExhausted
from service.rpc.peers import PEER

T = TypeVar("T")

QUEUED = 256
"""How many calls wait in a lane at most: those of a console, a few tools and an import in parts."""
RETRY_SECONDS = 1.0


class Lane:
    """Runs work off the event loop, ``count`` pieces at a time. Belongs to the event loop.

    What waits stands in lines, which are served in turn: one for each connection, or for each host that is
    asked, so that slow calls hold up their own. ``share`` threads at most work for one line, and ``in_line``
    wait in it. When too many wait in all, the last of the longest line is refused. A cancelled caller does
    not stop work that has begun, or tear a commit; work that still waits is dropped.
    """

    def __init__(
        self,
        name: str,
        count: int,
        *,
        queued: int = QUEUED,
        share: int | None = None,
        in_line: int | None = None,
    ) -> None:
        self._name = name
        self.count = count
        self._queued = queued
        self._share = count if share is None else share
        self._in_line = queued if in_line is None else in_line
        self._running: Counter[str] = Counter()
        self._lines: dict[str, dict[asyncio.Future[None], None]] = {}
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, work: Callable[[], T], *, host: str = "") -> T:
        """Await ``work()`` done in a thread, context variables kept.

        Raises:
            ResourceExhausted: SERVER_BUSY, too many wait already; UPSTREAM_BUSY, too many for this host.
        """
        line = host or PEER.get()
        loop = asyncio.get_running_loop()
        if self._has_thread(line):
            self._running[line] += 1
        else:
            await self._turn(line, loop.create_future(), host)
        future = self._pool.submit(contextvars.copy_context().run, work)
        future.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(self._done, line))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Wait for what runs, then end the threads."""
        self._pool.shutdown(wait=True)

    def _has_thread(self, line: str) -> bool:
        return self._running[line] < self._share and self._running.total() < self.count

    async def _turn(self, line: str, turn: asyncio.Future[None], host: str) -> None:
        """Wait in line for a thread, which is then counted as running."""
        waiting = self._lines.get(line, {})
        if host and len(waiting) >= self._in_line:
            raise _busy(
                f"{self._in_line} calls are waiting for this upstream: retry",
                Reason.UPSTREAM_BUSY,
                self._name,
            )
        if sum(map(len, self._lines.values())) >= self._queued:
            self._make_room(len(waiting))
        self._lines.setdefault(line, waiting)[turn] = None
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(line, turn)
            elif turn.exception() is None:  # its turn had just come
                self._done(line)
            raise

    def _make_room(self, waiting: int) -> None:
        """Refuse the last call of the longest line in place of one whose line has so few ``waiting``.

        Raises:
            ResourceExhausted: SERVER_BUSY, no line is longer.
        """
        refusal = _busy(
            f"{self._queued} calls are waiting for the {self._name} threads: retry",
            Reason.SERVER_BUSY,
            self._name,
        )
        longest = max(self._lines, key=lambda line: len(self._lines[line]))
        if len(self._lines[longest]) <= waiting + 1:
            raise refusal
        last = next(reversed(self._lines[longest]))
        self._leave(longest, last)
        if not last.done():
            last.set_exception(refusal)

    def _done(self, line: str) -> None:
        """Leave a thread to the first in those lines that have waited longest for their turn."""
        self._running[line] -= 1
        if not self._running[line]:
            del self._running[line]
        while (following := next((one for one in self._lines if self._has_thread(one)), None)) is not None:
            turn = next(iter(self._lines[following]))
            if self._leave(following, turn):
                self._lines[following] = self._lines.pop(following)  # at the end: all others come first
            if not turn.done():
                self._running[following] += 1
                turn.set_result(None)

    def _leave(self, line: str, turn: asyncio.Future[None]) -> bool:
        """Take a call out of its line; return whether others stand there."""
        waiting = self._lines.get(line, {})
        waiting.pop(turn, None)
        if not waiting:
            self._lines.pop(line, None)
        return bool(waiting)


def _busy(message: str, reason: Reason, lane: str) -> ResourceExhausted:
    return ResourceExhausted(
        message, reason=reason, subject=lane, metadata={"lane": lane}, retry_after_seconds=RETRY_SECONDS
    )


@dataclass(frozen=True, slots=True)
class Lanes:
    """All lanes of a registry. The store keeps a connection for each thread of those that use it."""

    reads: Lane
    writes: Lane
    keys: Lane
    """Calls that ask the key sidecar first: storing credentials, moving and verifying data keys."""
    upstreams: Lane
    """Calls that ask an upstream, which may take a minute."""
    filters: Lane
    """Filters over the routing table: mere computing, which more threads would only slow down."""
    following: Lane
    """The routing table, which follows the store."""
    routers: Lane
    """What replicas tell each other of routers: one that is held up seems dead to the others."""
    notices: Lane
    """What replicas tell each other, in a connection beside the store's."""
    upkeep: Lane
    """Background work on the store."""
    sweep: Lane
    """Background work that asks the key sidecar."""

    def close(self) -> None:
        """Wait for what runs, then end the threads."""
        for field in fields(self):
            getattr(self, field.name).close()


def open_lanes() -> Lanes:
    """Return lanes of their usual size."""
    return Lanes(
        reads=Lane("reads", 4, share=3),
        writes=Lane("writes", 4),
        keys=Lane("keys", 4),
        upstreams=Lane("upstreams", 8, share=2, in_line=16),
        filters=Lane("filters", 1),
        following=Lane("following", 1),
        routers=Lane("routers", 1),
        notices=Lane("notices", 1),
        upkeep=Lane("upkeep", 2),
        sweep=Lane("sweep", 2),
    )
