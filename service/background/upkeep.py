"""Steps that keep the store small and the list of routers known to every replica."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from structlog.typing import FilteringBoundLogger

from service.domain.routers import RouterRecord
from service.readmodel.live import LiveTable
from service.readmodel.routers import Routers
from service.store import Store
from service.telemetry import COMPACTED

COMPACTION_SECONDS = 3600.0
ROUTERS_SECONDS = 5.0
"""How often reports of routers are stored, and those of other replicas read: a crash forgets that much."""

Run = Callable[[Callable[[], Any]], Awaitable[Any]]


async def compact(store: Store, run: Run, log: FilteringBoundLogger) -> None:
    """Forget old change sets."""
    log.info(COMPACTED, compact_revision=await run(store.compact))


async def exchange_routers(store: Store, live: LiveTable, routers: Routers, run: Run) -> None:
    """Store what routers reported to this process, and take in what they reported to other replicas."""
    put, gone = routers.drain_changes()
    history = live.ring.history

    def exchange() -> list[RouterRecord]:
        if put or gone:
            store.save_routers(put, gone)
        return store.routers()

    stored = False
    try:
        found = await run(exchange)
        stored = True
    finally:
        if not stored:
            routers.requeue([record.watcher_id for record in put] + gone)
    routers.merge_stored(found, history)
