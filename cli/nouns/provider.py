"""``providerctl provider``: upstream accounts and their credentials."""

from __future__ import annotations

from cli.line.command import Argument, Command, Completes, Group, Option, Takes

NAME = Argument("NAME", "The provider, with or without providers/.", completes=Completes.PROVIDERS)

PROVIDER = Group(
    "provider",
    "Register upstream accounts, test them and see which of their models end.",
    (
        Command(
            "test",
            "Ask the upstream whether the stored credential works, opening it as a router does.",
            "cli.providers.testing:test",
            (NAME,),
        ),
        Command(
            "discover",
            "List what the upstream offers, beside the catalog and what is registered, or register it.",
            "cli.providers.testing:discover",
            (NAME,),
            (
                Option("add", "Register the model of this upstream id.", Takes.TEXTS, "ID"),
                Option(
                    "kind",
                    "What added models are for, where the upstream does not say.",
                    choices=("chat", "embedding"),
                ),
            ),
        ),
        Command(
            "retirements",
            "List the provider models that retire soon, and the models that lose a backend by it.",
            "cli.providers.retirements:retirements",
            options=(
                Option("days", "How many days to look ahead.", Takes.NUMBER, "N", default=90, least=1),
                Option("provider", "Only this provider.", value="NAME", completes=Completes.PROVIDERS),
            ),
        ),
    ),
)
