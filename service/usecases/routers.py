"""What operators ask of the routers: who has which revision, and whether all have one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.calls import Call
from service.domain.errors import OutOfRange, Reason
from service.domain.filter_parser import parse_filter
from service.domain.filters import compiled
from service.domain.history import RevisionToken
from service.domain.lists import ROUTER_LIST
from service.domain.pages import Query
from service.domain.routers import Router
from service.readmodel.live import LiveTable
from service.readmodel.routers import Routers
from service.readmodel.snapshot import SnapshotReason
from service.usecases.context import Context, ListQuery
from service.usecases.lists import Page, page_of

METHOD = "ListRouters"
LOOK_SECONDS = 0.05
"""How often a waiting call looks: reports come in waves, so looking at each would gain nothing."""
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
    """One page of routers, and what all that count have applied, whatever the filter."""

    page: Page[Router]
    revision: int
    min_applied_revision: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a revision has come among the routers that count."""

    revision: int
    router_count: int
    lagging: Sequence[Router]


def list_routers(ctx: Context, live: LiveTable, routers: Routers, query: ListQuery) -> RouterPage:
    """Return a page of the routers that count, by watcher_id.

    Raises:
        InvalidArgument: INVALID_FILTER, INVALID_PAGE_TOKEN.
    """
    keep = parse_filter(query.filter, ROUTER_LIST.filter)
    bound = Query(METHOD, "", query.filter)
    current = live.current
    counted = routers.all(live.ring)
    kept = counted if keep is None else list(filter(compiled(keep, getattr), counted))
    return RouterPage(
        page=page_of(ctx.page_tokens, bound, query, kept, lambda one: (one.watcher_id,)),
        revision=current.revision,
        min_applied_revision=min((one.applied_revision for one in counted), default=current.revision),
    )


async def await_applied(
    live: LiveTable,
    routers: Routers,
    call: Call,
    *,
    revision: int,
    token: RevisionToken | None,
    seconds: float,
) -> Progress:
    """Wait until every router that counts has applied a revision (0: the current one), or the time is up.

    A token proves that the revision is still the write it was; a number may have been taken by another one
    after a failover or a restore.

    Raises:
        OutOfRange: REVISION_AHEAD, the registry has not reached the revision; STORE_CHANGED, the write that
            the token is of was lost; REVISION_COMPACTED, it is too old to know.
    """
    if token is not None:
        revision = token.revision
        found = await live.place(token)
        if isinstance(found, SnapshotReason):
            raise _not_here(found, live.current.revision)
    else:
        await live.reached(revision)
    current, history = live.current, live.ring.history
    if revision > current.revision:
        raise OutOfRange(
            f"the registry is at revision {current.revision}: wait for one that a write has answered",
            reason=Reason.REVISION_AHEAD,
            metadata={"current_revision": str(current.revision)},
        )
    wanted = revision or current.revision
    end = min(time.monotonic() + seconds, call.deadline - ANSWER_SECONDS)
    while not routers.all_have(live.ring, wanted) and time.monotonic() < end:
        await asyncio.sleep(LOOK_SECONDS)
        if live.ring.history is not history:
            raise _not_here(SnapshotReason.STORE_CHANGED, live.current.revision)
    counted = routers.all(live.ring)
    return Progress(wanted, len(counted), [one for one in counted if one.applied_revision < wanted])


def _not_here(found: SnapshotReason, revision: int) -> OutOfRange:
    text, reason = _NOT_HERE[found]
    return OutOfRange(text, reason=reason, metadata={"current_revision": str(revision)})
