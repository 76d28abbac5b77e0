"""Hearing what other replicas tell, so that this one does not wait for its next poll."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from service.background.tasks import Run, repeat
from service.domain.errors import RegistryError
from service.store import Notice, Notices
from service.telemetry import NOTICES_LOST

RETRY_SECONDS = 1.0
GATHER_SECONDS = 0.02
"""At most once in this time is the store looked at for commits, however many others make."""


class Hearing:
    """Acts on notices. Belongs to the event loop."""

    def __init__(
        self,
        notices: Notices,
        *,
        look: Callable[[], None],
        flush: Callable[[], None],
        read: Callable[[], None],
    ) -> None:
        """``look`` looks for commits, ``flush`` stores what was heard of routers, ``read`` reads that."""
        self._notices = notices
        self._look = look
        self._flush = flush
        self._read = read
        self._loop = asyncio.get_running_loop()
        self._looked = float("-inf")
        self._is_due = self._is_lost = False

    async def follow(self, run: Run, log: FilteringBoundLogger) -> None:
        """Listen until cancelled, again after each lost connection, which is logged once."""

        async def step() -> None:
            try:
                await run(self._listen)
            except RegistryError:
                if not self._is_lost:
                    self._is_lost = True
                    raise

        await repeat(step, RETRY_SECONDS, log, NOTICES_LOST)

    def _listen(self) -> None:
        """Hear what comes, in a thread of its own, and have it acted on in the event loop."""
        self._notices.listen(
            lambda notice: self._later(self.heard, notice), ready=lambda: self._later(self._caught_up)
        )

    def _later(self, act: Callable[..., None], *arguments: Notice) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act, *arguments)

    def heard(self, notice: Notice) -> None:
        """Do what a notice is for."""
        if notice is Notice.COMMITTED:
            self._commits()
        elif notice is Notice.FLUSH:
            self._flush()
        else:
            self._read()

    def _caught_up(self) -> None:
        """Look for what was told while nobody listened."""
        self._is_lost = False
        self._look()
        self._read()

    def _commits(self) -> None:
        """Look for commits: at once, unless that was done a moment ago."""
        if self._is_due:
            return
        wait = self._looked + GATHER_SECONDS - self._loop.time()
        self._is_due = True
        if wait > 0:
            self._loop.call_later(wait, self._look_now)
        else:
            self._look_now()

    def _look_now(self) -> None:
        self._is_due = False
        self._looked = self._loop.time()
        self._look()
