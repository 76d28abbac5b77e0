"""Which router has which revision: who watches, here and at other replicas, and what each has reported.

Kept in memory. What this process hears is handed out to be stored, and what other replicas stored is merged
in. A watch makes a router; a report alone never does.

No clocks are compared. ``observed`` is the seconds for which this process has been looking, on its monotonic
clock: a router that has not changed for ten minutes of them is forgotten, whatever any wall clock says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from structlog.typing import FilteringBoundLogger

from service.domain.errors import FailedPrecondition, Reason, ResourceExhausted
from service.domain.history import RevisionToken
from service.domain.routers import (
    REMEMBERED_FOR,
    STOPPED_FOR,
    Heard,
    Router,
    RouterKey,
    RouterRecord,
    Stamp,
)
from service.readmodel.ring import History, Ring
from service.telemetry import ROUTER_EVICTED

MAX_SESSIONS = 8
MAX_IDS = 1_000
MAX_ROUTERS = 12_000
MAX_UNKNOWN = 2_000
"""Reports of routers whose watch another replica has just begun, and this one has not read of yet."""
UNKNOWN_SECONDS = 10.0
LOOPBACK = "dev:loopback"
"""The caller of a registry that listens on loopback only: all routers are its own, however many ids."""
_RETRY_SECONDS = 60.0
_SESSION_ID_DIGITS = 8
_UNWRITTEN = Stamp("", 0)


@dataclass(slots=True, eq=False)
class Known:
    """One router. ``watches`` are open here, ``elsewhere`` are other replicas where some are.

    ``changed`` is when this process last saw it change, in observed seconds. ``history`` is the one that
    ``applied`` was found to be of. ``ahead`` is a report that this table has not come to yet, kept beside a
    sound one until it has.
    """

    key: RouterKey
    peer: str
    seen_time: datetime
    changed: float
    watches: int = 0
    elsewhere: tuple[str, ...] = ()
    stopped: bool = False
    applied: RevisionToken | None = None
    apply_time: datetime | None = None
    history: History | None = None
    ahead: RevisionToken | None = None
    stamp: Stamp = _UNWRITTEN


@dataclass(frozen=True, slots=True)
class Drained:
    """What is to be stored: what was heard, and who began or ceased to watch here."""

    heard: dict[RouterKey, Heard]
    opened: list[RouterKey]
    closed: list[RouterKey]
    forgotten: list[tuple[RouterKey, Stamp]]


class Routers:
    """The routers that count. Belongs to the event loop.

    ``shared`` says that there may be other replicas, with routers that are not known here yet. ``version``
    changes whenever anything does that is counted.
    """

    def __init__(
        self, clock: Callable[[], datetime], log: FilteringBoundLogger, *, shared: bool = False
    ) -> None:
        self._clock = clock
        self._log = log
        self._shared = shared
        self._known: dict[RouterKey, Known] = {}
        self._unknown: dict[RouterKey, Known] = {}
        self._sessions: dict[tuple[str, str], tuple[bytes, ...]] = {}
        self._ids: Counter[str] = Counter()
        self._heard: dict[RouterKey, Heard] = {}
        self._moved: set[RouterKey] = set()
        self._forgotten: dict[RouterKey, Stamp] = {}
        self._alive: frozenset[str] = frozenset()
        self._lagging: Known | None = None
        self._ahead: set[RouterKey] = set()
        self.observed = 0.0
        self.version = 0

    def __len__(self) -> int:
        return len(self._known)

    def open(self, key: RouterKey, peer: str, ring: Ring, resumed: RevisionToken | None) -> Known:
        """Note that a watch of this router has begun, at the table ``resumed``. To be closed when it ends.

        Raises:
            FailedPrecondition: ROUTER_STOPPED, this session has said that it stops.
            ResourceExhausted: TOO_MANY_ROUTERS, in all, of this caller, or with this id.
        """
        known = self._known.get(key)
        if known is None:
            self._make_room(key)
            known = self._add(self._place(key, peer))
        if known.stopped and key.session:
            raise FailedPrecondition(
                "session: has reported that it stops: begin another one, with 16 new random bytes",
                reason=Reason.ROUTER_STOPPED,
            )
        heard = self._hear(known, peer)
        heard.began = True
        if not key.session:
            # Which process this is of that id is not known: all that it proves is where it resumes.
            known.applied, known.history, known.ahead, known.apply_time = None, None, None, None
            heard.applied, heard.sets, heard.apply_time = None, True, None
            known.stopped = heard.stopped = False
            self._offer(known, heard, resumed, ring)
        known.watches += 1
        self._moved.add(key)
        return known

    def is_away(self, key: RouterKey) -> bool:
        """Return whether this router is known and watches nowhere."""
        known = self._known.get(key)
        return known is not None and not self._watching(known)

    def close(self, known: Known) -> None:
        """Note that a watch has ended. It brings nothing back that has stopped."""
        known.watches -= 1
        self._moved.add(known.key)
        if self._known.get(known.key) is known:
            self._hear(known, known.peer)

    def reported(self, key: RouterKey, applied: RevisionToken | None, ring: Ring, peer: str) -> None:
        """Note that a router routes by that table; None while it has none, or cannot prove which.

        What ``ring`` has not come to yet counts once it has. What is of another history never counts, and
        never replaces what does.
        """
        known = self._find(key, peer)
        if known is None or (known.stopped and key.session):
            return
        self._offer(known, self._hear(known, peer), applied, ring)

    def stopping(self, key: RouterKey, peer: str) -> None:
        """Note that a router stops and has dropped its credentials: it counts no more.

        Without a session another process may have the id: while anything of that id watches, nothing ends.
        """
        if not key.session and any(self._watching(one) for one in self._of_id(key)):
            return
        known = self._find(key, peer)
        if known is not None:
            self._hear(known, peer).stopped = known.stopped = True

    def all(self, ring: Ring) -> list[Router]:
        """Return the routers that count, in order; revisions of other histories read as 0."""
        self._promote(ring)
        now = self._clock()
        counted = [known for known in self._known.values() if self._counts(known)]
        return [self._router(known, ring, now) for known in sorted(counted, key=lambda one: one.key)]

    def all_have(self, ring: Ring, revision: int) -> bool:
        """Return whether all routers that count have applied a revision, without listing them."""
        self._promote(ring)
        # The one that was found to lag is likely to lag still.
        last = self._lagging
        if last is not None and self._known.get(last.key) is last and self._lags(last, ring, revision):
            return False
        self._lagging = next((one for one in self._known.values() if self._lags(one, ring, revision)), None)
        return self._lagging is None

    def drain(self, ring: Ring) -> Drained:
        """Return what is to be stored since the last time."""
        self._promote(ring)
        heard, self._heard = self._heard, {}
        moved, self._moved = self._moved, set()
        forgotten, self._forgotten = self._forgotten, {}
        opened = {key for key in moved if (known := self._known.get(key)) and known.watches > 0}
        return Drained(heard, sorted(opened), sorted(moved - opened), sorted(forgotten.items()))

    def requeue(self, drained: Drained) -> None:
        """Drain these again the next time: they could not be stored."""
        newer, self._heard = self._heard, drained.heard
        for key, heard in newer.items():
            self._heard[key] = _added(self._heard.get(key), heard)
        self._moved.update(drained.opened, drained.closed)
        self._forgotten = dict(drained.forgotten) | self._forgotten

    def stamped(self, drained: Drained, stamp: Stamp) -> None:
        """Note by which flush these were stored."""
        for key in drained.heard:
            known = self._known.get(key)
            if known is not None:
                known.stamp = stamp

    def rejoin(self) -> None:
        """Let all who watch here be stored anew: what was stored of this process is gone."""
        for known in self._known.values():
            if known.watches > 0:
                heard = self._hear(known, known.peer)
                heard.began = True
                heard.applied, heard.apply_time = known.applied, known.apply_time
                self._moved.add(known.key)

    def merge(self, records: Iterable[RouterRecord], history: History, ring: Ring, own: str) -> None:
        """Take in what is stored; tokens that are ``proven`` are of the ``history`` of that time."""
        for record in records:
            known = self._known.get(record.key)
            if known is None:
                known = self._add(self._place(record.key, record.peer))
            if record.stamp.replica_id != own:
                known.seen_time, known.peer = max(known.seen_time, record.seen_time), record.peer
                known.changed = self.observed
            known.stamp = record.stamp
            known.elsewhere = tuple(one for one in record.replicas if one != own)
            self._merge_words(known, record, history, ring)
            self.version += 1

    def observe(self, seconds: float, alive: Iterable[str]) -> None:
        """Note that so much time was observed, after which these other replicas are alive.

        With a replica that is not, what it held open has ended now.
        """
        before, self._alive = self._alive, frozenset(alive)
        self.observed += seconds
        ended = before - self._alive
        if ended:
            for known in self._known.values():
                if not ended.isdisjoint(known.elsewhere):
                    known.changed = self.observed
        for known in [one for one in self._known.values() if self._is_cold(one)]:
            self._forgotten[known.key] = known.stamp
            self._drop(known)
        for key, known in list(self._unknown.items()):
            if self.observed - known.changed > UNKNOWN_SECONDS:
                del self._unknown[key]
        self.version += 1

    def drop_replica(self, replica_id: str) -> None:
        """Forget a replica that is stored no more."""
        for known in self._known.values():
            if replica_id in known.elsewhere:
                known.elsewhere = tuple(one for one in known.elsewhere if one != replica_id)

    def _merge_words(self, known: Known, record: RouterRecord, history: History, ring: Ring) -> None:
        """Merge what was said, unless something newer is still to be stored."""
        unsaved = self._heard.get(record.key)
        if unsaved is None or unsaved.stopped is None:
            if record.key.session:
                known.stopped |= record.stopped
            elif record.stopped and known.watches > 0:
                self._hear(known, known.peer).stopped = False
            else:
                known.stopped = record.stopped
        if record.applied is None or (unsaved is not None and unsaved.sets):
            return
        have = _applied(known, ring)
        if record.proven:
            if not known.key.session or record.applied.revision > have:
                known.applied, known.history = record.applied, history
                known.apply_time = record.apply_time
        elif not have:
            known.applied, known.history, known.apply_time = record.applied, None, record.apply_time
        elif record.applied.revision > ring.head:
            known.ahead = record.applied
            self._ahead.add(known.key)
        elif known.applied != record.applied and not ring.holds(record.applied):
            heard = self._hear(known, known.peer)
            heard.applied, heard.apply_time = known.applied, known.apply_time
            heard.over = record.applied.content_id

    def _offer(self, known: Known, heard: Heard, applied: RevisionToken | None, ring: Ring) -> None:
        """Take a token that was reported, where it says more than what is known."""
        if applied is None:
            return
        have = _applied(known, ring)
        if ring.holds(applied):
            if have and (applied.revision == have or (known.key.session and applied.revision < have)):
                return
            if known.applied is not None and not have:
                heard.over = known.applied.content_id
            heard.sets |= not known.key.session
            known.history = ring.history
        elif applied.store_id == ring.store_id and applied.revision > ring.head:
            if have:
                known.ahead = applied
                self._ahead.add(known.key)
                return
            known.history = None
        else:
            return
        known.applied = heard.applied = applied
        known.apply_time = heard.apply_time = heard.seen_time

    def _promote(self, ring: Ring) -> None:
        """Look again at the reports that this table had not come to."""
        for key in list(self._ahead):
            known = self._known.get(key)
            if known is None or known.ahead is None:
                self._ahead.discard(key)
            elif known.ahead.revision <= ring.head:
                self._ahead.discard(key)
                ahead, known.ahead = known.ahead, None
                self._offer(known, self._hear(known, known.peer), ahead, ring)

    def _hear(self, known: Known, peer: str) -> Heard:
        """Note a sign of life, and return what is to be stored of it."""
        now = self._clock()
        known.seen_time, known.peer, known.changed = now, peer, self.observed
        heard = self._heard.get(known.key)
        if heard is None:
            heard = self._heard[known.key] = Heard(now, peer)
        else:
            heard.seen_time, heard.peer = now, peer
        self.version += 1
        return heard

    def _find(self, key: RouterKey, peer: str) -> Known | None:
        """Return the router, or a place for what is said of one that this process has not read of yet."""
        known = self._known.get(key) or self._unknown.get(key)
        if known is None and self._shared:
            if len(self._unknown) >= MAX_UNKNOWN:
                del self._unknown[next(iter(self._unknown))]
            known = self._unknown[key] = self._new(key, peer)
        return known

    def _place(self, key: RouterKey, peer: str) -> Known:
        """Return a place for a router that is new here, with what was reported of it before."""
        return self._unknown.pop(key) if key in self._unknown else self._new(key, peer)

    def _new(self, key: RouterKey, peer: str) -> Known:
        return Known(key, peer, self._clock(), self.observed)

    def _add(self, known: Known) -> Known:
        key = known.key
        of_id = self._sessions.get(key[:2], ())
        if not of_id:
            self._ids[key.principal] += 1
        self._sessions[key[:2]] = (*of_id, key.session)
        self._known[key] = known
        self._forgotten.pop(key, None)
        return known

    def _drop(self, known: Known) -> None:
        key = known.key
        del self._known[key]
        left = tuple(one for one in self._sessions[key[:2]] if one != key.session)
        if left:
            self._sessions[key[:2]] = left
        else:
            del self._sessions[key[:2]]
            self._ids[key.principal] -= 1

    def _make_room(self, key: RouterKey) -> None:
        """Let one more router in, if there is room, or if one can go that is of no more use."""
        of_id = self._of_id(key)
        if len(of_id) >= MAX_SESSIONS:
            self._evict(of_id, f"watcher_id: {MAX_SESSIONS} routers watch under this id: give each its own")
        if len(self._known) >= MAX_ROUTERS:
            stopped = [one for one in self._known.values() if one.stopped]
            self._evict(stopped, f"this registry has the {MAX_ROUTERS} routers it takes: try again later")
        if not of_id and key.principal != LOOPBACK and self._ids[key.principal] >= MAX_IDS:
            self._evict([], f"watcher_id: this caller has {MAX_IDS} ids, as many as it may: use them again")

    def _evict(self, among: list[Known], refusal: str) -> None:
        """Forget the one of these that has been silent longest, those that stopped first.

        Raises:
            ResourceExhausted: TOO_MANY_ROUTERS, all of them watch.
        """
        silent = [one for one in among if one.stopped or not self._watching(one)]
        if not silent:
            raise ResourceExhausted(
                refusal,
                reason=Reason.TOO_MANY_ROUTERS,
                subject="routers",
                retry_after_seconds=_RETRY_SECONDS,
            )
        known = min(silent, key=lambda one: (not one.stopped, one.changed))
        if not known.stopped:
            self._log.warning(ROUTER_EVICTED, watcher_id=known.key.watcher_id, session_id=_session_id(known))
        self._forgotten[known.key] = known.stamp
        self._drop(known)

    def _of_id(self, key: RouterKey) -> list[Known]:
        return [
            self._known[RouterKey(key.principal, key.watcher_id, session)]
            for session in self._sessions.get(key[:2], ())
        ]

    def _watching(self, known: Known) -> bool:
        return known.watches > 0 or (bool(known.elsewhere) and not self._alive.isdisjoint(known.elsewhere))

    def _counts(self, known: Known) -> bool:
        if known.stopped and known.key.session:
            return False
        if self._watching(known):
            return True
        return not known.stopped and self.observed - known.changed <= REMEMBERED_FOR.total_seconds()

    def _is_cold(self, known: Known) -> bool:
        kept = STOPPED_FOR if known.stopped else REMEMBERED_FOR
        return self.observed - known.changed > kept.total_seconds() and not self._watching(known)

    def _lags(self, known: Known, ring: Ring, revision: int) -> bool:
        return self._counts(known) and _applied(known, ring) < revision

    def _router(self, known: Known, ring: Ring, now: datetime) -> Router:
        watching, applied = self._watching(known), _applied(known, ring)
        left = REMEMBERED_FOR - timedelta(seconds=self.observed - known.changed)
        return Router(
            watcher_id=known.key.watcher_id,
            session_id=_session_id(known),
            applied_revision=applied,
            apply_time=known.apply_time if applied else None,
            watching=watching,
            replicas=sorted(self._alive.intersection(known.elsewhere)),
            seen_time=now if watching else known.seen_time,
            forget_time=None if watching else now + left,
            peer=known.peer,
        )


def _session_id(known: Known) -> str:
    return known.key.session.hex()[:_SESSION_ID_DIGITS]


def _applied(known: Known, ring: Ring) -> int:
    """Return the revision a router has applied, 0 if its report is not of the history of ``ring``."""
    applied = known.applied
    if applied is None:
        return 0
    if known.history is not ring.history:
        if not ring.holds(applied):
            return 0
        known.history = ring.history
    return applied.revision


def _added(older: Heard | None, newer: Heard) -> Heard:
    """Return both as one, as if they had been heard at once."""
    if older is None:
        return newer
    newer.began |= older.began
    if newer.stopped is None:
        newer.stopped = older.stopped
    if newer.applied is None and not newer.sets:
        newer.applied, newer.apply_time = older.applied, older.apply_time
        newer.over, newer.sets = older.over, older.sets
    else:
        newer.over = newer.over or older.over
        newer.sets |= older.sets
    return newer
