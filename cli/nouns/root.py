"""All commands of ``providerctl``."""

from __future__ import annotations

from cli.line.command import Argument, Command, Completes, Group, Option, Takes
from cli.nouns.catalog import CATALOG
from cli.nouns.key import KEY
from cli.nouns.model import MODEL
from cli.nouns.provider import PROVIDER
from cli.nouns.provider_model import PROVIDER_MODEL
from cli.nouns.router import ROUTER

ROOT = Group(
    "providerctl",
    "Administer the CodeVector provider registry and its key sidecar.",
    (
        PROVIDER,
        PROVIDER_MODEL,
        MODEL,
        CATALOG,
        ROUTER,
        KEY,
        Command(
            "watch",
            "Print each change that routers get, as it is committed, until Ctrl-C.",
            "cli.watching:watch",
            options=(
                Option("token", "Begin after the change with this token. Default: now.", value="TOKEN"),
                Option("snapshot", "First print what is there.", Takes.NOTHING),
                Option("limit", "End after so many lines.", Takes.NUMBER, "N", least=1),
            ),
        ),
        Command(
            "open",
            "Open the console in a browser.",
            "cli.browser:open_",
            (
                Argument(
                    "NAME",
                    "The provider whose page is opened.",
                    required=False,
                    completes=Completes.PROVIDERS,
                ),
            ),
            (Option("print", "Only print the address.", Takes.NOTHING),),
        ),
        Command(
            "completion",
            "Print a script that completes commands, options and names in a shell.",
            "cli.completing:completion",
            (Argument("SHELL", "The shell.", choices=("bash", "zsh", "fish")),),
            more="In the shell's start-up file: `source <(providerctl completion bash)`; for zsh the same, "
            "after compinit; for fish `providerctl completion fish | source`.",
        ),
        Command(
            "__complete",
            "Print what may stand in place of the last word.",
            "cli.completing:complete",
            (Argument("WORD", "The words so far.", Takes.TEXTS, required=False),),
            hidden=True,
        ),
        Command(
            "doctor",
            "Check registry, sidecar, clocks, audit, and every pair of envelope and wrapped key.",
            "cli.doctor:doctor",
            more="It exits with 0 if nothing failed; notes only deserve a look.",
        ),
    ),
)
