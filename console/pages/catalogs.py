"""The bundled catalogs: their releases, what they hold, and how two of them differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from codevector.providers.v1 import catalog_pb2, provider_pb2, provider_service_pb2
from starlette.responses import Response

from console import views
from console.pages.page import Page, view
from console.pages.shell import commands

RELEASE_CHARACTERS = 10


@dataclass(frozen=True, slots=True)
class Difference:
    """One model that two releases tell differently of; a side that lacks it is empty."""

    model: str
    what: str
    before: str
    after: str


@view
def listing(page: Page) -> Response:
    """Show the newest release of each kind."""
    request = provider_service_pb2.ListCatalogsRequest(page_size=1000)
    answer = page.call(page.registry.providers.ListCatalogs, request)
    return page.show(
        "catalogs/list.html",
        catalogs=answer.catalogs,
        kind_names=views.KindNames(page.kinds),
        commands=commands(page.registry.address, "catalog list", "ProviderService/ListCatalogs", request),
    )


@view
def detail(page: Page) -> Response:
    """Show what a catalog holds, or how it differs from another release, and who may import it."""
    name = f"catalogs/{page.path('kind')}"
    catalog = _get(page, name, page.query.get("release", ""))
    other = page.query.get("compare", "").strip()[:RELEASE_CHARACTERS]
    differences = list(differences_of(_get(page, name, other), catalog)) if other else []
    kind = provider_pb2.ProviderKind.Name(catalog.kind)
    accounts = page.call(
        page.registry.providers.ListProviders,
        provider_service_pb2.ListProvidersRequest(page_size=100, filter=f"kind = {kind}"),
    )
    return page.show(
        "catalogs/detail.html",
        catalog=catalog,
        other=other,
        differences=differences,
        providers=accounts.providers,
        kind_name=views.KindNames(page.kinds)[catalog.kind],
        commands=commands(
            page.registry.address,
            f"catalog show {page.path('kind')}",
            "ProviderService/GetCatalog",
            {"name": name, "catalog_version": catalog.version},
        ),
    )


def differences_of(before: catalog_pb2.Catalog, after: catalog_pb2.Catalog) -> Iterable[Difference]:
    """Yield what changed between two releases, in the order of the upstream ids."""
    old = {model.upstream_model_id: model for model in before.models}
    new = {model.upstream_model_id: model for model in after.models}
    for name in sorted({*old, *new}):
        if name not in old:
            yield Difference(name, "new", "", views.prices(new[name].pricing))
        elif name not in new:
            yield Difference(name, "gone", views.prices(old[name].pricing), "")
        else:
            for what, one, two in zip(_WHAT, _said(old[name]), _said(new[name]), strict=True):
                if one != two:
                    yield Difference(name, what, one, two)


_WHAT = ("price", "context", "longest answer", "retirement")


def _said(model: catalog_pb2.CatalogModel) -> tuple[str, ...]:
    return (
        views.prices(model.pricing),
        views.tokens(model.context_window),
        views.tokens(model.max_output_tokens),
        views.date(model.retire_time) if model.HasField("retire_time") else views.UNKNOWN,
    )


def _get(page: Page, name: str, release: str) -> catalog_pb2.Catalog:
    request = provider_service_pb2.GetCatalogRequest(name=name, catalog_version=release)
    return page.call(page.registry.providers.GetCatalog, request)
