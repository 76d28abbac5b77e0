"""Two registries on one PostgreSQL: from a commit on one until a watcher of the other has it.

Two pairs of registries serve side by side, one with notices and one that only polls, and take turns.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import quantiles

import grpc
from codevector.providers.v1 import routing_service_pb2 as routing
from google.protobuf.duration_pb2 import Duration

from tests.support.servers.desk import Desk
from tests.support.servers.postgresql import PostgresServer, running_server
from tests.support.servers.registry_pairs import two_registries

SESSION = b"0" * 16
PATIENCE_SECONDS = 30.0


@dataclass(slots=True)
class _Pair:
    """Two registries: writes go to ``here``, and a router watches ``there``. Times are in milliseconds."""

    here: Desk
    there: Desk
    arrived: queue.Queue[tuple[int, int]] = field(default_factory=queue.Queue)
    delivered: list[float] = field(default_factory=list)
    awaited: list[float] = field(default_factory=list)

    def deliver(self) -> None:
        """Write on one, and note how long after the answer the watcher of the other has it."""
        self.here.api.create()
        answered = time.monotonic_ns()
        revision = int(self.here.api.trailers["x-revision"])
        while True:
            got, at = self.arrived.get(timeout=PATIENCE_SECONDS)
            if got >= revision:
                self.delivered.append((at - answered) / 1e6)
                return

    def wait(self) -> None:
        """Report at one that the router has the newest table, and ask the other whether all have it."""
        self.here.api.create()
        token = self.here.api.trailers["x-revision-token"]
        while self.arrived.get(timeout=PATIENCE_SECONDS)[0] < int(self.here.api.trailers["x-revision"]):
            pass
        self.there.report("gateway-0", token, session=SESSION)
        begun = time.monotonic_ns()
        assert self.here.wait(token=token, seconds=PATIENCE_SECONDS).reached
        self.awaited.append((time.monotonic_ns() - begun) / 1e6)


def replicas(writes: int) -> None:
    """Deliver so many commits and wait for an eighth as many, pair by pair in random order."""
    with (
        running_server() as server,
        _pair(server, notify=True) as told,
        _pair(server, notify=False) as polling,
    ):
        pairs = {"notices": told, "polls alone": polling}
        for number in range(writes):
            for pair in random.sample(list(pairs.values()), 2):
                time.sleep(random.uniform(0, 0.1))  # no write keeps step with a poll
                pair.deliver()
                if number % 8 == 0:
                    pair.wait()
    print(f"\n## Replicas: two on one PostgreSQL, {writes} commits, {len(told.awaited)} waits, in turn\n")
    print("| by | answer to delivery elsewhere: p50 ms | p99 ms | AwaitAppliedRevision: p50 ms | p99 ms |")
    print("|---|---|---|---|---|")
    for name, pair in pairs.items():
        cells = [f"{cut:,.1f}" for times in (pair.delivered, pair.awaited) for cut in _cuts(times)]
        print(f"| {name} | {' | '.join(cells)} |")


def _cuts(times: list[float]) -> tuple[float, float]:
    cuts = quantiles(times, n=100)
    return cuts[49], cuts[98]


@contextmanager
def _pair(server: PostgresServer, *, notify: bool) -> Iterator[_Pair]:
    with ExitStack() as stack:
        first, second = stack.enter_context(two_registries(server, notify=notify))
        made = _Pair(Desk(first), Desk(second))
        request = routing.WatchRoutingRequest(
            watcher_id="gateway-0", session=SESSION, bookmark_interval=Duration(seconds=60)
        )
        stream = second.routing.WatchRouting(request)
        stack.callback(stream.cancel)
        next(stream)
        threading.Thread(target=_note, args=(stream, made.arrived), daemon=True).start()
        yield made


def _note(stream: Iterator[routing.WatchRoutingResponse], arrived: queue.Queue[tuple[int, int]]) -> None:
    try:
        for message in stream:
            arrived.put((message.revision, time.monotonic_ns()))
    except grpc.RpcError:
        return  # the measurement has ended
