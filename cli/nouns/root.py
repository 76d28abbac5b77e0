"""All commands of ``providerctl``."""

from __future__ import annotations

from cli.line.command import Command, Group
from cli.nouns.key import KEY
from cli.nouns.provider import PROVIDER
from cli.nouns.router import ROUTER

ROOT = Group(
    "providerctl",
    "Administer the CodeVector provider registry and its key sidecar.",
    (
        PROVIDER,
        KEY,
        ROUTER,
        Command(
            "doctor",
            "Check registry, sidecar, clocks, audit, and every pair of envelope and wrapped key.",
            "cli.doctor:doctor",
            more="It exits with 0 if nothing failed; notes only deserve a look.",
        ),
    ),
)
