"""One state of a small history, the steps that lead on from it, and the laws that hold in it.

The registry's own code takes each step: `LiveTable`, its `Ring` and `place`, and what `Watchers` decides to
send. A step copies what it changes, so that every state can be gone on from in every way.
"""

from __future__ import annotations

import asyncio
import copy
import io
import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, TypeVar
from uuid import UUID

from runtime.logs import build_logger
from service.domain.history import RevisionToken, parse_token
from service.domain.routing import ChangeSet
from service.readmodel.live import LiveTable
from service.readmodel.ring import Ring
from service.readmodel.routers import Routers
from service.readmodel.snapshot import SnapshotReason
from service.readmodel.watch import Watchers, WatchRequest, _Place, _Watcher
from tests.support.doubles.hand_log import HandLog, commit_id
from tests.support.histories.plain_codec import PLAIN_CODEC, PlainTable, Value
from tests.support.histories.truth import UNRELATED, putting
from tests.support.values.registry_values import ManualClock

T = TypeVar("T")
PROVIDER = "providers/p"
REPLICAS = (0, 1)
FORKED = "b"
"""What the ids of commits after the fork are made from."""


class LawBroken(AssertionError):
    """A state that must not be; says how to get there."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far to search.

    ``revisions`` is how many a history has, ``quiet`` whether some change nothing for routers, and ``ring``
    how many messages a replica keeps. ``tells`` has a replica hear of its own commits, in any order and at
    any time, and answer their writers; ``router`` has one watch. ``reasons`` are those for which the router
    drops its credentials.
    """

    revisions: int = 3
    tells: bool = True
    router: bool = True
    quiet: bool = True
    ring: int = 10
    compacts: bool = False
    reasons: frozenset[SnapshotReason] = UNRELATED


@dataclass(frozen=True, slots=True)
class _Commit:
    """A commit as it really was, whatever became of it: ``value`` is the row of the only provider there."""

    token: RevisionToken
    value: Value | None
    before: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class _Stream:
    """An open watch: everything in ``ring`` before ``position`` was sent."""

    replica: int
    ring: Ring
    position: int


