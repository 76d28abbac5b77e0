"""A store, the replicas that follow it and the routers that watch them: one seed on a virtual clock.

`LiveTable`, `Ring`, `Watchers`, `Routers`, `Replicas`, `Waiting`, `Exchange` and `RouterViews` are the
registry's own. The store is a log in memory, and beside it what replicas share of routers; its reads and
writes take time, fail and hang; it forks, is restored under another id, and is compacted at random moments.
Notices between replicas get lost. Writers write, others ask whether routers have it, and what each was
answered is kept. In the end all is quiet for a while, and everything is compared with what really happened.
"""

from __future__ import annotations

import asyncio
import io
import logging
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any, TypeVar, cast
from unittest.mock import patch
from uuid import UUID

from runtime.logs import build_logger
from service.background import exchange as exchange_module
from service.background.exchange import Exchange
from service.domain.calls import Call
from service.domain.errors import OutOfRange, Reason, RegistryError, Unavailable
from service.domain.history import RevisionToken, parse_token
from service.domain.routers import Flush, RouterKey, Shared
from service.domain.routing import ChangeSet
from service.readmodel import live as live_module
from service.readmodel import watch as watch_module
from service.readmodel.live import LiveTable
from service.readmodel.replicas import DEAD_SECONDS, Replicas
from service.readmodel.ring import Ring
from service.readmodel.routers import Routers
from service.readmodel.snapshot import SnapshotReason
from service.readmodel.waiting import Waiting
from service.readmodel.watch import Watchers, WatchRequest
from service.store import Notice
from service.usecases import routers as views_module
from service.usecases.routers import RouterViews
from tests.support.doubles.hand_log import HandLog
from tests.support.histories import virtual_time
from tests.support.histories.plain_codec import PLAIN_CODEC, PlainTable
from tests.support.histories.presence import Presence
from tests.support.histories.truth import UNRELATED, Truth
from tests.support.values.registry_values import START

T = TypeVar("T")

REPLICAS, ROUTERS, WRITERS, WAITERS = 3, 4, 3, 3
BUSY_SECONDS = 20.0
QUIET_SECONDS = 15.0
"""More than a lost connection, a poll that fails and a wait of a router together take."""
PROVIDERS = ("p", "q", "r")


class LawBroken(AssertionError):
    """What must not be."""


class Store:
    """The log and everything that goes wrong with it."""

    def __init__(self, chance: random.Random) -> None:
        self.truth = Truth()
        self.presence = Presence()
        self.backups = [self.presence.copied()]
        self.chance = chance
        self.is_away = False

    @property
    def log(self) -> HandLog:
        return self.truth.log

    def flush_routers(self, flush: Flush) -> bool:
        return self.presence.flush(flush)

    def shared_routers(self, seen: Mapping[str, int]) -> Shared:
        return self.presence.read(seen, self.truth)

    def commit(self, name: str, *, quiet: bool) -> ChangeSet:
        """Commit, and keep what a database that goes back to this moment has of routers."""
        made = self.truth.commit(name, quiet=quiet)
        self.backups[made.revision :] = [self.presence.copied()]
        return made

    def fork(self, at: int) -> None:
        """Go back to a revision, with all that was stored then."""
        self.truth.fork(at)
        self.presence = self.backups[at].copied()

    async def run(self, work: Callable[[], T]) -> T:
        """As a thread runs a unit of work: it takes a while before and after the moment that it is of."""
        chance = self.chance
        await asyncio.sleep(self._pause())
        if self.is_away:
            await asyncio.sleep(chance.choice((0.0, 0.5, 3.0)))
            raise Unavailable("away", reason=Reason.STORE_UNAVAILABLE)
        done = work()
        await asyncio.sleep(self._pause())
        return done

    def _pause(self) -> float:
        return self.chance.expovariate(200) if self.chance.random() < 0.95 else self.chance.uniform(0, 2)


class _InOrder(dict[Any, None]):
    """A set in the order in which it was filled, not of addresses: a seed must repeat."""

    def add(self, one: Any) -> None:
        self[one] = None

    def discard(self, one: Any) -> None:
        self.pop(one, None)


