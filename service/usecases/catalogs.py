"""What is bundled: catalogs and the description of each kind. Answered from memory."""

from __future__ import annotations

from service.domain.catalog import Catalog, KindInfo, kind_from_slug
from service.domain.errors import CATALOG_TYPE, NotFound, ResourceRef
from service.domain.pages import Query
from service.usecases.context import Context, ListQuery
from service.usecases.lists import Page, page_of


def get_catalog(ctx: Context, name: str, version: str) -> Catalog:
    """Return one catalog with its models; the newest release where no version is asked for.

    Raises:
        NotFound: not a kind, or a kind without a catalog.
        FailedPrecondition: CATALOG_VERSION_UNAVAILABLE.
    """
    kind = kind_from_slug(name.removeprefix("catalogs/"))
    if kind is None or not ctx.catalogs.versions(kind):
        raise NotFound(ResourceRef(CATALOG_TYPE, name))
    return ctx.catalogs.find(kind, version)


def list_catalogs(ctx: Context, query: ListQuery) -> Page[Catalog]:
    """Return the newest catalog of each kind that has one."""
    return page_of(
        ctx.page_tokens, Query("ListCatalogs"), query, ctx.catalogs.list(), lambda catalog: (catalog.kind,)
    )


def list_provider_kinds(ctx: Context, query: ListQuery) -> Page[KindInfo]:
    """Return all kinds, in the order of their numbers."""
    return page_of(
        ctx.page_tokens,
        Query("ListProviderKinds"),
        query,
        ctx.catalogs.kinds(),
        lambda info: (info.kind.kind,),
    )