@dataclass(eq=False)
class World:
    """One state. A step makes another one, which shares what it does not change."""

    bounds: Bounds
    log: HandLog
    lives: tuple[LiveTable, LiveTable]
    commits: dict[UUID, _Commit]
    told: tuple[ChangeSet, ...] = ()
    forked: bool = False
    stream: _Stream | None = None
    router: PlainTable = field(default_factory=PlainTable)
    held: Value | None = None

    def copied(self) -> World:
        made = copy.copy(self)
        made.log = copy.copy(self.log)
        made.log.sets, made.log.reads = list(self.log.sets), []
        return made

    def with_own(self, replica: int) -> World:
        """Return a copy whose replica may be changed, and the watch on it with it."""
        made = self.copied()
        histories: dict[int, Any] = {}
        live = self.lives[replica]
        own = copy.copy(live)
        own._source = made.log.source
        own.__dict__.pop("look", None)
        own._pending = dict(live._pending)
        own._told, own._proven = list(live._told), dict(live._proven)
        own._nudged, own._extending, own._waiting = asyncio.Event(), asyncio.Lock(), []
        own.ring = _copied_ring(live.ring, histories)
        made.lives = (own, self.lives[1]) if replica == 0 else (self.lives[0], own)
        stream = self.stream
        if stream is not None and stream.replica == replica:
            ring = own.ring if stream.ring is live.ring else _copied_ring(stream.ring, histories)
            made.stream = replace(stream, ring=ring)
        return made

    def fingerprint(self) -> int:
        """Two states with the same one go on the same way, also if the replicas are exchanged."""
        stream, replicas = self.stream, []
        for replica in REPLICAS:
            live = self.lives[replica]
            watched: Hashable = None
            if stream is not None and stream.replica == replica:
                is_current = stream.ring is live.ring
                watched = (is_current or _ring_fingerprint(stream.ring), stream.position - stream.ring.begin)
            replicas.append(hash((fingerprint_of(live), watched)))
        if not self.bounds.tells:
            replicas.sort()
        told = tuple(one.commit_id for one in self.told)
        return hash((self.log_fingerprint(), *replicas, told, self.router.token, self.held))

    def log_fingerprint(self) -> int:
        log = self.log
        sets = tuple(one.commit_id for one in log.sets)
        return hash((log.revision, log.history, log.head_id, log.floor, sets))

    # Steps. Each returns the state after it, or None where it would change nothing.

    def write(self, *, is_told: bool, quiet: bool) -> World | None:
        """The store gets a new credential, or what routers do not see; replica 0 is told of it later."""
        if self.log.revision >= self.bounds.revisions:
            return None
        made = self.copied()
        parent = self.commits[self.log.head_id]
        name = f"{'b' if self.forked else 'a'}{self.log.revision + 1}"
        value = parent.value if quiet else ((parent.value or (0, ""))[0] + 1, name)
        commit = made.log.commit(*(() if quiet else (putting(PROVIDER, value),)))
        content_id = parent.token.content_id if quiet else commit.commit_id
        token = RevisionToken(made.log.store_id, content_id, commit.revision)
        before = parent.before | {self.log.head_id}
        made.commits = {**self.commits, commit.commit_id: _Commit(token, value, before)}
        if is_told:
            made.told = (*self.told, commit)
        return made

    def fork(self, back_to: int) -> World | None:
        """The store goes back, as by a restore or a failover, and on from there."""
        if self.forked or not self.log.floor <= back_to < self.log.revision:
            return None
        made = self.copied()
        made.forked = True
        made.log.fork(back_to, FORKED)
        made.log.head_id = commit_id(back_to)
        return made

    def compact(self) -> World | None:
        """A day has passed: older change sets go, and so has every credential that a router holds."""
        if not self.bounds.compacts or self.log.floor or not self.log.revision:
            return None
        made = self.copied()
        made.log.compact(made.log.revision)
        made.held = None
        return made

    def poll(self, replica: int) -> World:
        """A replica looks at the store, or takes in what it was told."""
        made = self.with_own(replica)
        _follow(made.lives[replica])
        return made

    async def tell(self, index: int) -> World | None:
        """Replica 0 hears of a commit of its own, and answers the writer."""
        if index >= len(self.told):
            return None
        commit = self.told[index]
        made = self.with_own(0)
        made.told = (*self.told[:index], *self.told[index + 1 :])
        live = made.lives[0]
        live._note(commit)
        waits = live._in_doubt() or live.current.revision < commit.revision
        await made.check_answer(live, commit, "in time" if waits else "at once")
        if waits:
            after = made.with_own(0).lives[0]
            _follow(after)
            await made.check_answer(after, commit, "after a look at the store")
        return made

    async def connect(self, replica: int) -> World:
        """The router's stream breaks, and it resumes here from what it has."""
        made = self.with_own(replica)
        watchers = _watchers(_looking(made.lives[replica]))
        place, reason = await watchers._begin(_resuming(self.router.token))
        made._snapshot(watchers, replica, place, reason)
        return made

    def receive(self) -> World | None:
        """The router gets the next message, a bookmark where there is nothing else."""
        stream = self.stream
        if stream is None:
            return None
        live = self.lives[stream.replica]
        watchers, watcher = _watchers(live), _watcher()
        watcher.due = live.current.at != self.router.token
        sent: list[bytes] = []
        place = _Place(stream.ring, stream.position)
        ended = _until_sent(partial(watchers._go_on, watcher, place), sent)
        if not sent and ended is None:
            return None
        made = self.copied()
        if ended is not None:
            made._snapshot(watchers, stream.replica, place, ended)
            return made
        made._take(sent[0])
        made.stream = replace(stream, position=min(stream.position + 1, stream.ring.end))
        return made

    def open(self) -> World | None:
        """The router opens the credential: the store's, if it is the version that the router's table has."""
        stored = self.commits[self.log.head_id].value
        if (
            stored is None
            or stored == self.held
            or (self.router.rows or {}).get(PROVIDER, (0,))[0] != stored[0]
        ):
            return None
        made = self.copied()
        made.held = stored
        return made

    def _snapshot(
        self, watchers: Watchers, replica: int, place: _Place, reason: SnapshotReason | None
    ) -> None:
        if reason is not None:
            sent: list[bytes] = []

            async def send(octets: bytes) -> None:
                sent.append(octets)

            place = _done(watchers._send_snapshot(_watcher(), reason, send))
            self._take(sent[0])
        self.stream = _Stream(replica, place.ring, place.position)

    def _take(self, octets: bytes) -> None:
        had = self.router.token
        self.router, reason = self.router.after(octets)
        if reason in self.bounds.reasons:
            self.held = None
        row = (self.router.rows or {}).get(PROVIDER)
        if self.held is not None and (row is None or row[0] != self.held[0]):
            self.held = None
        if had is None or reason is None or reason in UNRELATED:
            return
        if had.revision >= self.log.floor:
            _law(self._follows(had, self.router.token), f"a router of another history is told {reason.name}")

    # Laws.

    def _follows(self, earlier: RevisionToken, later: RevisionToken | None) -> bool:
        """Return whether two tokens are really of one history, in this order."""
        assert later is not None
        for one_id, commit in self.commits.items():
            if commit.token == later:
                chain = [self.commits[one].token for one in (*commit.before, one_id)]
                if earlier in chain:
                    return True
        return False

    def check(self) -> None:
        """Whatever has happened so far: a table is what its token says, and a credential its table's."""
        for live in self.lives:
            [chunk] = live.current.chunks(SnapshotReason.INITIAL)
            self._check_table(live.current.at, PlainTable().after(chunk)[0].rows, "replica")
        if self.router.token is not None:
            self._check_table(self.router.token, self.router.rows, "router")
            row = (self.router.rows or {}).get(PROVIDER)
            if self.held is not None and self._follows(self.router.token, self._stored()):
                _law(self.held == row, f"credential {self.held} is used where the table has {row}")

    def check_settled(self) -> None:
        """Nothing happens any more: everybody has the store's table, or one that equals it."""
        stored = self.commits[self.log.head_id].token
        tables = [("replica 0", self.lives[0].current.at)]
        if self.router.token is not None:
            tables += [("replica 1", self.lives[1].current.at), ("the router", self.router.token)]
        for who, at in tables:
            _law(at == stored, f"{who} stays at {_words(at)} where the store is at {_words(stored)}")

    async def check_places(self, replica: int) -> None:
        """A position that a replica gives for a token brings the token's table to the replica's."""
        for commit in self.commits.values():
            live = _looking(self.with_own(replica).lives[replica])
            found = await live.place(commit.token)
            if isinstance(found, SnapshotReason):
                continue
            value = commit.value
            for position in range(found, live.ring.end):
                rows = PlainTable(rows={}).after(live.ring.message(position))[0].rows
                value = (rows or {}).get(PROVIDER, value)
            rows = PlainTable().after(live.current.chunks(SnapshotReason.INITIAL)[0])[0].rows or {}
            _law(value == rows.get(PROVIDER), f"place says that {_words(commit.token)} leads to its table")
            known = self._follows(commit.token, live.current.at)
            _law(known, f"{_words(commit.token)} is exact for a replica at {_words(live.current.at)}")

    async def check_answer(self, live: LiveTable, commit: ChangeSet, when: str) -> None:
        """The token that a writer is answered is that of the write, if it is answered one."""
        answered = await live.reached(commit.revision, commit.commit_id)
        token = self.commits[commit.commit_id].token
        if answered is not None and answered != str(token):
            other = parse_token(answered)
            assert other is not None
            _law(False, f"the writer of {_words(token)} is answered {_words(other)}, {when}")

    def _check_table(self, at: RevisionToken, rows: Any, who: str) -> None:
        known = [one.value for one in self.commits.values() if one.token == at]
        _law(bool(known), f"a {who} has a token that no commit has")
        _law((rows or {}).get(PROVIDER) in known, f"the table of a {who} is not that of its token")

    def _stored(self) -> RevisionToken:
        return self.commits[self.log.head_id].token


