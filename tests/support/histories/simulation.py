"""A store, the replicas that follow it and the routers that watch them: one seed on a virtual clock.

`LiveTable`, `Ring`, `Watchers` and `Routers` are the registry's own. The store is a log in memory, whose
reads and writes take time, fail and hang; it forks, is restored under another id, and is compacted at random
moments. Writers write, others ask whether routers have it, and what each was answered is kept. In the end all
is quiet for a while, and everything is compared with what really happened.
"""

from __future__ import annotations

import asyncio
import io
import logging
import random
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar
from unittest.mock import patch
from uuid import UUID

from runtime.logs import build_logger
from service.domain.errors import OutOfRange, Reason, RegistryError, Unavailable
from service.domain.history import RevisionToken, parse_token
from service.domain.routers import RouterKey
from service.readmodel import live as live_module
from service.readmodel import watch as watch_module
from service.readmodel.live import LiveTable
from service.readmodel.ring import Ring
from service.readmodel.routers import Routers
from service.readmodel.snapshot import SnapshotReason
from service.readmodel.watch import Watchers, WatchRequest
from tests.support.doubles.hand_log import HandLog
from tests.support.histories import virtual_time
from tests.support.histories.plain_codec import PLAIN_CODEC, PlainTable
from tests.support.histories.truth import UNRELATED, Truth
from tests.support.values.registry_values import START

T = TypeVar("T")

REPLICAS, ROUTERS, WRITERS = 3, 4, 3
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
        self.chance = chance
        self.is_away = False

    @property
    def log(self) -> HandLog:
        return self.truth.log

    async def run(self, work: Callable[[], T]) -> T:
        """As a thread runs a unit of work: it takes a while before and after the moment that it is of."""
        chance = self.chance
        await asyncio.sleep(chance.expovariate(200))
        if self.is_away:
            await asyncio.sleep(chance.choice((0.0, 0.5, 3.0)))
            raise Unavailable("away", reason=Reason.STORE_UNAVAILABLE)
        done = work()
        await asyncio.sleep(chance.expovariate(200) if chance.random() < 0.95 else chance.uniform(0, 2))
        return done


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
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    streams: list[asyncio.Task[Any]] = field(default_factory=list)
    live: LiveTable = field(init=False)
    watchers: Watchers = field(init=False)
    routers: Routers = field(init=False)
    is_up: bool = False

    def start(self) -> None:
        loop = asyncio.get_running_loop()

        def now() -> Any:
            return START + timedelta(seconds=loop.time())

        log = build_logger(io.StringIO(), logging.CRITICAL)
        self.live = LiveTable(self.store.log.source, PLAIN_CODEC, self.store.run, log)
        self.routers = Routers(now, build_logger(io.StringIO(), logging.ERROR))
        self.watchers = Watchers(self.live, PLAIN_CODEC, self.routers, clock=now)
        self.watchers._watchers = _InOrder()  # type: ignore[assignment]
        self.live.on_advance = self.watchers.wake
        self.tasks = [asyncio.ensure_future(self.live.follow()), asyncio.ensure_future(self.watchers.tick())]
        self.is_up = True

    async def kill(self) -> None:
        self.is_up = False
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
    watcher_id: str = ""
    streams: int = 0


