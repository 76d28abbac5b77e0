"""Lists: filtered, ordered, in pages that never skip or repeat a row that stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.domain import ids
from service.domain.filter_parser import parse_filter
from service.domain.filters import Expression
from service.domain.lists import (
    MODEL_LIST,
    PROVIDER_LIST,
    PROVIDER_MODEL_LIST,
    ListRules,
    OrderBy,
    parse_order,
)
from service.domain.model import ModelView, ProviderModelView, ProviderView
from service.domain.pages import Key, Position, Query, effective_page_size
from service.store import ReadUnit
from service.usecases.context import Context, ListQuery
from service.usecases.preconditions import existing_provider

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page. ``total_size`` counts all rows of the query, as they were when its first page was read."""

    items: Sequence[T]
    next_page_token: str
    total_size: int


def list_providers(ctx: Context, query: ListQuery) -> Page[ProviderView]:
    """Providers, by display name unless asked otherwise."""

    def read(
        unit: ReadUnit, keep: Expression | None, order: OrderBy, position: Position | None, limit: int
    ) -> tuple[list[ProviderView], int]:
        after = position.keys if position else None
        rows = unit.list_providers(filter=keep, order_by=order, after=after, limit=limit)
        return rows, _total(position, lambda: unit.count_providers(filter=keep))

    return _paged(
        ctx,
        Query("ListProviders", "", query.filter, query.order_by),
        query,
        PROVIDER_LIST,
        read,
        lambda unit, view, order: unit.provider_position(view, order),
    )


def list_provider_models(ctx: Context, parent: str, query: ListQuery) -> Page[ProviderModelView]:
    """One provider's models, or those of all for ``providers/-``; by upstream id unless asked otherwise.

    Raises:
        NotFound: no such provider.
    """
    provider_id = ids.parse_provider_parent(parent)

    def read(
        unit: ReadUnit, keep: Expression | None, order: OrderBy, position: Position | None, limit: int
    ) -> tuple[list[ProviderModelView], int]:
        if provider_id is not None:
            existing_provider(unit, parent, field="parent")
        after = position.keys if position else None
        rows = unit.list_provider_models(
            provider_id=provider_id, filter=keep, order_by=order, after=after, limit=limit
        )
        return rows, _total(
            position, lambda: unit.count_provider_models(provider_id=provider_id, filter=keep)
        )

    return _paged(
        ctx,
        Query("ListProviderModels", parent, query.filter, query.order_by),
        query,
        PROVIDER_MODEL_LIST,
        read,
        lambda unit, view, order: unit.provider_model_position(view, order),
    )


def list_models(ctx: Context, query: ListQuery) -> Page[ModelView]:
    """Models, by display name unless asked otherwise."""

    def read(
        unit: ReadUnit, keep: Expression | None, order: OrderBy, position: Position | None, limit: int
    ) -> tuple[list[ModelView], int]:
        after = position.keys if position else None
        rows = unit.list_models(filter=keep, order_by=order, after=after, limit=limit)
        return rows, _total(position, lambda: unit.count_models(filter=keep))

    return _paged(
        ctx,
        Query("ListModels", "", query.filter, query.order_by),
        query,
        MODEL_LIST,
        read,
        lambda unit, view, order: unit.model_position(view, order),
    )


def _paged(
    ctx: Context,
    bound: Query,
    query: ListQuery,
    rules: ListRules,
    read: Callable[[ReadUnit, Expression | None, OrderBy, Position | None, int], tuple[list[T], int]],
    position_of: Callable[[ReadUnit, T, OrderBy], tuple[Key, ...]],
) -> Page[T]:
    size = effective_page_size(query.page_size)
    keep = parse_filter(query.filter, rules.filter)
    order = parse_order(query.order_by, rules.orders)
    position = ctx.page_tokens.read(bound, query.page_token)

    def work(unit: ReadUnit) -> Page[T]:
        rows, total = read(unit, keep, order, position, size + 1)
        if len(rows) <= size:
            return Page(rows, "", total)
        rows = rows[:size]
        last = Position(position_of(unit, rows[-1], order), total_size=total)
        return Page(rows, ctx.page_tokens.issue(bound, last), total)

    return ctx.store.read(work)


def _total(position: Position | None, count: Callable[[], int]) -> int:
    """Counted on the first page only; the token carries it on."""
    if position is not None and position.total_size is not None:
        return position.total_size
    return count()
