"""The environment that templates are rendered in: everything is escaped, and an unknown name is an error."""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from console import views
from console.assets import FOLDER


def environment(asset: Callable[[str], str]) -> Environment:
    """Return the environment; ``asset`` gives the address of a file."""
    env = Environment(
        loader=FileSystemLoader(FOLDER.parent / "templates"),
        autoescape=True,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    env.globals["asset"] = asset
    env.filters.update(
        ago=views.ago,
        date=views.date,
        exact=views.exact,
        iso=views.iso,
        last_part=views.last_part,
        plural=views.plural,
        prices=views.prices,
        retiring=views.retiring,
        slug=views.slug,
        source=views.source,
        summary=views.summary,
        tokens=views.tokens,
        wire=views.wire,
    )
    return env
