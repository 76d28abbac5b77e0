"""The way from the event loop into synchronous code: lanes of a few threads, none of which waits for another.

A stopped key sidecar holds up what needs keys, a locked database what writes, a slow upstream what asks it;
reads and what routers get go on. What waits is bounded: the next call is refused at once, which tells its
caller more than a deadline does.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import TypeVar

from service.domain.errors import Reason, ResourceExhausted

T = TypeVar("T")

QUEUED = 256
"""How many calls wait in a lane at most: those of a console, a few tools and an import in parts."""
RETRY_SECONDS = 1.0


class Lane:
    """Runs work off the event loop, ``count`` pieces at a time. Belongs to the event loop.

    A cancelled caller does not stop work that has begun, or tear a commit; work that still waits is dropped.
    """

    def __init__(self, name: str, count: int, *, queued: int = QUEUED) -> None:
        self._name = name
        self._room = count + queued
        self._unfinished = 0
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, work: Callable[[], T]) -> T:
        """Await ``work()`` done in a thread, context variables kept.

        Raises:
            ResourceExhausted: SERVER_BUSY, too many wait already.
        """
        if self._unfinished >= self._room:
            raise ResourceExhausted(
                f"{self._room} calls are waiting for the {self._name} threads: retry",
                reason=Reason.SERVER_BUSY,
                subject=self._name,
                metadata={"lane": self._name},
                retry_after_seconds=RETRY_SECONDS,
            )
        context = contextvars.copy_context()
        future = self._pool.submit(context.run, work)
        self._unfinished += 1
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(self._finished))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Wait for what runs, then end the threads."""
        self._pool.shutdown(wait=True)

    def _finished(self) -> None:
        self._unfinished -= 1


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
        reads=Lane("reads", 4),
        writes=Lane("writes", 4),
        keys=Lane("keys", 4),
        upstreams=Lane("upstreams", 4),
        filters=Lane("filters", 1),
        following=Lane("following", 1),
        routers=Lane("routers", 1),
        notices=Lane("notices", 1),
        upkeep=Lane("upkeep", 2),
        sweep=Lane("sweep", 2),
    )
