"""The one shape of background work: a step that may fail, again and again until the process ends.

A step that fails is logged and tried again after its pause; a task that ends all the same says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from structlog.typing import FilteringBoundLogger

from runtime.logs import bug_fields
from service.domain.errors import RegistryError
from service.telemetry import TASK_ENDED

Step = Callable[[], Awaitable[None]]
Run = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs synchronous work off the event loop."""


class Nudge:
    """Wakes a task. Any thread may call it, also when the loop has ended. Create it inside the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due = asyncio.Event()

    def __call__(self) -> None:
        """Let `wait` return, now or the next time."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._due.set)

    async def wait(self) -> None:
        """Return once there is something to do."""
        await self._due.wait()
        self._due.clear()


async def attempt(step: Step, log: FilteringBoundLogger, failed: str) -> None:
    """Run one step. If it fails, log ``failed``, with the stack where that is a bug, and return."""
    try:
        await step()
    except RegistryError as error:
        log.warning(failed, **error.log_fields)
    except Exception as error:
        # The top of a background task: were it to end here, what it does would not be done any more.
        log.error(failed, **bug_fields(error))


async def repeat(step: Step, seconds: float, log: FilteringBoundLogger, failed: str) -> None:
    """Attempt a step at once and every so many seconds, until cancelled."""
    while True:
        await attempt(step, log, failed)
        await asyncio.sleep(seconds)


async def whenever(due: Nudge, step: Step, log: FilteringBoundLogger, failed: str) -> None:
    """Attempt a step each time it is due, until cancelled."""
    while True:
        await due.wait()
        await attempt(step, log, failed)


@asynccontextmanager
async def running(works: list[Coroutine[Any, Any, None]], log: FilteringBoundLogger) -> AsyncIterator[None]:
    """Run these beside the calls for as long as the context lasts, then cancel them, the last one first."""
    tasks = [asyncio.create_task(_supervised(work, log)) for work in works]
    try:
        yield
    finally:
        for task in reversed(tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _supervised(work: Coroutine[Any, Any, None], log: FilteringBoundLogger) -> None:
    """Log it should the work end by a failure: what it does would be missed in silence."""
    try:
        await work
    except Exception as error:
        log.error(TASK_ENDED, **bug_fields(error))