@dataclass
class Replica:
    """One registry process. ``generation`` grows with each start."""

    store: Store
    name: str
    tell: Callable[[Replica, Notice], None]
    generation: int = 0
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    streams: list[asyncio.Task[Any]] = field(default_factory=list)
    live: LiveTable = field(init=False)
    watchers: Watchers = field(init=False)
    routers: Routers = field(init=False)
    waiting: Waiting = field(init=False)
    exchange: Exchange = field(init=False)
    views: RouterViews = field(init=False)
    is_up: bool = False
    begun: float = 0.0

    async def start(self) -> None:
        """Serve, once it has joined the others, as the registry does. Not while the store is away."""
        self.generation += 1
        generation = self.generation
        loop = asyncio.get_running_loop()

        def now() -> Any:
            return START + timedelta(seconds=loop.time())

        log = build_logger(io.StringIO(), logging.CRITICAL)
        run = self.store.run
        live = LiveTable(self.store.log.source, PLAIN_CODEC, run, log)
        routers = Routers(now, log, shared=True)
        own = f"{self.name}.{generation}"
        replicas = Replicas(own, shared=True, monotonic=loop.time, clock=now)
        waiting = Waiting(live, routers, replicas)
        tell = partial(self.tell, self)
        exchange = Exchange(cast(Any, self.store), live, routers, replicas, waiting, run, log, tell=tell)
        watchers = Watchers(live, PLAIN_CODEC, routers, clock=now, written=exchange.written)
        watchers._watchers = _InOrder()  # type: ignore[assignment]

        def advanced() -> None:
            watchers.wake()
            waiting.changed()

        live.on_advance = advanced
        try:
            await exchange.begin()
            await live.catch_up()
        except Unavailable:
            return
        if generation != self.generation:
            return  # it was killed meanwhile
        self.live, self.watchers, self.routers = live, watchers, routers
        self.waiting, self.exchange = waiting, exchange
        self.views = RouterViews(live, routers, replicas, waiting, exchange.look)
        works = [live.follow(), watchers.tick(), exchange.follow()]
        self.tasks = [asyncio.ensure_future(one) for one in works]
        self.is_up, self.begun = True, loop.time()

    async def stop(self) -> None:
        """Leave the others, as a process does that is told to stop, and end."""
        await self.kill()
        with suppress(Unavailable):
            await self.exchange.leave()

    async def kill(self) -> None:
        self.is_up = False
        self.generation += 1
        for task in (*self.tasks, *self.streams):
            task.cancel()
        await asyncio.gather(*self.tasks, *self.streams, return_exceptions=True)
        self.tasks, self.streams = [], []


@dataclass
class Router:
    """A router: its table, its credentials by provider, and the replica that it watches."""

    name: str
    chance: random.Random
    table: PlainTable = field(default_factory=PlainTable)
    held: dict[str, tuple[int, str]] = field(default_factory=dict)
    replica: Replica | None = None
    session: int = 0
    has_begun: bool = False
    """Whether its session has received anything: from then on it counts."""


