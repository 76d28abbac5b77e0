"""``providerctl provider retirements``: which models end soon, and which user-facing models lose by that."""

from __future__ import annotations

from collections.abc import Sequence

from codevector.providers.v1 import provider_service_pb2 as pb

from cli.messages import as_json
from cli.resources.names import provider_name
from cli.session import Session
from cli.terminal.output import Cell, Column, Facts, Section, Tone, Value

_PAGE_SIZE = 1000


def retirements(session: Session, *, days: int, provider: str) -> None:
    """List what upstreams retire within ``days``, and the models that lose a backend or their last one."""
    answer = _read(session, days, provider_name(provider) if provider else "")
    session.terminal.show(
        as_json(answer),
        Facts(
            [
                ("until", f"{answer.horizon_time.ToDatetime():%Y-%m-%d}"),
                ("retiring", answer.total_size),
                ("models that lose a backend", answer.affected_model_count),
                ("models that lose their last", answer.models_left_unroutable_count),
            ]
        ),
        Section(
            "",
            ("retires", Column("provider model", whole=True), "routable", "backends", "leaves without any"),
            [_row(each) for each in answer.retirements],
        ),
        *_left(answer.models_left_unroutable),
        names=[each.provider_model for each in answer.retirements],
    )


def _left(models: Sequence[str]) -> list[Section]:
    rows = [(Cell(name, Tone.BAD),) for name in models]
    return [Section("Models left without a backend", ("model",), rows)] if rows else []


def _read(session: Session, days: int, parent: str) -> pb.ListRetirementsResponse:
    """Return all pages as one response."""
    registry = session.registry
    request = pb.ListRetirementsRequest(page_size=_PAGE_SIZE, within_days=days, parent=parent)
    whole = registry.call(registry.providers.ListRetirements, request)
    while whole.next_page_token:
        request.page_token = whole.next_page_token
        page = registry.call(registry.providers.ListRetirements, request)
        whole.retirements.extend(page.retirements)
        whole.next_page_token = page.next_page_token
    return whole


def _row(each: pb.Retirement) -> tuple[Value, ...]:
    return (
        f"{each.retire_time.ToDatetime():%Y-%m-%d}",
        each.provider_model,
        "yes" if each.routable else "no",
        each.backend_count,
        ", ".join(each.models_left_unroutable),
    )
