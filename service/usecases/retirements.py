"""What retires soon, and what models lose then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.domain import ids
from service.domain.errors import PROVIDER_TYPE, NotFound, ResourceRef
from service.domain.pages import Position, Query, effective_page_size
from service.domain.retirements import (
    Retirement,
    affected_models,
    models_left_unroutable,
    retirements,
)
from service.store import ReadUnit
from service.usecases.context import Context, ListQuery

METHOD = "ListRetirements"
DEFAULT_DAYS = 90


@dataclass(frozen=True, slots=True)
class RetirementPage:
    """One page, and what all pages together come to."""

    items: Sequence[Retirement]
    next_page_token: str
    total_size: int
    affected_model_count: int
    models_left_unroutable: Sequence[str]
    horizon: datetime


def list_retirements(
    ctx: Context, query: ListQuery, *, within_days: int = 0, parent: str = ""
) -> RetirementPage:
    """The provider models that retire within some days, soonest first, those overdue among them.

    What remains of a model counts the retirements at all providers, also when only one's are listed.

    Raises:
        NotFound: no such provider.
    """
    provider_id = ids.parse_provider_parent(parent) if parent else None
    size = effective_page_size(query.page_size)
    bound = Query(METHOD, parent, str(within_days))
    position = ctx.page_tokens.read(bound, query.page_token)

    def work(unit: ReadUnit) -> RetirementPage:
        if provider_id is not None and unit.provider(provider_id) is None:
            raise NotFound(ResourceRef(PROVIDER_TYPE, parent))
        horizon = unit.now + timedelta(days=within_days or DEFAULT_DAYS)
        found = [
            each
            for each in retirements(
                unit.retiring_provider_models(horizon), unit.models_wired_to_retiring(horizon)
            )
            if provider_id in (None, each.view.model.provider_id)
        ]
        rest = found if position is None else [each for each in found if _keys(each) > position.keys]
        items = rest[:size]
        more = len(rest) > size
        return RetirementPage(
            items,
            ctx.page_tokens.issue(bound, Position(_keys(items[-1]))) if more else "",
            len(found),
            len(affected_models(found)),
            models_left_unroutable(found),
            horizon,
        )

    return ctx.store.read(work)


def _keys(retirement: Retirement) -> tuple[str, str]:
    """Where a retirement stands: UTC times of one precision sort as their texts do."""
    moment = retirement.retire_time.isoformat(timespec="microseconds")
    return moment, retirement.view.model.name
