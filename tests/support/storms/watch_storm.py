"""Routers in a storm: writers change everything at once, registries are killed, the change log is compacted.

Routers watch meanwhile: some read slowly, some are cut off, resume from what they had long ago, or begin
anew. Each message is held to what the API promises; of a revision all are sent the same bytes, and nobody is
left out; in the end every table, and each that anybody ever had, brought up to date, is what is there.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import grpc
from codevector.providers.v1.model_service_pb2_grpc import ModelServiceStub
from codevector.providers.v1.provider_service_pb2_grpc import ProviderServiceStub
from google.protobuf.duration_pb2 import Duration

from service.store import open_store
from tests.support.servers.api import Api
from tests.support.servers.harness import PATIENCE_SECONDS, Instance, wait_until
from tests.support.servers.watching import Watch, connect
from tests.support.storms.random_writes import some_write
from tests.support.values.router_table import Ledger, Reason, RouterTable

CALL_SECONDS = 60.0
WRITERS = 4
ROUTERS = 10
SLOWEST_SECONDS = 0.05
MOST_RESUMES = 200
NOT_DONE = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNAVAILABLE,
    }
)
CUT_OFF = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
    }
)
BEGINNINGS = frozenset({Reason.REASON_INITIAL, Reason.REASON_COMPACTED})


@dataclass(slots=True)
class Writer:
    """Changes whatever the others change too. What is not there, or there already, is no failure."""

    chance: random.Random
    done: int = 0

    def run(self, addresses: Sequence[str], stopped: threading.Event) -> None:
        """Write until told to stop."""
        with ExitStack() as stack:
            channels = [stack.enter_context(connect(address)) for address in addresses]
            while not stopped.is_set():
                if ended_with(partial(self.write, self.chance.choice(channels)), NOT_DONE) is None:
                    self.done += 1
                else:
                    stopped.wait(0.01)

    def write(self, channel: grpc.Channel) -> None:
        """One random write."""
        method, request = some_write(self.chance)
        services: tuple[Any, ...] = (ProviderServiceStub(channel), ModelServiceStub(channel))
        call = next(getattr(one, method) for one in services if hasattr(one, method))
        call(request, timeout=CALL_SECONDS)


@dataclass(slots=True)
class Router:
    """One that watches through everything. ``memory`` is what it had at some earlier moments."""

    chance: random.Random
    ledger: Ledger
    is_slow: bool
    table: RouterTable = field(default_factory=RouterTable)
    memory: list[RouterTable] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)

    def run(self, addresses: Sequence[str], storm: Storm) -> None:
        """Watch here and there until the table is at the storm's last revision."""
        while not storm.is_over(self.table.revision):
            with connect(self.chance.choice(addresses)) as channel:
                self.watch(channel, storm, most=self.chance.randint(1, 200))

    def watch(self, channel: grpc.Channel, storm: Storm, *, most: int) -> None:
        """One stream, of at most so many messages."""
        choice = self.chance.random()
        if choice < 0.1:
            self.table = RouterTable()
        elif choice < 0.4 and self.memory:
            self.table = self.chance.choice(self.memory).copy()
        request = {"bookmark_interval": Duration(seconds=1), "strict_resume": self.chance.random() < 0.3}
        watch = Watch(channel, self.table, self.ledger, request)
        self.met["streams"] += 1
        ended = ended_with(lambda: self.read(watch, storm, most), CUT_OFF)
        watch.close()
        if ended is grpc.StatusCode.OUT_OF_RANGE:
            self.met["too old"] += 1
            self.table = RouterTable()
        elif ended is not None:
            self.met["cut off"] += 1
            storm.over.wait(0.05)
        assert set(self.table.reasons) <= BEGINNINGS, "neither another store nor one that went back"
        self.met.update(Reason.Name(reason) for reason in self.table.reasons)
        self.table.reasons.clear()

    def read(self, watch: Watch, storm: Storm, most: int) -> None:
        """Messages, until there were enough of them or all is over."""
        for _ in range(most):
            message = watch.message()
            if message.WhichOneof("event") == "change_set" and self.chance.random() < 0.05:
                self.memory.append(self.table.copy())
            if storm.is_over(self.table.revision):
                return
            if self.is_slow:
                storm.over.wait(self.chance.uniform(0, SLOWEST_SECONDS))