class Simulation:
    """One run. Everything that happens is drawn from the seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.store = Store(random.Random(self.chance.random()))
        self.replicas = [Replica(self.store, f"replica {number}", self._tell) for number in range(REPLICAS)]
        self.routers = [
            Router(f"router-{number}", random.Random(self.chance.random())) for number in range(ROUTERS)
        ]
        self.notices = random.Random(self.chance.random())
        self.acknowledged: list[tuple[UUID, str | None]] = []
        self.met: Counter[str] = Counter()
        self.stores = 1
        self.is_stormy = True
        self.put_back = -DEAD_SECONDS

    @property
    def truth(self) -> Truth:
        return self.store.truth

    async def run(self) -> Counter[str]:
        """Some stormy seconds, some quiet ones, and the laws.

        Raises:
            LawBroken: says which law, and by whom.
        """
        for replica in self.replicas:
            await replica.start()
        routing = [asyncio.ensure_future(self._route(router)) for router in self.routers]
        storms = [self._disturb(), self._replace_processes(), *(self._wait() for _ in range(WAITERS))]
        stormy = [asyncio.ensure_future(one) for one in (*storms, *(self._write() for _ in range(WRITERS)))]
        try:
            await _go_on([*stormy, *routing], BUSY_SECONDS)
            await _end(stormy)
            self.store.is_away = self.is_stormy = False
            for replica in self.replicas:
                if not replica.is_up:
                    await replica.start()
            await _go_on(routing, QUIET_SECONDS)
            await self._check_end()
        finally:
            await _end([*stormy, *routing])
            for replica in self.replicas:
                await replica.kill()
        return self.met

    # What happens.

    async def _write(self) -> None:
        chance = random.Random(self.chance.random())
        while True:
            await asyncio.sleep(chance.expovariate(4))
            replica = chance.choice(self.replicas)
            if replica.is_up:
                with suppress(Unavailable):
                    await self._write_once(replica, chance)

    async def _write_once(self, replica: Replica, chance: random.Random) -> None:
        live = replica.live
        name, quiet, slow = chance.choice(PROVIDERS), chance.random() < 0.2, chance.random() < 0.1

        await self.store.run(lambda: None)
        made = self.store.commit(name, quiet=quiet)
        if slow:
            # The thread was not scheduled between the commit and telling of it.
            await asyncio.sleep(chance.uniform(0, 2))
        live.committed(made)
        self._tell(replica, Notice.COMMITTED)
        await asyncio.sleep(0)
        answered = await live.reached(made.revision, made.commit_id)
        self.met["writes"] += 1
        self.acknowledged.append((made.commit_id, answered))
        own = str(self.truth.commits[made.commit_id].token)
        _law(answered in (None, own), f"{replica.name} answers a writer with the token of another write")

    async def _disturb(self) -> None:
        """The database goes back, comes back under another id, is compacted, or is away."""
        chance = random.Random(self.chance.random())
        while True:
            await asyncio.sleep(chance.expovariate(0.5))
            what = chance.choice(("fork", "fork", "restore", "compact", "away"))
            self.met[what] += 1
            if what == "compact":
                kept = max(0, self.store.log.revision - chance.randint(0, 10))
                self.truth.compact(max(kept, self.store.log.floor))
                for router in self.routers:
                    router.held.clear()  # it took a day
            elif what == "away":
                self.store.is_away = True
                await asyncio.sleep(chance.expovariate(1))
                self.store.is_away = False
            else:
                at = max(self.store.log.floor, self.store.log.revision - chance.randint(0, 8))
                self.put_back = asyncio.get_running_loop().time()
                if what == "fork":
                    self.store.fork(at)
                else:
                    await self._restore(at)

    async def _restore(self, at: int) -> None:
        """As by the command, for which everything is stopped."""
        for replica in self.replicas:
            await replica.kill()
        self.store.fork(at)
        self.stores += 1
        self.truth.rename(UUID(int=self.stores, version=4))
        for replica in self.replicas:
            await replica.start()

    async def _replace_processes(self) -> None:
        chance = random.Random(self.chance.random())
        while True:
            await asyncio.sleep(chance.expovariate(0.2))
            replica = chance.choice(self.replicas)
            if not replica.is_up:
                await replica.start()
            elif chance.random() < 0.7:
                self.met["stops"] += 1
                await replica.stop()
            else:
                self.met["kills"] += 1
                await replica.kill()
            await asyncio.sleep(chance.expovariate(1))
            if not replica.is_up:
                await replica.start()

    async def _route(self, router: Router) -> None:
        while True:
            up = [replica for replica in self.replicas if replica.is_up]
            if up:
                await self._watch(router, router.chance.choice(up))
            await asyncio.sleep(router.chance.expovariate(5))

    def _tell(self, replica: Replica, notice: Notice) -> None:
        """As PostgreSQL carries notices: to those that listen, a little later, and not for certain."""
        for other in self.replicas:
            if other is not replica and other.is_up and self.notices.random() < 0.8:
                acts = {
                    Notice.COMMITTED: other.live.look,
                    Notice.FLUSH: other.exchange.flush,
                    Notice.FLUSHED: other.exchange.read,
                }
                asyncio.get_running_loop().call_later(self.notices.expovariate(500), acts[notice])

    def _report(self, router: Router, *, stopping: bool = False) -> None:
        """Say to any replica, as a balancer chooses it, by which table a router routes, or that it stops."""
        up = [one for one in self.replicas if one.is_up]
        if not up:
            return
        told, token = router.chance.choice(up), router.table.token
        if stopping:
            told.routers.stopping(_key(router), router.name)
        else:
            if token is not None and token.revision > told.live.current.revision:
                told.live.look()
            told.routers.reported(_key(router), token, told.live.ring, router.name)
        told.waiting.changed()

    def _replace(self, router: Router) -> None:
        """The process ends, having said so, and another one begins under its name."""
        self._report(router, stopping=True)
        router.session += 1
        router.has_begun = False
        router.table = PlainTable()
        router.held.clear()

    async def _watch(self, router: Router, replica: Replica) -> None:
        """One stream, until it breaks: by chance, or because the replica is gone."""
        chance = router.chance
        router.replica = replica
        wish = WatchRequest(
            resume=router.table.token,
            unproven=False,
            bookmark_seconds=2.0,
            strict=chance.random() < 0.2,
            router=_key(router),
            peer=router.name,
        )
        pause = chance.choice((0.0, 0.01, 0.5, 3.0))

        async def send(octets: bytes) -> None:
            router.has_begun = True
            self._take(router, octets)
            self._report(router)
            await asyncio.sleep(chance.uniform(0, pause) if self.is_stormy else 0.0)

        lost: list[bool] = []

        async def watched() -> None:
            with suppress(OutOfRange, Unavailable):
                await replica.watchers.watch(wish, send)
                return
            if wish.strict:
                lost.append(True)

        stream = asyncio.ensure_future(watched())
        replica.streams.append(stream)
        try:
            await asyncio.wait([stream], timeout=chance.expovariate(0.2))
        finally:
            stream.cancel()
            [ended] = await asyncio.gather(stream, return_exceptions=True)
            replica.streams = [one for one in replica.streams if one is not stream]
            router.replica = None
            self.met["streams"] += 1
        if lost or (self.is_stormy and chance.random() < 0.2):
            self._replace(router)
        if isinstance(ended, Exception):
            raise ended

    def _take(self, router: Router, octets: bytes) -> None:
        had = router.table
        router.table, reason = had.after(octets)
        token = router.table.token
        assert token is not None
        if reason is not None:
            self.met[reason.name] += 1
        if reason in UNRELATED:
            router.held.clear()
        rows = router.table.rows or {}
        for name in [one for one, held in router.held.items() if rows.get(one, (0, ""))[0] != held[0]]:
            del router.held[name]
        _law(self.truth.rows(token) == rows, f"the table of {router.name} is not that of its token")
        if had.token is not None and reason not in (None, *UNRELATED):
            known = had.token.revision >= self.store.log.floor and had.token.store_id == token.store_id
            _law(
                self.truth.follows(had.token, token) or not known,
                f"{router.name} had another history and is told {reason and reason.name}",
            )
        self._use_credentials(router)

    def _use_credentials(self, router: Router) -> None:
        """Open what the table has, where the store has the same version; what is held must be the table's."""
        rows = router.table.rows or {}
        assert router.table.token is not None
        is_stores = self.truth.follows(router.table.token, self.truth.head)
        for name, row in rows.items():
            held = router.held.get(name)
            if held is not None and is_stores:
                _law(held == row, f"{router.name} uses credential {held} where its table has {row}")
            stored = self.truth.rows(self.truth.head).get(name)
            if held is None and stored is not None and stored[0] == row[0]:
                router.held[name] = stored

    async def _wait(self) -> None:
        """Ask again and again whether all routers have a write."""
        chance = random.Random(self.chance.random())
        while True:
            await asyncio.sleep(chance.expovariate(3))
            tokens = [parse_token(token) for _, token in self.acknowledged[-2:] if token]
            up = [replica for replica in self.replicas if replica.is_up]
            if tokens and up:
                with suppress(RegistryError):
                    await self._ask(chance.choice(up), chance.choice(tokens))  # type: ignore[arg-type]

    async def _ask(self, replica: Replica, token: RevisionToken) -> None:
        """Who watched when the call began is not older than what all are said to have when it ends."""
        live = replica.live
        found = await live.place(token)
        self.met["places"] += 1
        if isinstance(found, SnapshotReason) or live is not replica.live or not replica.is_up:
            return
        _law(
            self.truth.follows(token, live.current.at),
            f"{replica.name} places a token of another history",
        )
        watching = [(one, one.session) for one in self.routers if one.replica is not None and one.has_begun]
        progress = await replica.views.await_applied(
            _call(), revision=token.revision, token=token, seconds=self.chance.uniform(0, 5)
        )
        if not progress.reached or not replica.is_up:
            return
        if any(abs(one.begun - self.put_back) < DEAD_SECONDS for one in self.replicas):
            return  # who joins about then need not be known to the others
        self.met["reached"] += 1
        for router, session in watching:
            if router.session == session and router.replica is not None:
                assert router.table.token is not None
                _law(
                    self.truth.follows(token, router.table.token),
                    f"{replica.name} says that all routers have {token.revision}, {router.name} has not",
                )

    # What must be in the end.

    async def _check_end(self) -> None:
        head = self.truth.head
        for replica in self.replicas:
            at = replica.live.current.at
            _law(at == head, f"{replica.name} ends at {at.revision}, the store at {head.revision}")
            rows = PlainTable().after(replica.live.current.chunks(SnapshotReason.INITIAL)[0])[0].rows
            _law(rows == self.truth.rows(head), f"the table of {replica.name} is not the store's")
        for router in self.routers:
            _law(router.table.token == head, f"{router.name} does not end at the store's table")
        for commit_id, answered in self.acknowledged:
            await self._check_acknowledged(commit_id, answered)

    async def _check_acknowledged(self, commit_id: UUID, answered: str | None) -> None:
        """A write is there, or its token says that it was lost."""
        commit = self.truth.commits[commit_id]
        is_there = self.truth.has(commit_id)
        self.met["kept" if is_there else "lost"] += 1
        token = parse_token(answered or "")
        if token is None or answered != str(commit.token):
            return  # it was lost before it was answered: that its number is another's cannot always be known
        for replica in self.replicas:
            found = await _placed(replica.live, token)
            if is_there and token.store_id == self.truth.head.store_id:
                fine = not isinstance(found, SnapshotReason) or found is SnapshotReason.COMPACTED
                _law(fine, f"a write that is there is answered {found!r} by {replica.name}")
            elif commit.logged and not is_there:
                compacted = token.revision < self.store.log.floor
                fine = isinstance(found, SnapshotReason) and (found in UNRELATED or compacted)
                _law(fine, f"a write that was lost is answered {found!r} by {replica.name}")


