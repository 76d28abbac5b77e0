"""Puts the console together: the only place that constructs and connects its rooms."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from structlog.typing import FilteringBoundLogger

from console import telemetry
from console.assets import Assets
from console.guard import Guard
from console.pages import routes
from console.pages.page import Console, Kinds, Page
from console.registry import Registry
from console.settings import Settings
from console.templating import environment
from runtime.logs import bug_fields


@contextmanager
def build(settings: Settings, log: FilteringBoundLogger) -> Iterator[ASGIApp]:
    """Return the application; its connection to the registry lasts as long as the context."""
    assets = Assets()
    registry = Registry(settings.registry)

    def missing(request: Request, _: Exception) -> Response:
        return Page(request).show("missing.html", status=404)

    def failed(request: Request, error: Exception) -> Response:
        log.error(telemetry.PAGE_FAILED, request_id=request.state.request_id, **bug_fields(error))
        return Page(request).show("failed.html", status=500, request_id=request.state.request_id)

    def refused(_: Request, error: Exception) -> Response:
        return Response(status_code=error.status_code if isinstance(error, HTTPException) else 500)

    app = Starlette(
        routes=[
            Route("/", _home),
            Route("/admin", _home),
            Route("/static/{path:path}", assets.serve),
            *routes.ROUTES,
        ],
        exception_handlers={404: missing, HTTPException: refused, Exception: failed},
    )
    app.state.console = Console(
        registry=registry,
        templates=environment(assets.url),
        kinds=Kinds(time.monotonic),
        now=lambda: datetime.now(UTC),
    )
    try:
        yield Guard(app, hosts=settings.hosts, log=log)
    finally:
        registry.close()


async def _home(_: Request) -> Response:
    return RedirectResponse("/admin/providers", 307)
