"""All pages of a list as one, with the order that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from cli.session import Session

T = TypeVar("T")

PAGE_SIZE = 1000


def every(session: Session, rpc: Any, request: Any, items: Callable[[Any], Any]) -> list[Any]:
    """Return the items of all pages. ``items`` picks them from a page."""
    request.page_size = PAGE_SIZE
    found: list[Any] = []
    while True:
        page = session.registry.call(rpc, request)
        found += items(page)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def order_by(sort: str) -> str:
    """Return the API's ``order_by`` of ``-create_time,name``: a minus sign before a field reverses it."""
    fields = [field.strip() for field in sort.split(",") if field.strip()]
    return ", ".join(f"{field[1:]} desc" if field.startswith("-") else field for field in fields)