async def _placed(live: LiveTable, token: RevisionToken) -> int | SnapshotReason:
    """Ask until it is known: a look at the store may take longer than a call waits."""
    while True:
        with suppress(Unavailable):
            return await live.place(token)


def _key(router: Router) -> RouterKey:
    return RouterKey("dev:loopback", router.name, router.session.to_bytes(16))


def _call() -> Call:
    now = asyncio.get_running_loop().time()
    return Call("dev:loopback", "AwaitAppliedRevision", now + 60.0)


def _new_name(numbers: Iterator[int]) -> str:
    return f"renamed {next(numbers)}"


class _VirtualClock:
    """Stands in for `time`, whose clock stands still while virtual seconds pass."""

    @staticmethod
    def monotonic() -> float:
        return asyncio.get_running_loop().time()


async def _go_on(tasks: list[asyncio.Task[Any]], seconds: float) -> None:
    """Let all of them run for a while; raise what ends one of them."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _law(holds: bool, text: str) -> None:
    if not holds:
        raise LawBroken(text)


def simulate(seed: int) -> Counter[str]:
    """Run the simulation of a seed; the same seed does the same again.

    Raises:
        LawBroken: says what to run to see it again.
    """
    chance = random.Random(seed)
    size = chance.choice((2, 5, 50))
    try:
        with (
            patch.object(watch_module, "random", random.Random(seed)),
            patch.object(live_module, "Ring", partial(Ring, max_messages=size)),
            patch.object(live_module, "REACH_SECONDS", 1.0),  # of this clock, whatever other tests wait
            patch.object(views_module, "time", _VirtualClock),
            patch.object(exchange_module, "new_replica_id", partial(_new_name, count())),
        ):
            return virtual_time.run(Simulation(seed).run())
    except LawBroken as broken:
        again = f"python -m tests.support.histories.simulation {seed}"
        raise LawBroken(f"seed {seed}: {broken}; again: {again}") from broken


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        sys.stdout.write(f"{argument}: {dict(simulate(int(argument)))}\n")
