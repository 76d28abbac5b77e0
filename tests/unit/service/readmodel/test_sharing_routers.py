"""Several replicas share their routers over a real database: random lives, and one law.

A call never says that all routers have a revision while one is older that had begun to watch, anywhere,
before the call; and nobody counts after a stop.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO

import pytest
from sqlalchemy import Connection, create_engine, insert

from runtime.logs import build_logger
from service.domain.routers import Flush, RouterKey, Stamp
from service.domain.routing import EntryKind
from service.readmodel.replicas import DEAD_SECONDS, Replicas
from service.readmodel.ring import Ring
from service.readmodel.routers import Known, Routers
from service.store.rows import Base, ChangeLogRow, RevisionCounterRow
from service.store.units.routers import flush_routers, read_shared
from tests.support.doubles.hand_log import ONE, commit_id, token
from tests.support.values.registry_values import START, ManualClock

PEER = "ipv4:10.1.2.3:4"
STEPS = 150
SEEDS = range(15)


@dataclass
class Router:
    """A router process: which revision it routes by, and the watches it has open, by replica."""

    key: RouterKey
    revision: int = 0
    stopped: bool = False
    watches: list[tuple[Replica, Known]] = field(default_factory=list)


@dataclass
class Question:
    """A call that waits: for which revision, in which view, and who watched when it began."""

    wanted: int
    view: float
    watching: list[Router]


class Replica:
    """One replica's memory, exchanging with the database as the background task does."""

    def __init__(self, name: str, world: World) -> None:
        self.world = world
        self.ring = Ring(token(0))
        self.replicas = Replicas(name, shared=True, monotonic=lambda: world.seconds, clock=ManualClock())
        self.routers = Routers(ManualClock(), build_logger(StringIO(), logging.ERROR), shared=True)
        self.seq = 0
        self.seen: dict[str, int] = {}
        self.paused = False
        self.questions: list[Question] = []
        self.exchange()

    def follow(self) -> None:
        """Come to the newest table."""
        for revision in range(self.ring.head + 1, self.world.revision + 1):
            self.ring.append(revision, commit_id(revision), b"")

    def exchange(self) -> None:
        drained = self.routers.drain(self.ring)
        flush = Flush(
            Stamp(self.replicas.own, self.seq),
            self.ring.token(self.ring.head),
            list(drained.heard.items()),
            drained.opened,
            drained.closed,
            drained.forgotten,
            self.replicas.dead,
            joins=self.seq == 0,
        )
        assert flush_routers(self.world.database, flush, shared=True)
        self.seq += 1
        self.routers.stamped(drained, Stamp(self.replicas.own, self.seq))
        self.read()

    def read(self) -> None:
        reading = self.replicas.begin()
        found = read_shared(self.world.database, self.seen)
        for record in found.routers:
            self.seen[record.stamp[0]] = max(record.stamp[1], self.seen.get(record.stamp[0], 0))
        self.seen |= {one.stamp.replica_id: one.stamp.flush_seq for one in found.replicas}
        gone = set(self.replicas.stored) - {one.stamp.replica_id for one in found.replicas}
        passed = self.replicas.took(reading, found.replicas)
        self.routers.observe(passed, self.replicas.alive)
        self.routers.merge(found.routers, self.ring.history, self.ring, self.replicas.own)
        for one in gone:
            self.routers.drop_replica(one)

    def answers(self, question: Question) -> bool:
        """Whether it says now that all routers have the revision."""
        return (
            self.ring.head >= question.wanted
            and self.replicas.has_view(question.view)
            and not self.replicas.without(self.ring, question.wanted)
            and self.routers.all_have(self.ring, question.wanted)
        )


