"""The one way from the event loop into synchronous code: a small pool of threads, context variables kept."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
THREADS = 8
"""As many as the store keeps connections for."""


class Threads:
    """Runs use cases off the event loop. A cancelled caller does not stop the work or tear a commit."""

    def __init__(self, count: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="usecase")

    async def run(self, work: Callable[[], T]) -> T:
        """Await ``work()`` done in a thread."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, work)

    def close(self) -> None:
        """Wait for what runs, then end the threads."""
        self._pool.shutdown(wait=True)
