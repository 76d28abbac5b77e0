"""Which address leads to which page."""

from __future__ import annotations

from starlette.routing import Route

from console.pages import providers

ROUTES = (Route("/admin/providers", providers.listing),)
