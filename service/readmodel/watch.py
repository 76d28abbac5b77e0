"""Watching the routing table: each watcher is a position in the shared ring, and costs no more than that.

Whoever reads slowly stalls alone, in gRPC's flow control, and starts over with a snapshot once the ring has
gone past. One clock wakes those that are due a bookmark, so that a change arms no timers.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.domain.errors import OutOfRange, Reason, ResourceExhausted, Unavailable
from service.domain.history import RevisionToken
from service.domain.routers import RouterKey
from service.readmodel.live import LiveTable
from service.readmodel.ring import Ring
from service.readmodel.routers import Routers
from service.readmodel.snapshot import Codec, SnapshotReason

MAX_WATCHERS = 10_000
RETURNING_WATCHERS = 1_000
"""Beyond ``MAX_WATCHERS``, for routers that were known before and watch nowhere now: they reconnect."""
WOKEN_AT_ONCE = 100
TICK_SECONDS = 0.25
STALLED_SECONDS = 60.0
"""A reader that has taken nothing for so long is cut off: the snapshot it is in must not be kept for ever."""
DRAIN_SECONDS = 5.0
"""Within how long after a server's goodbye its routers are to connect elsewhere."""

Send = Callable[[bytes], Awaitable[None]]

_STRICT_REASONS = {
    SnapshotReason.COMPACTED: Reason.REVISION_COMPACTED,
    SnapshotReason.SLOW_CONSUMER: Reason.REVISION_COMPACTED,
    SnapshotReason.STORE_CHANGED: Reason.STORE_CHANGED,
    SnapshotReason.REVISION_AHEAD: Reason.REVISION_AHEAD,
}


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """What a watcher asks for; without ``router`` it is not counted.

    ``resume`` is what it has. ``unproven`` says that it named a revision without a token: that number may be
    of another history, and so is not resumed from.
    """

    resume: RevisionToken | None
    unproven: bool
    bookmark_seconds: float
    strict: bool
    router: RouterKey | None
    peer: str


@dataclass(slots=True, eq=False)
class _Watcher:
    """One open watch.

    ``wake`` is what it sleeps on, and done while it sends. ``due`` asks it for a bookmark, which comes after
    ``silence`` seconds without a message. ``progress`` is when something was last taken or it was last woken,
    by the event loop's clock.
    """

    task: asyncio.Task[None] | None
    silence: float
    progress: float
    wake: asyncio.Future[None]
    due: bool = False
    stalled: bool = False


@dataclass(slots=True)
class _Place:
    """Where a watcher is: everything in ``ring`` before ``position`` was sent."""

    ring: Ring
    position: int


async def at_once() -> None:
    """Wait for nothing: for a registry without other replicas."""


