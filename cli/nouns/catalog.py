"""``providerctl catalog``: the bundled model catalogs."""

from __future__ import annotations

from cli.line.command import Argument, Command, Completes, Group, Option
from cli.nouns import common

_WORK = "cli.catalogs.commands"

_NAME = Argument("CATALOG", "Its name, e.g. openai.", completes=Completes.CATALOGS)

CATALOG = Group(
    "catalog",
    "Look into the bundled model catalogs.",
    (
        Command("list", "List the newest releases.", f"{_WORK}:list_", options=(common.COLUMNS,)),
        Command(
            "show",
            "List the models of a release.",
            f"{_WORK}:show",
            (_NAME,),
            (common.CATALOG_VERSION, common.COLUMNS),
        ),
        Command(
            "diff",
            "Show what changes from one release to another.",
            f"{_WORK}:diff",
            (_NAME,),
            (
                Option("from", "The older release, e.g. 2026.04.15.", value="RELEASE", required=True),
                Option("to", "The newer release. Default: the newest.", value="RELEASE"),
            ),
        ),
    ),
)
