"""The page of one provider: what it is, whether it routes and who knows, and its models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from codevector.providers.v1 import (
    model_service_pb2,
    provider_model_pb2,
    provider_pb2,
    provider_service_pb2,
    system_service_pb2,
)
from google.protobuf.duration_pb2 import Duration
from starlette.responses import Response

from console import views
from console.pages import providers
from console.pages.page import Page, address, view
from console.pages.shell import commands

PAGE_ROWS = 100
MODELS_ROWS = 1000
"""Models that a provider's models are used by: more than that are not counted one by one."""
KINDS = {"chat": "MODEL_KIND_CHAT", "embedding": "MODEL_KIND_EMBEDDING"}
STATES = {"active": "STATE_ACTIVE", "disabled": "STATE_DISABLED", "corrupt": "STATE_CORRUPT"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks of the models; unknown values count as absent."""

    at: str
    q: str
    kind: str
    state: str
    after: str

    @property
    def narrowed(self) -> bool:
        """Return whether some models may be left out."""
        return bool(self.q or self.kind or self.state)

    def url(self, **changed: str) -> str:
        """Return the address of this page with other values."""
        values = {"q": self.q, "kind": self.kind, "state": self.state, **changed}
        kept = {name: value for name, value in values.items() if value}
        return self.at + (f"?{urlencode(kept)}" if kept else "")


@view
def detail(page: Page) -> Response:
    """Show the provider, or its models alone where a search asks for them."""
    identifier = page.path("id")
    name = providers.name_of(identifier)
    asked = Asked(
        at=address("providers", identifier),
        q=page.query.get("q", "").strip()[:200],
        kind=page.query.get("kind", "") if page.query.get("kind", "") in KINDS else "",
        state=page.query.get("state", "") if page.query.get("state", "") in STATES else "",
        after=page.query.get("after", ""),
    )
    provider = providers.get(page, identifier)
    request = provider_service_pb2.ListProviderModelsRequest(
        parent=name, page_size=PAGE_ROWS, page_token=asked.after, filter=_filter(asked)
    )
    listed = page.call(page.registry.providers.ListProviderModels, request)
    context: dict[str, Any] = {
        "provider": provider,
        "asked": asked,
        "models": listed.provider_models,
        "total": listed.total_size,
        "more": listed.next_page_token,
        "used_by": used_by(page, name),
        "state": views.provider_status(provider),
        "kind_info": next((each for each in page.kinds if each.kind == provider.kind), None),
    }
    if page.target == "models":
        return page.show("providers/detail.html", **context)
    return page.show(
        "providers/detail.html",
        kind_names=views.KindNames(page.kinds),
        activity=_activity(provider, listed.provider_models),
        commands=commands(
            page.registry.address, f"provider get {identifier}", "ProviderService/GetProvider", {"name": name}
        ),
        **context,
    )


@view
def spread(page: Page) -> Response:
    """Show again how many routers have a revision: asked every few seconds while some do not."""
    revision = page.query.get("revision", "")
    number = int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 19 else 0
    return page.show("spread.html", spread=spread_of(page, number))


def spread_of(page: Page, revision: int) -> views.Spread:
    """Return which of the routers have a revision, without waiting for the others."""
    request = system_service_pb2.AwaitAppliedRevisionRequest(revision=revision, timeout=Duration())
    answer = page.call(page.registry.system.AwaitAppliedRevision, request)
    waiting = tuple(router.watcher_id for router in answer.lagging[:3])
    waiting += tuple(f"replica {replica}" for replica in answer.silent_replicas[:3])
    return views.Spread(answer.revision, answer.applied_count, answer.router_count, answer.reached, waiting)


def used_by(page: Page, name: str) -> Counter[str]:
    """Return how many models each provider model of a provider answers."""
    request = model_service_pb2.ListModelsRequest(
        page_size=MODELS_ROWS, filter=f"backends.provider_model:{name}"
    )
    answer = page.call(page.registry.models.ListModels, request)
    return Counter(backend.provider_model for model in answer.models for backend in model.backends)


def _filter(asked: Asked) -> str:
    terms = [providers.quoted(asked.q)] if asked.q else []
    if asked.kind:
        terms.append(f"kind = {KINDS[asked.kind]}")
    if asked.state:
        terms.append(f"state = {STATES[asked.state]}")
    return " AND ".join(terms)


def _activity(
    provider: provider_pb2.Provider, models: Iterable[provider_model_pb2.ProviderModel]
) -> list[views.Event]:
    """Return what the API remembers of a provider, the newest first."""
    events = [views.Event(provider.create_time, "Provider created")]
    if provider.update_time != provider.create_time:
        events.append(views.Event(provider.update_time, f"Provider changed, revision {provider.revision:,}"))
    if provider.HasField("credential"):
        version = provider.credential.version
        text = "Credential set" if version == 1 else f"Credential replaced, version {version}"
        events.append(views.Event(provider.credential.update_time, text))
    newest = sorted(models, key=lambda model: model.revision, reverse=True)[:5]
    events += [
        views.Event(
            model.update_time,
            f"Model {model.upstream_model_id} "
            + ("changed" if model.update_time != model.create_time else "added"),
        )
        for model in newest
    ]
    return sorted(events, key=lambda event: event.when.seconds, reverse=True)
