"""Many streams in one client: a Go program on the clients' core, which reports when all have a message."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from benchmarks.load import WIRE
from benchmarks.processes import CLIENT_CORE, Server, pin

OPEN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event: its call, and its first and last arrival; times in nanoseconds since 1970."""

    answer: bytes
    sent: int
    answered: int
    message: bytes
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Streams:
    """Open streams, of which ``served`` got a first message; ``failed`` counts what ended others."""

    served: int
    failed: dict[str, int]
    seconds: float
    first_message: bytes
    pid: int
    _input: IO[str]
    _output: IO[str]

    def deliver(self, method: str, request: bytes, is_event: Callable[[bytes], bool]) -> Delivery:
        """Make a call, and wait until the event that it causes has come to all streams."""
        line = {"method": f"/{method}", "request": base64.b64encode(request).decode()}
        self._input.write(json.dumps(line) + "\n")
        self._input.flush()
        call = event = None
        # Streams that resumed were sent older events first, and a call may be answered before any of its own.
        while call is None or event is None or event["first"] < call["sent"]:
            said = self._next()
            if "sent" in said:
                call = said
            elif is_event(base64.b64decode(said["message"])):
                event = said
        return Delivery(
            base64.b64decode(call["answer"] or ""),
            call["sent"],
            call["answered"],
            base64.b64decode(event["message"]),
            event["first"],
            event["last"],
        )

    def _next(self) -> dict[str, Any]:
        line = self._output.readline()
        said: dict[str, Any] = json.loads(line) if line else {"lost": "the client ended"}
        if said.get("error") or "lost" in said:
            raise RuntimeError(f"measuring failed: {said}")
        return said


@contextmanager
def streaming(
    server: Server,
    method: str,
    request: bytes,
    *,
    streams: int,
    connections: int,
    half_open: bool = False,
) -> Iterator[Streams]:
    """So many streams, opened all at once, until the block's end, when they are cancelled."""
    command = [*pin(CLIENT_CORE), str(WIRE), "watch", "-address", server.address, "-method", f"/{method}",
               "-request", base64.b64encode(request).decode(), "-streams", str(streams),
               "-connections", str(connections), "-seconds", str(OPEN_SECONDS),
               *(["-half-open"] if half_open else [])]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            said = json.loads(child.stdout.readline())
            first = base64.b64decode(said["first_message"] or "")
            yield Streams(
                said["served"], said["failed"], said["seconds"], first, child.pid, child.stdin, child.stdout
            )
        finally:
            child.stdin.close()
            child.wait(OPEN_SECONDS)