class World:
    """A database, replicas that come, pause and die, and routers that a balancer brings to any of them."""

    def __init__(self, database: Connection, seed: int) -> None:
        self.database = database
        self.random = random.Random(seed)
        self.seconds = 0.0
        self.revision = 0
        self.made = 0
        self.alive: list[Replica] = []
        self.routers: list[Router] = []
        for _ in range(3):
            self.start()

    def start(self) -> None:
        if len(self.alive) < 3:
            self.made += 1
            replica = Replica(f"replica-{self.made}", self)
            replica.follow()
            self.alive.append(replica)

    def any(self) -> Replica | None:
        ready = [one for one in self.alive if not one.paused]
        return self.random.choice(ready) if ready else None

    def commit(self) -> None:
        self.revision += 1
        self.database.execute(
            insert(ChangeLogRow).values(
                revision=self.revision,
                ordinal=0,
                kind=EntryKind.PROVIDER.value,
                name="providers/acme",
                op="remove",
                payload=None,
                commit_time=START,
                commit_id=commit_id(self.revision),
            )
        )

    def pass_time(self) -> None:
        """Let a second pass for all that are not paused, in any order."""
        self.seconds += 1
        for replica in self.random.sample(self.alive, len(self.alive)):
            if not replica.paused:
                replica.follow()
                replica.exchange()
                self.judge()

    def pass_long(self) -> None:
        for _ in range(int(DEAD_SECONDS) + 2):
            self.pass_time()

    def begin(self) -> None:
        """A router begins, sometimes under the name of another one."""
        self.made += 1
        name = self.random.choice(["gw-0", "gw-1", f"gw-{self.made}"])
        self.routers.append(Router(RouterKey("dev:loopback", name, self.made.to_bytes(16, "little"))))

    def open(self) -> None:
        replica, router = self.any(), self.one()
        if replica is None or router is None:
            return
        watch = replica.routers.open(router.key, PEER, replica.ring, token(router.revision))
        router.watches.append((replica, watch))
        if self.random.random() < 0.7:
            replica.exchange()  # written before the first message, unless the database is slow

    def one(self) -> Router | None:
        live = [one for one in self.routers if not one.stopped]
        return self.random.choice(live) if live else None

    def close(self) -> None:
        router = self.one()
        if router is not None and router.watches:
            replica, watch = router.watches.pop(self.random.randrange(len(router.watches)))
            if not replica.paused and replica in self.alive:
                replica.routers.close(watch)

    def apply(self) -> None:
        """A router comes to the table of a replica that it watches, and reports that to any, or to none."""
        router, told = self.one(), self.any()
        if router is None or not router.watches:
            return
        replica, _ = self.random.choice(router.watches)
        router.revision = max(router.revision, replica.ring.head)
        if told is not None and self.random.random() < 0.8:
            told.routers.reported(router.key, token(router.revision), told.ring, PEER)

    def stop(self) -> None:
        """A router closes its watches, some of which are noticed late, and stops."""
        router, told = self.one(), self.any()
        if router is not None and told is not None and self.random.random() < 0.3:
            router.stopped = True
            told.routers.stopping(router.key, PEER)
            told.exchange()  # what dies with a replica was never said
            for replica, watch in router.watches:
                if replica in self.alive and not replica.paused and self.random.random() < 0.5:
                    replica.routers.close(watch)
            router.watches.clear()

    def kill(self) -> None:
        """A replica dies: nobody watches it any more, and what it had not written is lost."""
        if len(self.alive) > 1 and self.random.random() < 0.4:
            dead = self.alive.pop(self.random.randrange(len(self.alive)))
            for router in self.routers:
                router.watches = [each for each in router.watches if each[0] is not dead]

    def pause(self) -> None:
        replica = self.random.choice(self.alive)
        if not replica.paused:
            replica.exchange()
        replica.paused = not replica.paused

    def ask(self) -> None:
        replica = self.any()
        if replica is not None and replica.ring.head:
            watching = [one for one in self.routers if one.watches]
            wanted = self.random.randint(1, replica.ring.head)
            replica.questions.append(Question(wanted, replica.replicas.next_view(), watching))

    def judge(self) -> None:
        """Hear what is answered, and hold it against what is so."""
        for replica in self.alive:
            if replica.paused:
                continue
            for question in list(replica.questions):
                if replica.answers(question):
                    older = [
                        one
                        for one in question.watching
                        if one.watches and not one.stopped and one.revision < question.wanted
                    ]
                    assert not older
                    replica.questions.remove(question)

    def settle(self) -> None:
        """Let all run on, with all routers watching and on the newest table."""
        for replica in self.alive:
            replica.paused = False
        self.commit()
        self.pass_long()
        for router in self.routers:
            if not router.stopped:
                replica, told = self.random.choice(self.alive), self.random.choice(self.alive)
                watch = replica.routers.open(router.key, PEER, replica.ring, token(router.revision))
                router.watches.append((replica, watch))
                replica.exchange()
                router.revision = replica.ring.head
                told.routers.reported(router.key, token(router.revision), told.ring, PEER)
        for replica in self.alive:
            replica.questions = [Question(self.revision, replica.replicas.next_view(), self.routers)]
        for _ in range(4):
            self.pass_time()


@pytest.fixture
def database() -> Iterator[Connection]:
    """A database in memory, at revision 0, whose log knows the commits of these tests."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(
            insert(RevisionCounterRow).values(
                id=1,
                revision=10_000,
                compact_revision=0,
                store_id=ONE,
                commit_id=commit_id(0),
                parent_id=commit_id(0),
                compact_id=commit_id(0),
            )
        )
        yield connection


@pytest.mark.parametrize("seed", SEEDS)
def test_random_lives_never_break_the_law(database: Connection, seed: int) -> None:
    world = World(database, seed)
    acts = [
        world.commit,
        world.begin,
        world.open,
        world.open,
        world.apply,
        world.apply,
        world.apply,
        world.close,
        world.stop,
        world.kill,
        world.start,
        world.pause,
        world.ask,
        world.pass_time,
        world.pass_time,
        world.pass_long,
    ]
    for _ in range(STEPS):
        world.random.choice(acts)()
    world.settle()
    stopped = {one.key.session.hex()[:8] + one.key.watcher_id for one in world.routers if one.stopped}
    for replica in world.alive:
        counted = replica.routers.all(replica.ring)
        assert not stopped.intersection(one.session_id + one.watcher_id for one in counted)
        watching = {(one.key.watcher_id, world.revision) for one in world.routers if one.watches}
        assert watching <= {(one.watcher_id, one.applied_revision) for one in counted}
        assert not replica.questions, "and once all have the revision, that is said within four seconds"
