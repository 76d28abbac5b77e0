"""The documentation: short pages that lead to the live console, and that need no registry to be shown."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from console.pages.page import Page, View, view
from console.registry import CallRefused

CONTENTS: Mapping[str, str] = {
    "providers": "Providers",
    "models": "Models and catalogs",
    "encryption": "Encryption",
    "routing": "Routing",
    "api": "The API",
}
"""The headings of the pages, by the last part of their addresses and in the order of reading."""


@view
def home(page: Page) -> Response:
    """Show the first page."""
    return page.go("/docs/providers")


def shown(name: str) -> View:
    """Return what shows one page."""
    at = list(CONTENTS).index(name)
    contents = [(f"/docs/{each}", heading) for each, heading in CONTENTS.items()]

    def show(page: Page) -> Response:
        return page.show(
            f"docs/{name}.html",
            heading=CONTENTS[name],
            contents=contents,
            here=f"/docs/{name}",
            before=contents[at - 1] if at else None,
            after=contents[at + 1] if at + 1 < len(contents) else None,
            kinds=_kinds(page) if name == "providers" else (),
            server=page.registry.address,
            origin=f"http://{page.request.headers['host']}",
        )

    return show


def _kinds(page: Page) -> tuple[object, ...]:
    try:
        return page.kinds
    except CallRefused:
        return ()