class Simulation:
    """One run. Everything that happens is drawn from the seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.store = Store(random.Random(self.chance.random()))
        self.replicas = [Replica(self.store, f"replica {number}") for number in range(REPLICAS)]
        self.routers = [
            Router(f"router-{number}", random.Random(self.chance.random())) for number in range(ROUTERS)
        ]
        self.acknowledged: list[tuple[UUID, str | None]] = []
        self.met: Counter[str] = Counter()
        self.stores = 1

    @property
    def truth(self) -> Truth:
        return self.store.truth

    async def run(self) -> Counter[str]:
        """Some stormy seconds, some quiet ones, and the laws.

        Raises:
            LawBroken: says which law, and by whom.
        """
        for replica in self.replicas:
            replica.start()
        routing = [asyncio.ensure_future(self._route(router)) for router in self.routers]
        storms = [self._disturb(), self._replace_processes(), self._wait()]
        stormy = [asyncio.ensure_future(one) for one in (*storms, *(self._write() for _ in range(WRITERS)))]
        try:
            await _go_on([*stormy, *routing], BUSY_SECONDS)
            await _end(stormy)
            self.store.is_away = False
            for replica in self.replicas:
                if not replica.is_up:
                    replica.start()
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
        made = self.truth.commit(name, quiet=quiet)
        if slow:
            # The thread was not scheduled between the commit and telling of it.
            await asyncio.sleep(chance.uniform(0, 2))
        live.committed(made)
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
                if what == "fork":
                    self.truth.fork(at)
                else:
                    await self._restore(at)

    async def _restore(self, at: int) -> None:
        """As by the command, for which everything is stopped."""
        for replica in self.replicas:
            await replica.kill()
        self.truth.fork(at)
        self.stores += 1
        self.truth.rename(UUID(int=self.stores, version=4))
        for replica in self.replicas:
            replica.start()

    async def _replace_processes(self) -> None:
        chance = random.Random(self.chance.random())
        while True:
            await asyncio.sleep(chance.expovariate(0.3))
            replica = chance.choice(self.replicas)
            self.met["kills"] += 1
            await replica.kill()
            await asyncio.sleep(chance.expovariate(1))
            if not replica.is_up:
                replica.start()

    async def _route(self, router: Router) -> None:
        while True:
            up = [replica for replica in self.replicas if replica.is_up]
            if up:
                await self._watch(router, router.chance.choice(up))
            await asyncio.sleep(router.chance.expovariate(5))

    async def _watch(self, router: Router, replica: Replica) -> None:
        """One stream, until it breaks: by chance, or because the replica is gone."""
        chance = router.chance
        router.streams += 1
        router.watcher_id, router.replica = f"{router.name}-{router.streams}", replica
        key = RouterKey("dev:loopback", router.watcher_id, router.streams.to_bytes(16))
        wish = WatchRequest(
            resume=router.table.token,
            unproven=False,
            bookmark_seconds=2.0,
            strict=chance.random() < 0.2,
            router=key,
            peer=router.name,
        )
        pause = chance.choice((0.0, 0.01, 0.5))

        async def send(octets: bytes) -> None:
            self._take(router, octets)
            replica.routers.reported(key, router.table.token, replica.live.ring, router.name)
            await asyncio.sleep(chance.uniform(0, pause))

        async def watched() -> None:
            with suppress(OutOfRange, Unavailable):
                await replica.watchers.watch(wish, send)
                return
            if wish.strict:
                router.table = PlainTable()
                router.held.clear()

        stream = asyncio.ensure_future(watched())
        replica.streams.append(stream)
        try:
            await asyncio.wait([stream], timeout=chance.expovariate(0.2))
        finally:
            stream.cancel()
            [ended] = await asyncio.gather(stream, return_exceptions=True)
            replica.streams = [one for one in replica.streams if one is not stream]
            replica.routers.stopping(key, router.name)
            router.replica = None
            self.met["streams"] += 1
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
            tokens = [parse_token(token) for _, token in self.acknowledged[-5:] if token]
            up = [replica for replica in self.replicas if replica.is_up]
            if tokens and up:
                with suppress(RegistryError):
                    await self._ask(chance.choice(up), chance.choice(tokens))  # type: ignore[arg-type]

    async def _ask(self, replica: Replica, token: RevisionToken) -> None:
        live = replica.live
        found = await live.place(token)
        self.met["places"] += 1
        ring = live.ring
        if isinstance(found, SnapshotReason) or live is not replica.live or not replica.is_up:
            return
        _law(
            self.truth.follows(token, live.current.at),
            f"{replica.name} places a token of another history",
        )
        if not replica.routers.all_have(ring, token.revision):
            return
        self.met["reached"] += 1
        for router in self.routers:
            if router.replica is replica and router.table.token is not None:
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
            found = await replica.live.place(token)
            if is_there and token.store_id == self.truth.head.store_id:
                fine = not isinstance(found, SnapshotReason) or found is SnapshotReason.COMPACTED
                _law(fine, f"a write that is there is answered {found!r} by {replica.name}")
            elif commit.logged and not is_there:
                compacted = token.revision < self.store.log.floor
                fine = isinstance(found, SnapshotReason) and (found in UNRELATED or compacted)
                _law(fine, f"a write that was lost is answered {found!r} by {replica.name}")


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
        ):
            return virtual_time.run(Simulation(seed).run())
    except LawBroken as broken:
        again = f"python -m tests.support.histories.simulation {seed}"
        raise LawBroken(f"seed {seed}: {broken}; again: {again}") from broken


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        sys.stdout.write(f"{argument}: {dict(simulate(int(argument)))}\n")
