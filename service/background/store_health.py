"""Whether the database works, asked each second: a balancer must know before callers find out.

A busy database works. One that does not answer at all is away as well, so the question may stay open; there
is never more than one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from structlog.typing import FilteringBoundLogger

from service.background.tasks import Run, attempt
from service.domain.errors import Reason, Unavailable
from service.telemetry import STORE_AWAY, STORE_BACK

ASK_SECONDS = 1.0
AWAY_AFTER = 4
"""How many questions in a row, a second apart, without a good answer. Counted, not timed: a machine that
pauses for some seconds has no answer either, and nothing is wrong."""
TOLD_EVERY_SECONDS = 60.0
_NO_ANSWER: Mapping[str, str] = MappingProxyType(
    {"reason": Reason.STORE_UNAVAILABLE.value, "cause": "NO_ANSWER"}
)


class StoreHealth:
    """Create it inside the event loop that will run ``follow``.

    ``probe`` asks the database, and raises if it does not work. ``report`` is called whenever that changes,
    with whether it works; the first time when it is known.
    """

    def __init__(
        self,
        probe: Callable[[], None],
        run: Run,
        report: Callable[[bool], Awaitable[None]],
        log: FilteringBoundLogger,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probe = probe
        self._run = run
        self._report = report
        self._log = log
        self._monotonic = monotonic
        self._worked = monotonic()
        self._works: bool | None = None
        self._failures = 0
        self._told = (float("-inf"), "")

    async def follow(self) -> None:
        """Ask until cancelled."""
        while True:
            asked = asyncio.ensure_future(attempt(self._ask, self._log, STORE_AWAY))
            try:
                while not (await asyncio.wait([asked], timeout=ASK_SECONDS))[0]:
                    await self._failed(_NO_ANSWER)
            finally:
                asked.cancel()
            await asyncio.sleep(ASK_SECONDS)

    async def _ask(self) -> None:
        try:
            await self._run(self._probe)
        except Unavailable as error:
            if error.reason is not Reason.STORE_BUSY:
                await self._failed(error.log_fields)
                return
        away, self._worked = self._monotonic() - self._worked, self._monotonic()
        self._failures = 0
        if self._works is False:
            self._log.info(STORE_BACK, seconds=round(away, 1))
        await self._now(works=True)

    async def _failed(self, why: Mapping[str, str]) -> None:
        """Report once that it is away, and log each minute for how long: so old is the routing table."""
        self._failures += 1
        if self._failures < AWAY_AFTER:
            return
        now, cause = self._monotonic(), why.get("cause", "")
        told_at, told_cause = self._told
        if self._works is not False or cause != told_cause or now - told_at >= TOLD_EVERY_SECONDS:
            self._told = now, cause
            self._log.warning(STORE_AWAY, table_age_seconds=round(now - self._worked, 1), **why)
        await self._now(works=False)

    async def _now(self, *, works: bool) -> None:
        if works is not self._works:
            self._works = works
            await self._report(works)