def ended_with(work: Callable[[], object], expected: Collection[grpc.StatusCode]) -> grpc.StatusCode | None:
    """How a call failed, as it may, or None."""
    try:
        work()
    except grpc.RpcError as error:
        if not isinstance(error, grpc.Call) or error.code() not in expected:
            raise
        return error.code()
    return None


@dataclass
class Storm:
    """Everybody, and the revision at which all of it is over."""

    instances: Sequence[Instance]
    chance: random.Random
    ledger: Ledger = field(default_factory=Ledger)
    over: threading.Event = field(default_factory=threading.Event)
    last_revision: int | None = None

    def is_over(self, revision: int) -> bool:
        return self.last_revision is not None and revision >= self.last_revision

    def kill_and_compact(self) -> None:
        """Kill or stop a registry, have the change log forget its older part, and start it again."""
        made = self.chance.choice(self.instances)
        self.chance.choice((made.kill_service, made.kill_service, made.stop_service))()
        url = made.environment.get("CODEVECTOR_DATABASE_URL", f"sqlite:///{made.home}/registry.db")
        if self.chance.random() < 0.5:
            kept = self.chance.randint(0, 300)
            with closing(open_store(url, clock=lambda: datetime.now(UTC))) as store:
                store.write(lambda unit: unit.log.compact(unit.revision - 1 - kept))
        made.start_service()

    def check(self, routers: Sequence[Router]) -> int:
        """Everything that anybody has, or had and brings up to date, is what is there. Returns how many."""
        now = RouterTable.of(Api(self.instances[0]).snapshot())
        assert now.revision == self.last_revision
        for router in routers:
            assert router.table == now
        once = [table for router in routers for table in router.memory]
        some = [RouterTable(), *self.chance.sample(once, min(len(once), MOST_RESUMES))]
        for instance in self.instances:
            with connect(instance.address) as channel:
                for table in some:
                    watch = Watch(channel, table.copy(), self.ledger)
                    watch.until(now.revision)
                    watch.close()
                    assert watch.table == now
        self.ledger.check()
        return len(some) * len(self.instances)


def rage(instances: Sequence[Instance], *, seed: int, kills: int, writes: int) -> str:
    """A storm of so many kills, with at least so many writes before each. Returns its result in one line."""
    storm = Storm(instances, random.Random(seed))
    writers = [Writer(random.Random(storm.chance.random())) for _ in range(WRITERS)]
    routers = [
        Router(random.Random(storm.chance.random()), storm.ledger, is_slow=number % 4 == 0)
        for number in range(ROUTERS)
    ]
    addresses = [each.address for each in instances]
    stopped = threading.Event()
    started = time.monotonic()
    with ThreadPoolExecutor(WRITERS + ROUTERS) as pool:
        writing = [pool.submit(writer.run, addresses, stopped) for writer in writers]
        watching = [pool.submit(router.run, addresses, storm) for router in routers]
        try:
            for number in range(kills + 1):
                _wait_for_writes(writers, (number + 1) * writes, [*writing, *watching])
                if number < kills:
                    storm.kill_and_compact()
            stopped.set()
            for each in writing:
                each.result(timeout=PATIENCE_SECONDS)
            storm.last_revision = Api(instances[0]).create().revision
            for each in watching:
                each.result(timeout=PATIENCE_SECONDS)
        finally:
            stopped.set()
            storm.last_revision = storm.last_revision or 0
            storm.over.set()
    seconds = time.monotonic() - started
    resumed = storm.check(routers)
    met = sum((router.met for router in routers), Counter())
    return (
        f"seed {seed}: {kills} kills and {sum(writer.done for writer in writers)} writes in {seconds:.0f} s; "
        f"{len(storm.ledger.messages)} change sets, {met['streams']} streams, {met['cut off']} cut off, "
        f"{met['REASON_COMPACTED'] + met['too old']} too old to resume, "
        f"{resumed} resumes at the end"
    )


def _wait_for_writes(writers: Sequence[Writer], count: int, running: Sequence[Future[None]]) -> None:
    def enough() -> bool:
        for each in running:
            if each.done():
                each.result()
                raise AssertionError("somebody ended too early")
        return sum(writer.done for writer in writers) >= count

    wait_until(enough, seconds=300, what="a storm of writes")
