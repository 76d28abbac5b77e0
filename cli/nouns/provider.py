"""``providerctl provider``: upstream accounts and their credentials."""

from __future__ import annotations

from cli.line.command import Argument, Command, Completes, Group, Option, Takes
from cli.nouns import common

_WORK = "cli.providers"

NAME = Argument("NAME", "The provider, with or without providers/.", completes=Completes.PROVIDERS)
SET = Option(
    "set",
    "A field of its kind; `provider kinds KIND` lists them.",
    Takes.TEXTS,
    "FIELD=VALUE",
)

PROVIDER = Group(
    "provider",
    "Register upstream accounts, give them credentials, test and delete them.",
    (
        Command("list", "List the providers.", f"{_WORK}.commands:list_", options=common.LISTING),
        Command("get", "Show one provider.", f"{_WORK}.commands:get", (NAME,)),
        Command(
            "create",
            "Create a provider; on a terminal it asks for what is missing.",
            f"{_WORK}.writing:create",
            (
                Argument(
                    "NAME",
                    "Its name, e.g. openai-prod.",
                    required=False,
                ),
            ),
            (
                Option(
                    "kind",
                    "The kind of provider; `provider kinds` lists them.",
                    value="KIND",
                    completes=Completes.KINDS,
                ),
                common.DISPLAY_NAME,
                SET,
                common.LABEL,
                *common.CREDENTIAL,
                Option("disabled", "Create it disabled.", Takes.NOTHING),
                common.DRY_RUN,
            ),
            more="In a script: `echo $KEY | providerctl provider create openai-prod --kind openai "
            "--credential-stdin`.",
        ),
        Command(
            "update",
            "Change a provider; a new destination needs the credential again.",
            f"{_WORK}.writing:update",
            (NAME,),
            (common.DISPLAY_NAME, SET, common.LABEL, *common.CREDENTIAL, common.DRY_RUN),
        ),
        Command(
            "set-credential",
            "Replace a provider's credential; on a terminal it asks for it without echo.",
            f"{_WORK}.writing:set_credential",
            (NAME,),
            (
                *common.CREDENTIAL,
                Option(
                    "verify",
                    "Ask the upstream first, and refuse a credential that it rejects.",
                    Takes.NOTHING,
                ),
                common.DRY_RUN,
            ),
        ),
        Command(
            "enable", "Let routers use a provider.", f"{_WORK}.commands:enable", (NAME,), (common.DRY_RUN,)
        ),
        Command(
            "disable",
            "Keep routers from using a provider.",
            f"{_WORK}.commands:disable",
            (NAME,),
            (common.DRY_RUN,),
        ),
        Command(
            "delete",
            "Delete a provider with its credential and models, after showing what is lost.",
            f"{_WORK}.commands:delete",
            (NAME,),
            common.DELETING,
        ),
        Command(
            "import",
            "Create a provider's models from the catalog.",
            f"{_WORK}.importing:import_",
            (common.OF_PROVIDER, common.IDS),
            common.IMPORT_OPTIONS,
        ),
        Command(
            "kinds",
            "List the kinds of provider, or the fields of one.",
            f"{_WORK}.commands:kinds_",
            (
                Argument(
                    "KIND", "The kind whose fields are listed.", required=False, completes=Completes.KINDS
                ),
            ),
        ),
        Command(
            "test",
            "Ask the upstream whether the stored credential works, opening it as a router does.",
            f"{_WORK}.testing:test",
            (NAME,),
        ),
        Command(
            "discover",
            "List what the upstream offers, beside the catalog and what is registered, or register it.",
            f"{_WORK}.testing:discover",
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
            f"{_WORK}.retirements:retirements",
            options=(
                Option("days", "How many days to look ahead.", Takes.NUMBER, "N", default=90, least=1),
                Option("provider", "Only this provider.", value="NAME", completes=Completes.PROVIDERS),
            ),
        ),
    ),
)
