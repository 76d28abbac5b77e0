"""Waiting until all routers have a revision: a heap of waiters, counted for all of them together.

A waiter costs nothing while it waits. After a report, a flush of a replica, or a table loaded anew the
routers are counted once for all, at most every 50 milliseconds.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from dataclasses import dataclass, field

from service.readmodel.live import LiveTable
from service.readmodel.replicas import Replicas
from service.readmodel.ring import History
from service.readmodel.routers import Routers

COUNTED_SECONDS = 0.05


@dataclass(order=True, slots=True)
class _Waiter:
    """Who waits for ``wanted``, and for a ``view`` of the replicas that is new enough."""

    wanted: int
    order: int
    view: float = field(compare=False)
    history: History = field(compare=False)
    done: asyncio.Future[None] = field(compare=False)


class Waiting:
    """Those who wait. Belongs to the event loop; `changed` is to be called whenever the count may be."""

    def __init__(self, live: LiveTable, routers: Routers, replicas: Replicas) -> None:
        self._live = live
        self._routers = routers
        self._replicas = replicas
        self._loop = asyncio.get_running_loop()
        self._heap: list[_Waiter] = []
        self._numbers = itertools.count()
        self._is_due = False

    def __len__(self) -> int:
        return sum(not one.done.done() for one in self._heap)

    def is_reached(self, wanted: int, view: float) -> bool:
        """Return whether all routers have a revision, and enough is known of the replicas to say so."""
        return (
            self._replicas.has_view(view)
            and not self._replicas.without(self._live.ring, wanted)
            and self._routers.all_have(self._live.ring, wanted)
        )

    async def until(self, wanted: int, view: float, seconds: float) -> None:
        """Return once all routers have a revision in that view, the history is another, or the time is up."""
        history = self._live.ring.history
        if self.is_reached(wanted, view):
            return
        waiter = _Waiter(wanted, next(self._numbers), view, history, self._loop.create_future())
        heapq.heappush(self._heap, waiter)
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await waiter.done
        except TimeoutError:
            return
        finally:
            waiter.done.cancel()

    def changed(self) -> None:
        """Count again soon, once for all that wait."""
        if self._heap and not self._is_due:
            self._is_due = True
            self._loop.call_later(COUNTED_SECONDS, self._count)

    def _count(self) -> None:
        """Let go whoever has what he waits for; the least revision that is waited for comes first."""
        self._is_due = False
        history, ring = self._live.ring.history, self._live.ring
        if any(one.history is not history for one in self._heap):
            for one in self._heap:
                if one.history is not history and not one.done.done():
                    one.done.set_result(None)
        early: list[_Waiter] = []
        while self._heap:
            first = self._heap[0]
            if not first.done.done():
                if self._replicas.without(ring, first.wanted):
                    break
                if not self._routers.all_have(ring, first.wanted):
                    break
                if not self._replicas.has_view(first.view):
                    early.append(heapq.heappop(self._heap))
                    continue
                first.done.set_result(None)
            heapq.heappop(self._heap)
        for waiter in early:
            heapq.heappush(self._heap, waiter)
