"""The step that keeps the store small."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from structlog.typing import FilteringBoundLogger

from service.background.tasks import Run
from service.store import Store
from service.telemetry import COMPACTED, RESOURCE_CORRUPT

COMPACTION_SECONDS = 3600.0
ROW_CHECK_SECONDS = 3600.0


async def compact(store: Store, run: Run, log: FilteringBoundLogger) -> None:
    """Forget old change sets."""
    log.info(COMPACTED, compact_revision=await run(store.compact))


async def check_rows(store: Store, run: Run) -> None:
    """Find resources that cannot be read, also those that nothing has asked for since."""
    await run(store.check_rows)


async def report_refusals(report: Callable[[], None]) -> None:
    """Have the calls that were refused told as counts."""
    report()


def report_corrupt(log: FilteringBoundLogger, found: Mapping[str, Sequence[str]]) -> None:
    """Write one line for each resource that cannot be read: its name and the columns at fault."""
    for name, columns in found.items():
        log.error(RESOURCE_CORRUPT, resource=name, columns=list(columns))
