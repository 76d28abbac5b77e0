"""The models that users ask for: what answers each, in which order, and what takes it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from codevector.providers.v1 import model_pb2, model_service_pb2
from starlette.responses import Response

from console import views
from console.pages.page import Notice, Page, Undo, address, view
from console.pages.providers import quoted
from console.pages.shell import commands

PAGE_ROWS = 50
STATES = {"active": "STATE_ACTIVE", "disabled": "STATE_DISABLED", "corrupt": "STATE_CORRUPT"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks of the list."""

    q: str
    state: str
    routable: str
    after: str

    @property
    def narrowed(self) -> bool:
        """Return whether some models may be left out."""
        return bool(self.q or self.state or self.routable)

    def url(self, **changed: str) -> str:
        """Return the address of this list with other values."""
        values = {"q": self.q, "state": self.state, "routable": self.routable, **changed}
        kept = {name: value for name, value in values.items() if value}
        return "/admin/models" + (f"?{urlencode(kept)}" if kept else "")


@view
def listing(page: Page) -> Response:
    """Show the list, or its rows alone where the search asks for them."""
    asked = Asked(
        q=page.query.get("q", "").strip()[:200],
        state=page.query.get("state", "") if page.query.get("state", "") in STATES else "",
        routable="no" if page.query.get("routable") == "no" else "",
        after=page.query.get("after", ""),
    )
    terms = [quoted(asked.q)] if asked.q else []
    terms += [f"state = {STATES[asked.state]}"] if asked.state else []
    terms += ["routable = false"] if asked.routable else []
    request = model_service_pb2.ListModelsRequest(
        page_size=PAGE_ROWS, page_token=asked.after, filter=" AND ".join(terms)
    )
    answer = page.call(page.registry.models.ListModels, request)
    request.ClearField("page_token")
    return page.show(
        "models/list.html",
        asked=asked,
        rows=[(model, views.model_row(model)) for model in answer.models],
        total=answer.total_size,
        more=answer.next_page_token,
        states=STATES,
        commands=commands(page.registry.address, "model list", "ModelService/ListModels", request),
    )


@view
def detail(page: Page) -> Response:
    """Show one model with its backends in the order in which they are tried."""
    model = get(page)
    return page.show(
        "models/detail.html",
        model=model,
        row=views.model_row(model),
        commands=commands(
            page.registry.address,
            f"model get {page.path('model')}",
            "ModelService/GetModel",
            {"name": model.name},
        ),
    )


@view
def actions(page: Page) -> Response:
    """Show what can be done with the model: the menu of its row, and a page of its own without scripts."""
    return page.show("models/model_actions.html", model=get(page))


@view
def enable(page: Page) -> Response:
    """Let routers use the model."""
    request = model_service_pb2.EnableModelRequest(name=name_of(page), etag=page.form.get("etag", ""))
    model = page.call(page.registry.models.EnableModel, request)
    notice = Notice(f"{model.display_name} is active again.", revision=model.revision)
    return page.go(address("models", page.path("model")), notice)


@view
def disable(page: Page) -> Response:
    """Hide the model from routers, with a way to take that back."""
    request = model_service_pb2.DisableModelRequest(name=name_of(page), etag=page.form.get("etag", ""))
    model = page.call(page.registry.models.DisableModel, request)
    at = address("models", page.path("model"))
    fields: Mapping[str, str] = {"etag": model.etag}
    text = f"{model.display_name} is disabled: excluded from routing since revision {model.revision}."
    return page.go(at, Notice(text, Undo(f"{at}/enable", fields), model.revision))


@view
def unwire(page: Page) -> Response:
    """Take one backend from the model, with a way to take that back."""
    provider_model = page.form.get("provider_model", "")
    before = get(page)
    backend = next((each for each in before.backends if each.provider_model == provider_model), None)
    request = model_service_pb2.RemoveModelBackendRequest(
        model=before.name, provider_model=provider_model, etag=page.form.get("etag", "")
    )
    model = page.call(page.registry.models.RemoveModelBackend, request)
    at = address("models", page.path("model"))
    undo = None
    if backend is not None:
        fields = {"provider_model": provider_model, "priority": str(backend.priority)}
        fields |= {"weight": str(backend.weight), "disabled": "1" if backend.disabled else ""}
        undo = Undo(f"{at}/backends", fields)
    return page.go(at, Notice(f"{provider_model} is taken out.", undo, model.revision))


def get(page: Page) -> model_pb2.Model:
    """Return the model that the address names."""
    return page.call(page.registry.models.GetModel, model_service_pb2.GetModelRequest(name=name_of(page)))


def name_of(page: Page) -> str:
    """Return the name of the model that the address names."""
    return f"models/{page.path('model')}"