def _law(holds: bool, text: str) -> None:
    if not holds:
        raise LawBroken(text)


def _words(token: RevisionToken) -> str:
    history = chr(token.content_id.int >> 64 & 0xFF)
    return f"{token.revision} (last change {history}{token.content_id.int & 0xFF})"


def beginning(bounds: Bounds) -> World:
    log = HandLog()
    made = [
        LiveTable(log.source, PLAIN_CODEC, _run_here, build_logger(io.StringIO(), logging.CRITICAL))
        for _ in REPLICAS
    ]
    start = log.load().at
    return World(bounds, log, (made[0], made[1]), {log.head_id: _Commit(start, None, frozenset())})


async def _run_here(work: Callable[[], T]) -> T:
    return work()


def _looking(live: LiveTable) -> LiveTable:
    """Have a replica look at the store at once when it is to: what it then finds is what it waits for."""
    live.look = partial(_follow, live)  # type: ignore[method-assign]
    return live


def _follow(live: LiveTable) -> None:
    """Let a replica look at the store once."""
    live._nudged.set()
    following = live.follow()
    following.send(None)
    following.close()


def _done(work: Any) -> Any:
    """Return the result of what does not wait."""
    try:
        work.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it waits")


class _Sent(BaseException):
    """Stops a watch after a message."""