class Watchers:
    """All open watches of this process. Everything but the constructor belongs to the event loop.

    ``written`` returns once other replicas can know of a router that has begun to watch.
    """

    def __init__(
        self,
        live: LiveTable,
        codec: Codec,
        routers: Routers,
        *,
        clock: Callable[[], datetime],
        written: Callable[[], Awaitable[None]] = at_once,
        max_watchers: int = MAX_WATCHERS,
    ) -> None:
        self._live = live
        self._codec = codec
        self._routers = routers
        self._clock = clock
        self._written = written
        self._max_watchers = max_watchers
        self._loop = asyncio.get_running_loop()
        self._watchers: set[_Watcher] = set()
        self._sleeping: list[asyncio.Future[None]] = []
        self._gone = asyncio.Event()
        self._draining = False
        self._bookmark = ("", False, -1.0, b"")

    def __len__(self) -> int:
        return len(self._watchers)

    def wake(self) -> None:
        """Let every watcher that sleeps look at what is new, in the order in which they fell asleep.

        All but the first hundred take their turn after what the event loop has to do by then, such as the
        answer to the write that woke them: it would wait for thousands of messages.
        """
        sleeping, self._sleeping = self._sleeping, []
        _wake(sleeping[:WOKEN_AT_ONCE])
        if len(sleeping) > WOKEN_AT_ONCE:
            self._loop.call_soon(_wake, sleeping[WOKEN_AT_ONCE:])

    async def watch(self, wanted: WatchRequest, send: Send) -> None:
        """Send what a watcher wants, until it goes, by cancelling this, or the server does.

        Raises:
            OutOfRange: REVISION_COMPACTED, STORE_CHANGED, REVISION_AHEAD, RESUME_TOKEN_REQUIRED, for strict
                watchers only.
            ResourceExhausted: TOO_MANY_WATCHERS; WATCHER_STALLED, it has read nothing for a minute.
            FailedPrecondition, ResourceExhausted: as `Routers.open`.
            Unavailable: SERVER_DRAINING after the goodbye; STORE_UNAVAILABLE while resuming.
        """
        if self._draining:
            raise _draining()
        if len(self._watchers) >= self._max_watchers + self._returning(wanted):
            raise ResourceExhausted(
                f"this server has the {self._max_watchers} watchers it takes: try another, or later",
                reason=Reason.TOO_MANY_WATCHERS,
                subject="watchers",
                metadata={"max_watchers": str(self._max_watchers)},
                retry_after_seconds=DRAIN_SECONDS,
            )
        # Before the longest silence, each at its own time: else all would get theirs at once after a change.
        silence = wanted.bookmark_seconds * random.uniform(0.8, 0.95) - TICK_SECONDS  # noqa: S311
        awake = self._loop.create_future()
        awake.set_result(None)
        watcher = _Watcher(asyncio.current_task(), silence, self._loop.time(), awake)
        router = None
        if wanted.router is not None:
            router = self._routers.open(wanted.router, wanted.peer, self._live.ring, wanted.resume)
        self._watchers.add(watcher)
        try:
            if router is not None:
                # Before the first message: no replica may count without a router that has a table.
                await self._written()
                watcher.progress = self._loop.time()
            await self._serve(watcher, wanted, send)
        except asyncio.CancelledError:
            if watcher.stalled:
                raise ResourceExhausted(
                    f"nothing was read for {STALLED_SECONDS:.0f} s: read faster, and resume",
                    reason=Reason.WATCHER_STALLED,
                    subject="watcher",
                    retry_after_seconds=1.0,
                ) from None
            raise
        finally:
            self._watchers.discard(watcher)
            if router is not None:
                self._routers.close(router)
            if not self._watchers:
                self._gone.set()

    async def drain(self, seconds: float) -> None:
        """Say goodbye to every watcher, and wait at most so long until all have gone."""
        self._draining = True
        self.wake()
        if self._watchers:
            self._gone.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._gone.wait()
            except TimeoutError:
                return

    async def tick(self) -> None:
        """Wake who is due a bookmark, and cut off who reads nothing, until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = self._loop.time()
            for watcher in self._watchers:
                if not watcher.wake.done():
                    if now - watcher.progress >= watcher.silence:
                        watcher.due = True
                        watcher.wake.set_result(None)
                elif now - watcher.progress > STALLED_SECONDS and watcher.task and not watcher.stalled:
                    watcher.stalled = True
                    watcher.task.cancel()
            self._sleeping = [wake for wake in self._sleeping if not wake.done()]

    def _returning(self, wanted: WatchRequest) -> int:
        """Return how many watchers more than usual there may be for this one's sake."""
        router = wanted.router
        return RETURNING_WATCHERS if router is not None and self._routers.is_away(router) else 0

    async def _serve(self, watcher: _Watcher, wanted: WatchRequest, send: Send) -> None:
        place, reason = await self._begin(wanted)
        # A bookmark ends a replay, also an empty one: the router knows that it is up to date.
        watcher.due = reason is None
        while True:
            if reason is not None:
                if wanted.strict and reason is not SnapshotReason.INITIAL:
                    raise self._out_of_range(_STRICT_REASONS[reason])
                place = await self._send_snapshot(watcher, reason, send)
            reason = await self._go_on(watcher, place, send)

    async def _go_on(self, watcher: _Watcher, place: _Place, send: Send) -> SnapshotReason:
        """Send what comes, until the watcher cannot be brought up to date any more from where it is.

        One loop on purpose: it runs for every watcher at every change, and each call in it is felt.
        """
        live, ring, position, time = self._live, place.ring, place.position, self._loop.time
        while ring is live.ring and position >= ring.begin:
            if position < ring.end:
                message = ring.message(position)
                position += 1
                await send(message)
            elif self._draining:
                await send(self._sign_of_life(draining=True))
                raise _draining()
            elif watcher.due:
                watcher.due = False
                await send(self._sign_of_life(draining=False))
            else:
                watcher.wake = wake = self._loop.create_future()
                self._sleeping.append(wake)
                await wake
            watcher.progress = time()
        return self._lost(place, position)

    async def _begin(self, wanted: WatchRequest) -> tuple[_Place, SnapshotReason | None]:
        """Return where to go on, or why to begin anew."""
        live = self._live
        if wanted.unproven and wanted.strict:
            raise self._out_of_range(Reason.RESUME_TOKEN_REQUIRED)
        found = SnapshotReason.INITIAL if wanted.resume is None else await live.place(wanted.resume)
        if isinstance(found, SnapshotReason):
            return _Place(live.ring, live.ring.end), found
        return _Place(live.ring, found), None

    def _lost(self, place: _Place, position: int) -> SnapshotReason:
        """Why a watcher that was sent all before a position cannot be brought up to date from there."""
        if place.ring is self._live.ring:
            return SnapshotReason.SLOW_CONSUMER
        if not place.ring.history.broken:
            return SnapshotReason.COMPACTED
        ring, current = place.ring, self._live.current
        ahead = ring.store_id == current.store_id and ring.reached(position) > current.revision
        return SnapshotReason.REVISION_AHEAD if ahead else SnapshotReason.STORE_CHANGED

    async def _send_snapshot(self, watcher: _Watcher, reason: SnapshotReason, send: Send) -> _Place:
        ring = self._live.ring
        place = _Place(ring, ring.end)
        for chunk in self._live.current.chunks(reason):
            await send(chunk)
            watcher.progress = self._loop.time()
        return place

    def _sign_of_life(self, *, draining: bool) -> bytes:
        """Return a bookmark at the current revision; one of the last tick serves all that are due with it."""
        current, now = self._live.current, self._loop.time()
        token, was_draining, made_at, message = self._bookmark
        if (token, was_draining) != (current.token, draining) or now - made_at > TICK_SECONDS:
            message = self._codec.bookmark(current.at, self._clock(), self._live.age, draining)
            self._bookmark = (current.token, draining, now, message)
        return message

    def _out_of_range(self, reason: Reason) -> OutOfRange:
        current, floor = self._live.current, self._live.ring.floor
        return OutOfRange(
            "the changes since that revision cannot be replayed: begin with a snapshot, without resume_token "
            "and resume_revision",
            reason=reason,
            metadata={"current_revision": str(current.revision), "compact_revision": str(floor)},
        )


def _wake(sleeping: Sequence[asyncio.Future[None]]) -> None:
    for wake in sleeping:
        if not wake.done():
            wake.set_result(None)


def _draining() -> Unavailable:
    return Unavailable(
        "this server is about to stop: connect again, and resume",
        reason=Reason.SERVER_DRAINING,
        retry_after_seconds=DRAIN_SECONDS,
    )
