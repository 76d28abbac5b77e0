"""Lists: filtered, ordered, in pages that never skip or repeat a row that does not change meanwhile."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from service import store
from service.domain import ids
from service.domain.filter_parser import parse_filter
from service.domain.filters import And, Comparison, Expression, Not, Or
from service.domain.lists import (
    MODEL_LIST,
    PROVIDER_LIST,
    PROVIDER_MODEL_LIST,
    ListRules,
    OrderBy,
    parse_order,
)
from service.domain.model import ModelView, ProviderModelView, ProviderView, State
from service.domain.pages import Key, PageTokens, Position, Query, effective_page_size
from service.store import ReadUnit, Slice
from service.usecases.context import Context, ListQuery
from service.usecases.preconditions import existing_provider

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page. ``total_size`` counts all rows of the query, as they were when its first page was read."""

    items: Sequence[T]
    next_page_token: str
    total_size: int


@dataclass(frozen=True, slots=True)
class _Request:
    """What one page asks of the store."""

    filter: Expression | None
    order_by: OrderBy
    after: store.Position | None
    limit: int


def list_providers(ctx: Context, query: ListQuery) -> Page[ProviderView]:
    """Return providers, by display name unless asked otherwise."""
    return _paged(
        ctx,
        Query("ListProviders", "", query.filter, query.order_by),
        query,
        PROVIDER_LIST,
        lambda unit, asked: unit.providers.page(
            filter=asked.filter, order_by=asked.order_by, after=asked.after, limit=asked.limit
        ),
        lambda unit, keep: unit.providers.count(filter=keep),
    )


def list_provider_models(ctx: Context, parent: str, query: ListQuery) -> Page[ProviderModelView]:
    """Return the models of one provider, or of all for ``providers/-``; by default in order of upstream ids.

    Raises:
        NotFound: no such provider.
    """
    provider_id = ids.parse_provider_parent(parent)

    def read(unit: ReadUnit, asked: _Request) -> Slice[ProviderModelView]:
        if provider_id is not None:
            existing_provider(unit, parent, field="parent")
        return unit.provider_models.page(
            provider_id=provider_id,
            filter=asked.filter,
            order_by=asked.order_by,
            after=asked.after,
            limit=asked.limit,
        )

    return _paged(
        ctx,
        Query("ListProviderModels", parent, query.filter, query.order_by),
        query,
        PROVIDER_MODEL_LIST,
        read,
        lambda unit, keep: unit.provider_models.count(provider_id=provider_id, filter=keep),
    )


def list_models(ctx: Context, query: ListQuery) -> Page[ModelView]:
    """Return models, by display name unless asked otherwise."""
    return _paged(
        ctx,
        Query("ListModels", "", query.filter, query.order_by),
        query,
        MODEL_LIST,
        lambda unit, asked: unit.models.page(
            filter=asked.filter, order_by=asked.order_by, after=asked.after, limit=asked.limit
        ),
        lambda unit, keep: unit.models.count(filter=keep),
    )


def page_of(
    tokens: PageTokens,
    bound: Query,
    query: ListQuery,
    items: Sequence[T],
    key: Callable[[T], tuple[Key, ...]],
    *,
    at: str = "",
) -> Page[T]:
    """Return a page of ``items``, which are sorted by ``key``; the next page's token keeps ``at``."""
    size = effective_page_size(query.page_size)
    position = tokens.read(bound, query.page_token)
    begin = bisect_right(items, position.keys, key=key) if position else 0
    page = items[begin : begin + size]
    token = tokens.issue(bound, Position(key(page[-1]), at)) if begin + size < len(items) else ""
    return Page(page, token, len(items))


def _paged(
    ctx: Context,
    bound: Query,
    query: ListQuery,
    rules: ListRules,
    read: Callable[[ReadUnit, _Request], Slice[T]],
    count: Callable[[ReadUnit, Expression | None], int],
) -> Page[T]:
    size = effective_page_size(query.page_size)
    keep = parse_filter(query.filter, rules.filter)
    order = parse_order(query.order_by, rules.orders)
    position = ctx.page_tokens.read(bound, query.page_token)
    if keep is not None and position is None and _asks_for_corrupt(keep):
        ctx.store.check_rows()  # nothing may have stumbled over them yet
    asked = _Request(keep, order, position.keys if position else None, size)

    def work(unit: ReadUnit) -> Page[T]:
        found = read(unit, asked)
        # Counted on the first page only: the token carries it on.
        total = position.total_size if position else None
        if total is None:
            total = count(unit, keep)
        if found.next is None:
            return Page(found.items, "", total)
        return Page(found.items, ctx.page_tokens.issue(bound, Position(found.next, total_size=total)), total)

    return ctx.store.read(work)


def _asks_for_corrupt(expression: Expression) -> bool:
    """Return whether a filter compares a state with CORRUPT, so that all of these have to be known."""
    match expression:
        case Comparison(field=field, value=value):
            return field.name == "state" and value == State.CORRUPT
        case Not(term):
            return _asks_for_corrupt(term)
        case And(terms) | Or(terms):
            return any(_asks_for_corrupt(term) for term in terms)
    return False
