"""What servicers have in common: use cases in threads, and routing reads show a write once it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, TypeVar

from service.domain.calls import Call
from service.rpc.boundary import Exchange
from service.rpc.threads import Threads
from service.usecases.context import Context, Written

P = ParamSpec("P")
T = TypeVar("T")


class Servicer:
    """The base of servicers that read and write. ``reached`` waits until routing reads show a revision."""

    def __init__(
        self, ctx: Context, threads: Threads, reached: Callable[[int], Awaitable[str | None]]
    ) -> None:
        self._ctx = ctx
        self._run = threads.run
        self._reached = reached

    async def _read(
        self, use_case: Callable[Concatenate[Context, P], T], *args: P.args, **options: P.kwargs
    ) -> T:
        """Run a use case that reads."""
        return await self._run(lambda: use_case(self._ctx, *args, **options))

    async def _write(
        self,
        exchange: Exchange,
        use_case: Callable[Concatenate[Context, Call, P], Written[T]],
        *args: P.args,
        **options: P.kwargs,
    ) -> T:
        """Run a use case that writes, and return once routing reads of this process show what it wrote."""
        call = exchange.call
        written = await self._run(lambda: use_case(self._ctx, call, *args, **options))
        if written.revision and not call.validate_only:
            exchange.revision = written.revision
            exchange.revision_token = await self._reached(written.revision)
        return written.value
