"""Following the key sidecar: two background tasks, one that asks how it is and one that moves wrappers.

Both run use cases in threads, a bounded step each, so that a shutdown waits for no more than one step.
Neither ever ends by a failure: it is logged and the next poll tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from functools import partial

from structlog.typing import FilteringBoundLogger

from service.background.tasks import Nudge, Run, attempt
from service.domain.errors import Reason, RegistryError, Unavailable
from service.sealing.kms_client import KmsStatus
from service.telemetry import KMS_AWAY, KMS_BACK, SWEEP_ENDED, SWEEP_FAILED
from service.usecases import rotation
from service.usecases.context import Context
from service.usecases.kms_state import refresh_kms_state
from service.usecases.rotation import Sweeping

POLL_SECONDS = 15.0
AWAY_POLL_SECONDS = 3.0
"""A sidecar that is back is needed at once: a caller waits to store a credential."""


class KeyFollower:
    """Create it inside the event loop that will run ``follow`` and ``sweep``.

    ``report`` is called after each poll with whether wrapping and whether unwrapping works. ``due`` wakes the
    sweep. ``holder`` names this process among replicas.
    """

    def __init__(
        self,
        ctx: Context,
        run: Run,
        report: Callable[[bool, bool], Awaitable[None]],
        due: Nudge,
        log: FilteringBoundLogger,
        *,
        holder: str,
    ) -> None:
        self._ctx = ctx
        self._run = run
        self._report = report
        self._log = log
        self._holder = holder
        self._loop = asyncio.get_running_loop()
        self._due = due
        self._away = False

    async def follow(self) -> None:
        """Ask the sidecar every 15 seconds until cancelled, more often while it is away; wake the sweep."""
        while True:
            await attempt(self._look, self._log, KMS_AWAY)
            await asyncio.sleep(AWAY_POLL_SECONDS if self._away else POLL_SECONDS)

    async def sweep(self) -> None:
        """Move wrappers whenever there are some to move, until cancelled."""
        while True:
            await self._due.wait()
            await attempt(self._sweep, self._log, SWEEP_FAILED)

    async def _look(self) -> None:
        status: KmsStatus
        try:
            status, is_recorded = await self._run(self._status)
        except RegistryError as error:
            self._went(away=True, reason=error.reason.value)
            await self._report(False, False)
            return
        self._went(away=False, reason="")
        await self._report(status.wrap_healthy, status.unwrap_healthy)
        if not is_recorded:
            return
        accepted = status.accepted_key_versions
        if status.wrap_healthy and await self._run(lambda: rotation.begin_sweep(self._ctx, accepted)):
            self._due()

    def _status(self) -> tuple[KmsStatus, bool]:
        """Return how the sidecar is, and whether that could be recorded: the database may be away."""
        try:
            return refresh_kms_state(self._ctx)[0], True
        except Unavailable as error:
            if error.reason not in (Reason.STORE_BUSY, Reason.STORE_UNAVAILABLE):
                raise
        return self._ctx.kms.status(), False

    def _went(self, *, away: bool, reason: str) -> None:
        """One line when the sidecar goes and one when it comes back, none in between."""
        if away != self._away:
            self._away = away
            if away:
                self._log.warning(KMS_AWAY, reason=reason)
            else:
                self._log.info(KMS_BACK)

    async def _sweep(self) -> None:
        """Pass over the table until a pass moves nothing. What failed in it waits for the next poll."""
        started, moved, passed, after = time.perf_counter(), 0, 0, ""
        try:
            while True:
                step = await self._run(partial(rotation.sweep_step, self._ctx, self._holder, after))
                if step.found is Sweeping.HELD:
                    # Its holder may have been killed: look again as soon as its lease can have run out.
                    self._loop.call_later(rotation.LEASE_SECONDS, self._due)
                    return
                after, passed = step.after, passed + step.moved
                if step.found is Sweeping.PASSED:
                    left = await self._run(lambda: rotation.backlog(self._ctx))
                    moved, again, passed = moved + passed, passed > 0, 0
                    if not left.remaining or not again:
                        break
            self._log.info(
                SWEEP_ENDED,
                moved=moved,
                remaining=left.remaining,
                quarantined=left.quarantined,
                seconds=round(time.perf_counter() - started, 3),
            )
        finally:
            with contextlib.suppress(Unavailable):
                await self._run(lambda: rotation.end_sweep(self._ctx, self._holder))
