"""The functions behind ``providerctl router``: what each prints, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable

from codevector.providers.v1 import system_service_pb2 as pb

from cli.failures import Failure
from cli.messages import as_json
from cli.routers.waiting import await_revision, tally, unheard
from cli.session import Session
from cli.terminal.output import Cell, Facts, Section, Tone, Value
from cli.times import shown, span

_PAGE_SIZE = 1000


def list_(session: Session, *, filter_: str) -> None:
    """List the routers that count, by watcher id, with the revision that each has applied."""
    answer = _read(session, filter_)
    names = [each.watcher_id for each in answer.routers]
    session.terminal.show(as_json(answer), _section(answer.routers, answer.revision), names=names)
    have = sum(each.applied_revision >= answer.revision for each in answer.routers)
    session.terminal.say(tally(have, len(answer.routers), answer.revision) + unheard(answer.silent_replicas))


def wait(session: Session, *, revision: int, token: str, timeout: str) -> None:
    """Wait until every router that counts has applied a revision, such as that of a disable or a deletion."""
    answer = await_revision(session, revision, token, span(timeout).total_seconds())
    facts = Facts(
        [
            ("revision", answer.revision),
            ("routers", answer.router_count),
            ("have it", Cell(str(answer.applied_count), Tone.GOOD if answer.reached else Tone.WARNING)),
        ]
    )
    lagging = [_section(answer.lagging, answer.revision)] if answer.lagging else []
    session.terminal.show(as_json(answer), facts, *lagging)
    result = tally(answer.applied_count, answer.router_count, answer.revision)
    result += unheard(answer.silent_replicas)
    if not answer.reached:
        raise Failure(f"timed out after {timeout}: {result}")
    session.terminal.say(result)


def _read(session: Session, filter_: str) -> pb.ListRoutersResponse:
    """Return all pages as one response, at the revision of the first."""
    registry = session.registry
    request = pb.ListRoutersRequest(page_size=_PAGE_SIZE, filter=filter_)
    whole = registry.call(registry.system.ListRouters, request)
    while whole.next_page_token:
        request.page_token = whole.next_page_token
        page = registry.call(registry.system.ListRouters, request)
        whole.routers.extend(page.routers)
        whole.next_page_token = page.next_page_token
    return whole


def _section(routers: Iterable[pb.Router], revision: int) -> Section:
    return Section(
        "",
        ("router", "session", "applied", "lag", "watching", "last seen", "counts until", "peer"),
        [_row(each, revision) for each in routers],
    )


def _row(router: pb.Router, revision: int) -> tuple[Value, ...]:
    missing = max(0, revision - router.applied_revision)
    return (
        router.watcher_id,
        router.session_id,
        str(router.applied_revision or "none"),
        Cell(str(missing), Tone.WARNING) if missing else "",
        "yes" if router.watching else Cell("no", Tone.WARNING),
        shown(router.seen_time),
        shown(router.forget_time),
        router.peer,
    )
