"""What servicers have in common: use cases in threads, and routing reads show a write once it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

from service.domain.calls import Call
from service.rpc.boundary import Exchange
from service.rpc.threads import Lane, Lanes
from service.usecases.context import Context, Written

P = ParamSpec("P")
T = TypeVar("T")
Reached = Callable[[int, UUID | None], Awaitable[str | None]]
"""Waits until routing reads show a revision and, if that is given, the commit that took it."""


class Servicer:
    """The base of servicers that read and write."""

    def __init__(self, ctx: Context, lanes: Lanes, reached: Reached) -> None:
        self._ctx = ctx
        self._lanes = lanes
        self._reached = reached

    async def _read(
        self, use_case: Callable[Concatenate[Context, P], T], *args: P.args, **options: P.kwargs
    ) -> T:
        """Run a use case that reads."""
        return await self._lanes.reads.run(lambda: use_case(self._ctx, *args, **options))

    async def _write(
        self,
        exchange: Exchange,
        use_case: Callable[Concatenate[Context, Call, P], Written[T]],
        *args: P.args,
        **options: P.kwargs,
    ) -> T:
        """Run a use case that writes, and return once routing reads of this process show what it wrote."""
        return await self._written(self._lanes.writes, exchange, use_case, *args, **options)

    async def _seal(
        self,
        exchange: Exchange,
        use_case: Callable[Concatenate[Context, Call, P], Written[T]],
        *args: P.args,
        **options: P.kwargs,
    ) -> T:
        """As `_write`, for what has the key sidecar wrap a key: other writes do not wait for that."""
        return await self._written(self._lanes.keys, exchange, use_case, *args, **options)

    async def _written(
        self,
        lane: Lane,
        exchange: Exchange,
        use_case: Callable[Concatenate[Context, Call, P], Written[T]],
        *args: P.args,
        **options: P.kwargs,
    ) -> T:
        call = exchange.call
        written = await lane.run(lambda: use_case(self._ctx, call, *args, **options))
        if written.revision and not call.validate_only:
            exchange.revision = written.revision
            exchange.revision_token = await self._reached(written.revision, written.commit_id)
        return written.value
