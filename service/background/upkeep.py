"""The step that keeps the store small."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from structlog.typing import FilteringBoundLogger

from service.store import Store
from service.telemetry import COMPACTED

COMPACTION_SECONDS = 3600.0

Run = Callable[[Callable[[], Any]], Awaitable[Any]]


async def compact(store: Store, run: Run, log: FilteringBoundLogger) -> None:
    """Forget old change sets."""
    log.info(COMPACTED, compact_revision=await run(store.compact))
