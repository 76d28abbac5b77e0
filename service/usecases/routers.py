"""What operators ask of the routers: who has which revision, and whether all have one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.domain.calls import Call
from service.domain.errors import OutOfRange, Reason
from service.domain.filter_parser import parse_filter
from service.domain.filters import compiled
from service.domain.history import RevisionToken
from service.domain.lists import ROUTER_LIST
from service.domain.pages import Query
from service.domain.routers import Router
from service.readmodel.live import LiveTable
from service.readmodel.replicas import Replicas
from service.readmodel.routers import Routers
from service.readmodel.snapshot import SnapshotReason
from service.readmodel.waiting import Waiting
from service.usecases.context import Context, ListQuery
from service.usecases.lists import Page, page_of

METHOD = "ListRouters"
VIEW_SECONDS = 3.0
"""How long a call waits, whatever its timeout, for what other replicas know: two of their flushes."""
ANSWER_SECONDS = 0.5
"""What is left of a call's deadline for its answer."""


_NOT_HERE = {
    SnapshotReason.REVISION_AHEAD: (
        "the registry has not reached that revision: was the token returned by this registry?",
        Reason.REVISION_AHEAD,
    ),
    SnapshotReason.STORE_CHANGED: (
        "the write of that token was lost: the database was restored or failed over to an older state. Check "
        "what is stored now, and write again",
        Reason.STORE_CHANGED,
    ),
    SnapshotReason.COMPACTED: (
        "the write of that token is too old to know which routers have it: read their revisions instead",
        Reason.REVISION_COMPACTED,
    ),
}


@dataclass(frozen=True, slots=True)
class RouterPage:
    """One page of routers, and what all that count have applied, whatever the filter.

    Every watch that was open at ``view_time``, at any replica, is among them. ``silent_replicas`` are alive
    and have not written for some seconds.
    """

    page: Page[Router]
    revision: int
    min_applied_revision: int
    view_time: datetime
    silent_replicas: Sequence[str]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a revision has come among the routers that count.

    Where it is not ``reached`` though nobody lags, ``silent_replicas`` have not said yet who watches them, or
    do not have the revision themselves.
    """

    reached: bool
    revision: int
    router_count: int
    lagging: Sequence[Router]
    silent_replicas: Sequence[str]


class RouterViews:
    """What is asked of routers, each answer made once for all that ask for the same at that moment.

    ``look`` has the replicas read at once, for a call that has begun to wait.
    """

    def __init__(
        self,
        live: LiveTable,
        routers: Routers,
        replicas: Replicas,
        waiting: Waiting,
        look: Callable[[], None],
    ) -> None:
        self._live = live
        self._routers = routers
        self._replicas = replicas
        self._waiting = waiting
        self._look = look
        self._made: tuple[object, list[Router]] = (None, [])

    def page(self, ctx: Context, query: ListQuery) -> RouterPage:
        """Return a page of the routers that count, by watcher_id and session.

        Raises:
            InvalidArgument: INVALID_FILTER, INVALID_PAGE_TOKEN.
        """
        keep = parse_filter(query.filter, ROUTER_LIST.filter)
        bound = Query(METHOD, "", query.filter)
        current, counted = self._live.current, self._routers.all(self._live.ring)
        kept = counted if keep is None else list(filter(compiled(keep, getattr), counted))
        return RouterPage(
            page=page_of(ctx.page_tokens, bound, query, kept, lambda one: (one.watcher_id, one.session_id)),
            revision=current.revision,
            min_applied_revision=min((one.applied_revision for one in counted), default=current.revision),
            view_time=self._replicas.view_time,
            silent_replicas=self._replicas.silent,
        )

    async def await_applied(
        self, call: Call, *, revision: int, token: RevisionToken | None, seconds: float
    ) -> Progress:
        """Wait until every router that counts has applied a revision (0: the current one), or time is up.

        It is reached only in a view of all live replicas that is at least as new as the call. A token proves
        that the revision is still the write it was; a number may have been taken by another one after a
        failover or a restore.

        Raises:
            OutOfRange: REVISION_AHEAD, the registry has not reached the revision; STORE_CHANGED, the write
                that the token is of was lost; REVISION_COMPACTED, it is too old to know.
        """
        live, waiting = self._live, self._waiting
        begun, view = time.monotonic(), self._replicas.next_view()
        if token is not None:
            revision = token.revision
            found = await live.place(token)
            if isinstance(found, SnapshotReason):
                raise _not_here(found, live.current.revision)
        else:
            if revision > live.current.revision:
                live.look()
            await live.reached(revision)
        current, history = live.current, live.ring.history
        if revision > current.revision:
            raise OutOfRange(
                f"the registry is at revision {current.revision}: wait for one that a write has answered",
                reason=Reason.REVISION_AHEAD,
                metadata={"current_revision": str(current.revision)},
            )
        wanted = revision or current.revision
        end = min(begun + seconds, call.deadline - ANSWER_SECONDS)
        if not self._routers.all_have(live.ring, wanted):
            self._look()
            await waiting.until(wanted, view, end - time.monotonic())
        if live.ring.history is history and self._routers.all_have(live.ring, wanted):
            # Nobody is known to lag. What other replicas know is waited for, whatever the timeout.
            end = max(end, min(begun + VIEW_SECONDS, call.deadline - ANSWER_SECONDS))
            if not waiting.is_reached(wanted, view):
                self._look()
                await waiting.until(wanted, view, end - time.monotonic())
        if live.ring.history is not history:
            raise _not_here(SnapshotReason.STORE_CHANGED, live.current.revision)
        return self._progress(wanted, view)

    def _progress(self, wanted: int, view: float) -> Progress:
        counted = self._counted()
        lagging = [one for one in counted if one.applied_revision < wanted]
        silent: Sequence[str] = ()
        reached = not lagging and self._waiting.is_reached(wanted, view)
        if not reached:
            silent = self._replicas.unanswered(view) or self._replicas.without(self._live.ring, wanted)
        return Progress(reached, wanted, len(counted), lagging, silent)

    def _counted(self) -> list[Router]:
        """Return the routers that count, once for all whose wait ends at this moment."""
        at = (self._routers.version, self._live.current.token)
        if self._made[0] != at:
            self._made = (at, self._routers.all(self._live.ring))
        return self._made[1]


def _not_here(found: SnapshotReason, revision: int) -> OutOfRange:
    text, reason = _NOT_HERE[found]
    return OutOfRange(text, reason=reason, metadata={"current_revision": str(revision)})
