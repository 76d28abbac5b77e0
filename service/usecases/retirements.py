"""What retires soon, and what models lose then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.domain import ids
from service.domain.errors import PROVIDER_TYPE, NotFound, ResourceRef
from service.domain.pages import Query
from service.domain.retirements import (
    Retirement,
    affected_models,
    models_left_unroutable,
    retirements,
)
from service.store import ReadUnit
from service.usecases.context import Context, ListQuery
from service.usecases.lists import Page, page_of

METHOD = "ListRetirements"
DEFAULT_DAYS = 90


@dataclass(frozen=True, slots=True)
class RetirementPage:
    """One page, and what all pages together come to."""

    page: Page[Retirement]
    affected_model_count: int
    models_left_unroutable: Sequence[str]
    horizon: datetime


def list_retirements(
    ctx: Context, query: ListQuery, *, within_days: int = 0, parent: str = ""
) -> RetirementPage:
    """Return the provider models that retire within some days, soonest first, those overdue among them.

    What remains of a model counts the retirements at all providers, also when only one's are listed.

    Raises:
        NotFound: no such provider.
    """
    provider_id = ids.parse_provider_parent(parent) if parent else None
    bound = Query(METHOD, parent, str(within_days))

    def work(unit: ReadUnit) -> RetirementPage:
        if provider_id is not None and unit.providers.get(provider_id) is None:
            raise NotFound(ResourceRef(PROVIDER_TYPE, parent))
        horizon = unit.now + timedelta(days=within_days or DEFAULT_DAYS)
        found = [
            each
            for each in retirements(
                unit.provider_models.retiring(horizon), unit.models.wired_to_retiring(horizon)
            )
            if provider_id in (None, each.view.model.provider_id)
        ]
        return RetirementPage(
            page_of(ctx.page_tokens, bound, query, found, _key),
            len(affected_models(found)),
            models_left_unroutable(found),
            horizon,
        )

    return ctx.store.read(work)


def _key(retirement: Retirement) -> tuple[str, str]:
    """Return where a retirement stands: UTC times of one precision sort as their texts do."""
    moment = retirement.retire_time.isoformat(timespec="microseconds")
    return moment, retirement.view.model.name
