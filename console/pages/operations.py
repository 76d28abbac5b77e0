"""What runs by itself and is looked at: routers, encryption, retirements, and the counts of sections."""

from __future__ import annotations

from codevector.providers.v1 import model_service_pb2, provider_service_pb2, system_service_pb2
from starlette.responses import Response

from console import views
from console.pages.page import Page, view
from console.pages.providers import quoted
from console.pages.shell import commands

ROUTERS_ROWS = 200
HORIZONS = (30, 90, 365)


@view
def nav(page: Page) -> Response:
    """Show the counts beside the sections; asked for once a page is there, and then now and then."""
    providers = page.call(
        page.registry.providers.ListProviders, provider_service_pb2.ListProvidersRequest(page_size=1)
    )
    models = page.call(page.registry.models.ListModels, model_service_pb2.ListModelsRequest(page_size=1))
    retiring = page.call(
        page.registry.providers.ListRetirements, provider_service_pb2.ListRetirementsRequest(page_size=1)
    )
    routers = page.call(page.registry.system.ListRouters, system_service_pb2.ListRoutersRequest(page_size=1))
    counts = {
        "Providers": providers.total_size,
        "Models": models.total_size,
        "Retirements": retiring.total_size,
        "Routers": routers.total_size,
    }
    warned = {"Retirements"} if retiring.models_left_unroutable_count else set()
    return page.show("nav.html", counts=counts, warned=warned, section=page.query.get("section", ""))


@view
def routers(page: Page) -> Response:
    """Show who routes, and which revision each has."""
    q = page.query.get("q", "").strip()[:200]
    request = system_service_pb2.ListRoutersRequest(
        page_size=ROUTERS_ROWS, page_token=page.query.get("after", ""), filter=quoted(q) if q else ""
    )
    answer = page.call(page.registry.system.ListRouters, request)
    request.ClearField("page_token")
    return page.show(
        "operations/routers.html",
        q=q,
        routers=answer.routers,
        revision=answer.revision,
        least=answer.min_applied_revision,
        silent=answer.silent_replicas,
        total=answer.total_size,
        more=answer.next_page_token,
        commands=commands(page.registry.address, "router list", "SystemService/ListRouters", request),
    )


@view
def encryption(page: Page) -> Response:
    """Show under which key version credentials are, and how far a rotation is."""
    request = system_service_pb2.GetEncryptionStatusRequest()
    status = page.call(page.registry.system.GetEncryptionStatus, request)
    return page.show(
        "operations/encryption.html",
        encryption=status,
        sweep=views.sweep(status),
        moved=status.data_key_count - status.stale_data_key_count,
        commands=commands(page.registry.address, "key status", "SystemService/GetEncryptionStatus", request),
    )


@view
def retirements(page: Page) -> Response:
    """Show which provider models go soon, and what models lose then."""
    asked = page.query.get("within", "")
    within = int(asked) if asked in map(str, HORIZONS) else 90
    request = provider_service_pb2.ListRetirementsRequest(
        page_size=100, page_token=page.query.get("after", ""), within_days=within
    )
    answer = page.call(page.registry.providers.ListRetirements, request)
    request.ClearField("page_token")
    return page.show(
        "operations/retirements.html",
        within=within,
        horizons=HORIZONS,
        answer=answer,
        commands=commands(
            page.registry.address,
            f"provider retirements --days {within}",
            "ProviderService/ListRetirements",
            request,
        ),
    )
