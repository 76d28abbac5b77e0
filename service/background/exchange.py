"""The exchange between replicas: what this one heard of routers is stored, and what others stored is read.

Each second, and at once when a watch begins: it is stored before its first message is sent, so that no
replica says that all routers have a revision while one that it has not heard of routes by an older one.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress

from structlog.typing import FilteringBoundLogger

from service.background.tasks import Run, attempt
from service.domain.routers import Flush, Shared, Stamp
from service.readmodel.live import LiveTable
from service.readmodel.replicas import Replicas
from service.readmodel.routers import Drained, Routers
from service.readmodel.waiting import Waiting
from service.store import Notice, Store
from service.telemetry import REPLICA_REJOINED, ROUTERS_NOT_KEPT

FLUSH_SECONDS = 0.9
"""A view waits for two flushes: with what they take themselves, it is made within two seconds."""
READ_SECONDS = 0.1
"""How often others are read, and told to flush, while somebody waits."""
GATHER_SECONDS = 0.01
"""How long watches that begin are gathered."""
WRITTEN_SECONDS = 1.0
MAX_SEEN = 200
"""Of how many replicas, now gone, it is remembered what was read; past that all is read once more."""


def new_replica_id() -> str:
    """Return a name that nobody has had, by which an operator finds the process."""
    return f"{socket.gethostname()[:64]}-{os.getpid()}-{os.urandom(4).hex()}"


def ignore_notice(_notice: Notice, /) -> None:
    """Do nothing: for a registry that has nobody to tell."""


class Exchange:
    """Keeps what this replica and the others know the same. Belongs to the event loop.

    ``tell`` tells the other replicas something. What they do not hear costs a wait for their next flush.
    """

    def __init__(
        self,
        store: Store,
        live: LiveTable,
        routers: Routers,
        replicas: Replicas,
        waiting: Waiting,
        run: Run,
        log: FilteringBoundLogger,
        *,
        tell: Callable[[Notice], None] = ignore_notice,
    ) -> None:
        self._tell = tell
        self._store = store
        self._live = live
        self._routers = routers
        self._replicas = replicas
        self._waiting = waiting
        self._run = run
        self._log = log
        self._nudged = asyncio.Event()
        self._unwritten: list[asyncio.Future[None]] = []
        self._seq = 0
        self._joined = False
        self._seen: dict[str, int] = {}
        self._flushed = self._told = float("-inf")
        self._is_asked = self._was_put_back = False
        self._time = asyncio.get_running_loop().time
        self._failed = False

    async def begin(self) -> None:
        """Read all that is stored, and join the replicas. To be called once, before anything is served.

        Raises:
            Unavailable: STORE_UNAVAILABLE.
        """
        if self._replicas.shared:
            await self._flush()
        await self._read()

    async def follow(self) -> None:
        """Exchange until cancelled. A store that is away is tried again."""
        while True:
            self._failed = True
            await attempt(self.step, self._log, ROUTERS_NOT_KEPT)
            if self._failed:
                await asyncio.sleep(FLUSH_SECONDS)
                continue
            pause = READ_SECONDS if self._replicas.shared and len(self._waiting) else FLUSH_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._nudged.wait()
                    await asyncio.sleep(GATHER_SECONDS)

    async def step(self) -> None:
        """Store what was heard, if it is time, and read what others stored."""
        self._failed = True
        self._nudged.clear()
        if self._is_asked:
            await self._answer()
        elif self._unwritten or self._time() - self._flushed >= FLUSH_SECONDS:
            await self._flush()
        if self._replicas.shared:
            await self._read()
            self._ask()
        else:
            self._routers.observe(self._replicas.took(self._replicas.begin(), []), [])
        self._failed = False
        self._waiting.changed()

    async def written(self) -> None:
        """Return once what was heard so far is stored. Where that takes a second it is stored later."""
        if not self._replicas.shared:
            return
        done = asyncio.get_running_loop().create_future()
        self._unwritten.append(done)
        self._nudged.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(WRITTEN_SECONDS):
                await done

    def look(self) -> None:
        """Read now, for somebody who has begun to wait."""
        self._nudged.set()

    def read(self) -> None:
        """Read now, if somebody waits for what others have flushed."""
        if len(self._waiting):
            self._nudged.set()

    def flush(self) -> None:
        """Flush now: somebody waits at another replica."""
        self._is_asked = True
        self._nudged.set()

    async def leave(self) -> None:
        """Store the last that was heard, and leave the replicas: this process ends."""
        self._seq += 1  # a flush that was cut off may have used the next number
        await self._flush(leaves=True)

    async def _answer(self) -> None:
        """Flush for somebody who waits elsewhere, twice: of the first he cannot know when it was gathered."""
        self._is_asked = False
        await self._flush()
        await self._flush()
        self._tell(Notice.FLUSHED)

    def _ask(self) -> None:
        """Have the others flush, while somebody waits here."""
        if len(self._waiting) and self._time() - self._told >= READ_SECONDS:
            self._told = self._time()
            self._tell(Notice.FLUSH)

    async def _flush(self, *, leaves: bool = False) -> None:
        unwritten, self._unwritten = self._unwritten, []
        drained = self._routers.drain(self._live.ring)
        shared, done = self._replicas.shared, False
        try:
            if shared or drained.heard or drained.forgotten:
                await self._store_drained(drained, leaves=leaves)
            done = True
        finally:
            if not done:
                self._routers.requeue(drained)
                self._unwritten += unwritten
        self._flushed = self._time()
        for one in unwritten:
            if not one.done():
                one.set_result(None)

    async def _store_drained(self, drained: Drained, *, leaves: bool) -> None:
        """Store it under the next flush; under another name if this one is not as it was left.

        That is after a pause of ten minutes, when the others have taken this replica away, in a database
        that was put back, and after a flush of which it is not known whether it took place.
        """
        flush = self._flush_of(drained, leaves=leaves)
        if not await self._run(lambda: self._store.flush_routers(flush)):
            if leaves:
                return
            self._replicas.rename(new_replica_id())
            self._joined, self._seq, self._was_put_back = False, 0, True
            self._seen.clear()
            self._log.warning(REPLICA_REJOINED, replica_id=self._replicas.own)
            self._routers.requeue(drained)
            self._routers.rejoin()
            drained = self._routers.drain(self._live.ring)
            flush = self._flush_of(drained, leaves=False)
            if not await self._run(lambda: self._store.flush_routers(flush)):
                raise AssertionError("a new replica joins")
        self._joined = True
        self._seq += 1
        self._routers.stamped(drained, Stamp(self._replicas.own, self._seq))

    def _flush_of(self, drained: Drained, *, leaves: bool) -> Flush:
        return Flush(
            stamp=Stamp(self._replicas.own, self._seq),
            table=self._live.current.at,
            heard=list(drained.heard.items()),
            opened=drained.opened,
            closed=drained.closed,
            forgotten=drained.forgotten,
            dead=self._replicas.dead,
            joins=not self._joined,
            leaves=leaves,
        )

    async def _read(self) -> None:
        history, reading, seen = self._live.ring.history, self._replicas.begin(), dict(self._seen)
        found: Shared = await self._run(lambda: self._store.shared_routers(seen))
        flushes = {one.stamp.replica_id: one.stamp.flush_seq for one in found.replicas}
        if any(flushes.get(one, seq) < seq for one, seq in seen.items()) or len(seen) > MAX_SEEN:
            self._seen.clear()  # an older database was put back: read it whole with the next step
            self._nudged.set()
        else:
            for record in found.routers:
                replica_id, seq = record.stamp
                self._seen[replica_id] = max(seq, self._seen.get(replica_id, 0))
            self._seen |= flushes
        is_older = self._was_put_back or flushes.get(self._replicas.own, -1) < self._seq
        self._was_put_back, before = False, set(self._replicas.stored)
        passed = self._replicas.took(reading, found.replicas, is_older=self._joined and is_older)
        gone = before - set(self._replicas.stored)
        # Before the routers: a replica that is new may hold some of them.
        self._routers.observe(passed, self._replicas.alive)
        self._routers.merge(found.routers, history, self._live.ring, self._replicas.own)
        for replica_id in gone:
            self._routers.drop_replica(replica_id)
        ahead = max((one.table.revision for one in found.replicas), default=0)
        if len(self._waiting) and ahead > self._live.current.revision:
            self._live.look()
