"""What services that write have in common: a write is answered once routing reads show it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import TypeVar

from google.protobuf.message import Message

from service.rpc.boundary import Exchange
from service.rpc.threads import Threads
from service.usecases.context import Context, RequestId, Written

T = TypeVar("T")


class WritingServicer:
    """The base of servicers that write. ``reached`` waits until routing reads show a revision."""

    def __init__(
        self,
        ctx: Context,
        threads: Threads,
        *,
        fingerprint_key: bytes,
        reached: Callable[[int], Awaitable[None]],
    ) -> None:
        self._ctx = ctx
        self._run = threads.run
        self._fingerprint_key = fingerprint_key
        self._reached = reached

    async def _write(self, exchange: Exchange, work: Callable[[], Written[T]], *, preview: bool) -> T:
        """Do the write, and answer once routing reads of this process show it."""
        written = await self._run(work)
        if not preview and written.revision:
            exchange.revision = written.revision
            await self._reached(written.revision)
        return written.value

    def _request_id(self, request_id: str, request: Message) -> RequestId | None:
        """The idempotency key with a keyed fingerprint of the whole body, which may hold a secret."""
        if not request_id:
            return None
        body = request.SerializeToString(deterministic=True)
        return RequestId(request_id, hmac.new(self._fingerprint_key, body, hashlib.sha256).digest())
