"""``providerctl router``: who has which revision, and waiting for all of them."""

from __future__ import annotations

from cli.line.command import Command, Group, Option, Takes

ROUTER = Group(
    "router",
    "See which revision each router has, and wait for all of them.",
    (
        Command(
            "list",
            "List the connected routers with the revision that each has applied.",
            "cli.routers.commands:list_",
            options=(
                Option(
                    "filter",
                    "Over watcher_id, applied_revision, watching and seen_time, e.g. 'watching = false'.",
                    value="FILTER",
                ),
            ),
        ),
        Command(
            "wait",
            "Wait until every router has applied a revision, e.g. that of a disable or a deletion.",
            "cli.routers.commands:wait",
            options=(
                Option(
                    "revision",
                    "As a write returned it. Default: the registry's current one.",
                    Takes.NUMBER,
                    "N",
                    default=0,
                ),
                Option(
                    "token",
                    "The x-revision-token of a write instead of its revision: fails if the write was lost.",
                    value="TOKEN",
                ),
                Option(
                    "timeout",
                    "How long to wait, e.g. 90s or 10m; 0s checks once.",
                    value="DURATION",
                    default="60s",
                ),
            ),
        ),
    ),
)
