"""What is bundled: catalogs and the description of each kind. Answered from memory."""

from __future__ import annotations

from typing import TypeVar

from service.domain.catalog import Catalog, KindInfo, kind_from_slug
from service.domain.errors import CATALOG_TYPE, NotFound, ResourceRef
from service.domain.pages import Position, Query, effective_page_size
from service.usecases.context import Context, ListQuery
from service.usecases.lists import Page

T = TypeVar("T")


def get_catalog(ctx: Context, name: str, version: str) -> Catalog:
    """One catalog with its models; the newest release where no version is asked for.

    Raises:
        NotFound: the name is no kind, or its kind has no catalog.
        FailedPrecondition: CATALOG_VERSION_UNAVAILABLE.
    """
    kind = kind_from_slug(name.removeprefix("catalogs/"))
    if kind is None or not ctx.catalogs.versions(kind):
        raise NotFound(ResourceRef(CATALOG_TYPE, name))
    return ctx.catalogs.find(kind, version)


def list_catalogs(ctx: Context, query: ListQuery) -> Page[Catalog]:
    """The newest catalog of each kind that has one."""
    return _page(ctx, "ListCatalogs", query, ctx.catalogs.list())


def list_provider_kinds(ctx: Context, query: ListQuery) -> Page[KindInfo]:
    """All kinds, in the order of their numbers."""
    return _page(ctx, "ListProviderKinds", query, ctx.catalogs.kinds())


def _page(ctx: Context, method: str, query: ListQuery, items: tuple[T, ...]) -> Page[T]:
    bound = Query(method)
    position = ctx.page_tokens.read(bound, query.page_token)
    begin = int(position.keys[0] or 0) if position else 0
    end = begin + effective_page_size(query.page_size)
    token = ctx.page_tokens.issue(bound, Position((end,))) if end < len(items) else ""
    return Page(items[begin:end], token, len(items))