def _until_sent(watch: Callable[..., Any], sent: list[bytes]) -> SnapshotReason | None:
    """Run a watch until it sends, sleeps or ends; return the reason for which it ended."""

    async def send(octets: bytes) -> None:
        sent.append(octets)
        raise _Sent

    work = watch(send)
    try:
        work.send(None)
    except _Sent:
        return None
    except StopIteration as ended:
        reason: SnapshotReason = ended.value
        return reason
    work.close()
    return None


@cache
def _clock() -> ManualClock:
    return ManualClock()


def _watchers(live: LiveTable) -> Watchers:
    routers = Routers(_clock(), build_logger(io.StringIO(), logging.CRITICAL))
    return Watchers(live, PLAIN_CODEC, routers, clock=_clock())


def _watcher() -> _Watcher:
    return _Watcher(None, 60.0, 0.0, asyncio.get_running_loop().create_future())


def _resuming(token: RevisionToken | None) -> WatchRequest:
    return WatchRequest(
        resume=token, unproven=False, bookmark_seconds=60.0, strict=False, router=None, peer=""
    )


def _copied_ring(ring: Ring, histories: dict[int, Any]) -> Ring:
    made = copy.copy(ring)
    made._revisions, made._ids, made._messages = list(ring._revisions), list(ring._ids), list(ring._messages)
    made.history = histories.setdefault(id(ring.history), copy.copy(ring.history))
    return made


def fingerprint_of(live: LiveTable) -> Hashable:
    pending = tuple(sorted(one.commit_id for one in live._pending.values()))
    told = tuple(one.commit_id for one in live._told)
    return (
        live.current.at,
        live.current.commit_id,
        _ring_fingerprint(live.ring),
        pending,
        told,
    )


def _ring_fingerprint(ring: Ring) -> Hashable:
    return (
        ring.floor,
        ring.floor_id,
        ring.head,
        ring.out_of_reach,
        tuple(ring._revisions),
        tuple(ring._ids),
        ring.history.broken,
    )
