"""Waits until all routers have applied a revision, and says on stderr which are still lagging."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from codevector.providers.v1 import system_service_pb2 as pb
from google.protobuf.duration_pb2 import Duration

from cli.session import Session
from cli.terminal.output import Tone
from cli.times import of_message
from runtime.calls import CALL_SECONDS

LOOK_SECONDS = 5.0
"""How long one call waits. The answer comes at once when all have it, else this often to tell who has not."""
_NAMED = 3


def await_revision(
    session: Session, revision: int, token: str, seconds: float
) -> pb.AwaitAppliedRevisionResponse:
    """Return the last response: all routers have ``revision`` (0: the current one), or ``seconds`` are over.

    A ``token`` stands for a revision, and proves that it is still the write that it was.

    Once it has responded, a registry that becomes unavailable is asked again until then.

    Raises:
        CallRefused: it has not reached the revision, or is unavailable at first or at the end.
    """
    monotonic = session.world.monotonic
    end = monotonic() + seconds
    answer = _ask(session, revision, token, 0.0)
    wanted, shown = answer.revision, None
    while not answer.reached and monotonic() < end:
        lagging = [(each.watcher_id, each.session_id, each.watching) for each in answer.lagging]
        state = (answer.applied_count, lagging, list(answer.silent_replicas))
        if state != shown:
            session.terminal.say(_waiting_for(answer, session.world.now()), Tone.QUIET)
            shown = state
        answer = session.patience(end - monotonic()).insist(
            lambda: _ask(session, wanted, token, min(LOOK_SECONDS, max(0.0, end - monotonic())))
        )
    return answer


def tally(have: int, count: int, revision: int) -> str:
    """``41 of 42 routers have revision 120``."""
    if not count:
        return "no routers are connected"
    return f"{have} of {count} {'router has' if count == 1 else 'routers have'} revision {revision}"


def unheard(replicas: Sequence[str]) -> str:
    """``; no answer yet from replica registry-1``: it may have routers that no other replica knows."""
    if not replicas:
        return ""
    return f"; no answer yet from {'replica' if len(replicas) == 1 else 'replicas'} {', '.join(replicas)}"


def _ask(session: Session, revision: int, token: str, seconds: float) -> pb.AwaitAppliedRevisionResponse:
    registry = session.registry
    timeout = Duration()
    timeout.FromNanoseconds(int(seconds * 1e9))
    request = pb.AwaitAppliedRevisionRequest(revision=revision, token=token, timeout=timeout)
    return registry.call(registry.system.AwaitAppliedRevision, request, seconds=seconds + CALL_SECONDS)


def _waiting_for(answer: pb.AwaitAppliedRevisionResponse, now: datetime) -> str:
    result = tally(answer.applied_count, answer.router_count, answer.revision)
    silent = unheard(answer.silent_replicas)
    if not answer.lagging:
        return result + silent
    missing = answer.router_count - answer.applied_count
    named = [f"{each.watcher_id} ({_state(each, now)})" for each in answer.lagging[:_NAMED]]
    if missing > _NAMED:
        named.append(f"{missing - _NAMED} more")
    return f"{result}; waiting for {', '.join(named)}{silent}"


def _state(router: pb.Router, now: datetime) -> str:
    if router.watching:
        return f"watching, has {router.applied_revision or 'none'}"
    seconds = max(0, int((now - of_message(router.seen_time)).total_seconds()))
    ago = f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
    return f"not watching, last seen {ago} ago"
