"""Ends the process when the files of its database were taken away: it could only acknowledge what is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from service.background.tasks import Run
from service.store import Loss, Store
from service.telemetry import DATABASE_LOST

LOOK_SECONDS = 1.0
ANSWER_SECONDS = 0.5
"""How long the calls under way have to be refused before the process ends."""
EXIT_CODE = 1


def end_on_loss(log: FilteringBoundLogger, end: Callable[[int], object]) -> Callable[[Loss], None]:
    """Return what to do about a loss, from any thread: say what is left, and ``end`` the process soon.

    At once and without closing anything: a connection that closes would move its log into whatever file has
    taken the place of the database.
    """
    loop = asyncio.get_running_loop()

    def lost(loss: Loss) -> None:
        log.error(DATABASE_LOST, what=loss.what, kept=str(loss.kept) if loss.kept else None)
        loop.call_soon_threadsafe(loop.call_later, ANSWER_SECONDS, end, EXIT_CODE)

    return lost


async def look(store: Store, run: Run) -> None:
    """Check the database's files, also while nothing is written."""
    await run(store.look)
