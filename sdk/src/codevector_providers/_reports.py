"""Report to the registry which revision is in use: soon, and at most once a second."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import grpc
from codevector.providers.v1 import routing_service_pb2 as pb

from codevector_providers._registry import Registry

LEAST_SECONDS_BETWEEN = 1.0
MOST_JITTER_SECONDS = 1.0
STOPPING_SECONDS = 2.0


class Reports:
    """Belongs to the thread that follows the registry. ``due`` is when to call ``send``; infinity: never."""

    def __init__(
        self,
        registry: Registry,
        watcher_id: str,
        session: bytes,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._watcher_id = watcher_id
        self._session = session
        self._clock = clock
        self._random = random
        self._sent_time = -math.inf
        self._token = ""
        self._reported: str | None = None
        self._flight: tuple[Any, str] | None = None
        self.due = math.inf

    def notice(self, token: str) -> None:
        """Note the token of the table in use."""
        self._token = token
        self._land()
        if self.due < math.inf or self._token == self._reported:
            return
        if self._flight is not None and self._flight[1] == self._token:
            return
        now = self._clock()
        self.due = max(self._sent_time + LEAST_SECONDS_BETWEEN, now + MOST_JITTER_SECONDS * self._random())

    def forget(self) -> None:
        """Report again with the next message: the registry may have forgotten."""
        self._reported = self._flight = None

    def send(self) -> None:
        """Report, without waiting for the response. A failed report is repeated with the next message."""
        self.due = math.inf
        self._sent_time = self._clock()
        request = pb.ReportAppliedRevisionRequest(
            watcher_id=self._watcher_id, session=self._session, token=self._token
        )
        self._flight = (self._registry.report(request), self._token)

    def stop(self) -> None:
        """Report that this router stops. An unreachable registry forgets it after a while."""
        request = pb.ReportAppliedRevisionRequest(
            watcher_id=self._watcher_id, session=self._session, stopping=True
        )
        call = self._registry.report(request)
        try:
            call.result(timeout=STOPPING_SECONDS)
        except (grpc.RpcError, grpc.FutureTimeoutError):
            call.cancel()

    def _land(self) -> None:
        """Note the outcome of the last report, once it has one."""
        if self._flight is None:
            return
        call, token = self._flight
        if call.done():
            self._flight = None
            if not call.cancelled() and call.exception() is None:
                self._reported = token
