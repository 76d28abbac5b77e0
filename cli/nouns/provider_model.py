"""``providerctl provider-model``: the models of upstream accounts."""

from __future__ import annotations

from cli.line.command import Argument, Command, Completes, Group, Option, Takes
from cli.nouns import common

_WORK = "cli.provider_models.commands"
_IMPORTING = "cli.providers.importing"

_NAME = Argument("NAME", "PROVIDER/MODEL, e.g. openai-prod/gpt-4o.", completes=Completes.PROVIDER_MODELS)
_NAMES = Argument("NAME", "PROVIDER/MODEL of each.", Takes.TEXTS, completes=Completes.PROVIDER_MODELS)
_SET = Option(
    "set", "A field, e.g. context_window=128000 or pricing.currency_code=USD.", Takes.TEXTS, "FIELD=VALUE"
)

PROVIDER_MODEL = Group(
    "provider-model",
    "Import, add, change and delete the models of providers.",
    (
        Command(
            "list",
            "List the models of a provider, or of all of them.",
            f"{_WORK}:list_",
            (
                Argument(
                    "PROVIDER",
                    "Only this provider.",
                    required=False,
                    completes=Completes.PROVIDERS,
                ),
            ),
            common.LISTING,
        ),
        Command("get", "Show one provider model.", f"{_WORK}:get", (_NAME,)),
        Command(
            "create",
            "Create a custom model, which no catalog has.",
            f"{_WORK}:create",
            (common.OF_PROVIDER, Argument("UPSTREAM-ID", "The id that the upstream takes, e.g. gpt-4o.")),
            (
                Option("kind", "What it is for.", value="KIND", choices=("chat", "embedding"), required=True),
                Option("id", "The last part of its name. Default: made from the upstream id.", value="ID"),
                common.DISPLAY_NAME,
                _SET,
                common.LABEL,
                common.DRY_RUN,
            ),
        ),
        Command(
            "update",
            "Change a provider model.",
            f"{_WORK}:update",
            (_NAME,),
            (common.DISPLAY_NAME, _SET, common.LABEL, common.DRY_RUN),
        ),
        Command(
            "enable", "Let routers use provider models.", f"{_WORK}:enable", (_NAMES,), (common.DRY_RUN,)
        ),
        Command(
            "disable",
            "Keep routers from using provider models.",
            f"{_WORK}:disable",
            (_NAMES,),
            (common.DRY_RUN,),
        ),
        Command(
            "delete",
            "Delete provider models and the backends that lead to them, after showing what is lost.",
            f"{_WORK}:delete",
            (_NAMES,),
            common.DELETING,
        ),
        Command(
            "import",
            "Create a provider's models from the catalog.",
            f"{_IMPORTING}:import_",
            (common.OF_PROVIDER, common.IDS),
            common.IMPORT_OPTIONS,
        ),
        Command(
            "refresh",
            "Bring a provider's models up to a catalog release, keeping what was edited.",
            f"{_IMPORTING}:refresh",
            (common.OF_PROVIDER, common.IDS),
            (
                common.CATALOG_VERSION,
                Option(
                    "adopt-custom",
                    "Take custom models that the catalog has into it.",
                    Takes.NOTHING,
                ),
                common.PLAN_DIGEST,
                common.DRY_RUN,
            ),
        ),
    ),
)
