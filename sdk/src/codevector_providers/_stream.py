"""One open watch, read with timeouts: a read of gRPC's own streams waits forever.

A thread that lives as long as the stream does nothing but hand its messages over, a few at a time, so that a
slow reader still holds the sender back.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from codevector.providers.v1 import routing_service_pb2 as pb

_MOST_WAITING = 8


class Stream:
    """One thread reads it; any thread may close it."""

    def __init__(self, call: Any) -> None:
        """Take over ``call``, the gRPC stream."""
        self._call = call
        self._turn = threading.Condition()
        self._waiting: deque[pb.WatchRoutingResponse] = deque()
        self._ended = False
        self._error: Exception | None = None
        self._reader = threading.Thread(target=self._hand_over, name="codevector-watch", daemon=True)
        self._reader.start()

    def read(self, seconds: float) -> pb.WatchRoutingResponse | None:
        """Return the next message, or None if none arrives in this time.

        Raises:
            EOFError: it ended without an error, or was closed.
            Exception: what made it fail, as a rule a grpc.RpcError.
        """
        with self._turn:
            self._turn.wait_for(lambda: self._waiting or self._ended, timeout=max(0.0, seconds))
            if self._waiting:
                message = self._waiting.popleft()
                self._turn.notify_all()
                return message
            if not self._ended:
                return None
            if self._error is not None:
                raise self._error
            raise EOFError("the registry ended the watch")

    def cancel(self) -> None:
        """End it, even during a read."""
        with self._turn:
            self._ended = True
            self._waiting.clear()
            self._turn.notify_all()
        self._call.cancel()

    def close(self) -> None:
        """End it, and wait until its thread has ended."""
        self.cancel()
        self._reader.join()

    def _hand_over(self) -> None:
        error: Exception | None = None
        try:
            for message in self._call:
                with self._turn:
                    self._turn.wait_for(lambda: self._ended or len(self._waiting) < _MOST_WAITING)
                    if self._ended:
                        return
                    self._waiting.append(message)
                    self._turn.notify_all()
        except Exception as failed:  # the reading thread handles it, whatever it is
            error = failed
        with self._turn:
            if not self._ended:
                self._ended, self._error = True, error
            self._turn.notify_all()
