"""The list of providers: searched, filtered, sorted and paged by the registry."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from codevector.providers.v1 import model_service_pb2, provider_pb2, provider_service_pb2
from starlette.responses import Response

from console import views
from console.pages.page import Notice, Page, Undo, address, view
from console.pages.shell import commands

PAGE_ROWS = 50
ORDERS = {
    "name": "display_name",
    "-name": "display_name desc",
    "kind": "kind",
    "-kind": "kind desc",
    "created": "create_time",
    "-created": "create_time desc",
}
STATES = {"active": "STATE_ACTIVE", "disabled": "STATE_DISABLED", "corrupt": "STATE_CORRUPT"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks of the list; unknown values count as absent."""

    q: str
    kind: str
    state: str
    sort: str
    after: str

    @property
    def narrowed(self) -> bool:
        """Return whether some providers may be left out."""
        return bool(self.q or self.kind or self.state)

    def url(self, **changed: str) -> str:
        """Return the address of this list with other values, at its first page unless ``after`` is given."""
        values = {"q": self.q, "kind": self.kind, "state": self.state, "sort": self.sort, **changed}
        kept = {name: value for name, value in values.items() if value and (name, value) != ("sort", "name")}
        return "/admin/providers" + (f"?{urlencode(kept)}" if kept else "")

    def toggled(self, column: str) -> str:
        """Return the address that sorts by a column, in the other direction where it sorts by it already."""
        return self.url(sort=f"-{column}" if self.sort == column else column)


def quoted(text: str) -> str:
    """Return a literal of the registry's filter language."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@view
def listing(page: Page) -> Response:
    """Show the list, or its rows alone where the search asks for them."""
    kinds = {views.slug(info.kind): info for info in page.kinds}
    asked = Asked(
        q=page.query.get("q", "").strip()[:200],
        kind=page.query.get("kind", "") if page.query.get("kind", "") in kinds else "",
        state=page.query.get("state", "") if page.query.get("state", "") in STATES else "",
        sort=page.query.get("sort", "") if page.query.get("sort", "") in ORDERS else "name",
        after=page.query.get("after", ""),
    )
    terms = [quoted(asked.q)] if asked.q else []
    if asked.kind:
        terms.append(f"kind = {provider_pb2.ProviderKind.Name(kinds[asked.kind].kind)}")
    if asked.state:
        terms.append(f"state = {STATES[asked.state]}")
    request = provider_service_pb2.ListProvidersRequest(
        page_size=PAGE_ROWS,
        page_token=asked.after,
        filter=" AND ".join(terms),
        order_by=ORDERS[asked.sort],
    )
    answer = page.call(page.registry.providers.ListProviders, request)
    steps = None if page.target or asked.narrowed or asked.after else _first_steps(page, answer)
    names = views.KindNames(page.kinds)
    rows = [(each, views.provider_status(each)) for each in answer.providers]
    return page.show(
        "providers/list.html",
        asked=asked,
        rows=rows,
        total=answer.total_size,
        more=answer.next_page_token,
        kinds=kinds,
        kind_names=names,
        states=STATES,
        steps=steps,
        commands=commands(
            page.registry.address, "provider list", "ProviderService/ListProviders", _shown(request)
        ),
    )


@dataclass(frozen=True, slots=True)
class Steps:
    """What of a first run is done: a provider, its models, and a name that users ask for."""

    provider: bool
    imported: str
    wired: bool
    first: str

    @property
    def done(self) -> bool:
        """Return whether there is nothing more to say."""
        return self.provider and bool(self.imported) and self.wired


def _first_steps(page: Page, answer: provider_service_pb2.ListProvidersResponse) -> Steps:
    """Return how far a first run is; the providers of the first page stand for all."""
    models = page.call(page.registry.models.ListModels, model_service_pb2.ListModelsRequest(page_size=1))
    stocked = next((each.name for each in answer.providers if each.model_count), "")
    first = answer.providers[0].name if answer.providers else ""
    return Steps(bool(answer.total_size), stocked, bool(models.total_size), first)


def _shown(request: provider_service_pb2.ListProvidersRequest) -> provider_service_pb2.ListProvidersRequest:
    shown = provider_service_pb2.ListProvidersRequest()
    shown.CopyFrom(request)
    shown.ClearField("page_token")
    return shown


@view
def actions(page: Page) -> Response:
    """Show what can be done with one provider: the menu of its row, and a page of its own without scripts."""
    provider = get(page, page.path("id"))
    return page.show("providers/actions.html", provider=provider)


@view
def enable(page: Page) -> Response:
    """Let routers use the provider, and go back to where the button was."""
    request = provider_service_pb2.EnableProviderRequest(
        name=name_of(page.path("id")), etag=page.form.get("etag", "")
    )
    provider = page.call(page.registry.providers.EnableProvider, request)
    return page.go(
        _origin(page), Notice(f"{provider.display_name} is active again.", revision=provider.revision)
    )


@view
def disable(page: Page) -> Response:
    """Hide the provider from routers, with a way to take that back."""
    request = provider_service_pb2.DisableProviderRequest(
        name=name_of(page.path("id")), etag=page.form.get("etag", "")
    )
    provider = page.call(page.registry.providers.DisableProvider, request)
    undo = Undo(
        address("providers", page.path("id"), "enable"),
        {"etag": provider.etag, "from": page.form.get("from", "")},
    )
    text = f"{provider.display_name} is disabled: excluded from routing since revision {provider.revision}."
    return page.go(_origin(page), Notice(text, undo, provider.revision))


def get(page: Page, identifier: str) -> provider_pb2.Provider:
    """Return a provider by its id."""
    request = provider_service_pb2.GetProviderRequest(name=name_of(identifier))
    return page.call(page.registry.providers.GetProvider, request)


def name_of(identifier: str) -> str:
    """Return the name of the provider of an id."""
    return f"providers/{identifier}"


def _origin(page: Page) -> str:
    """Return the page that a form was on: the provider's own, or the list."""
    return address("providers", page.path("id")) if page.form.get("from") == "detail" else "/admin/providers"
