"""``providerctl model``: what users ask for, and the backends that serve it."""

from __future__ import annotations

from cli.line.command import Argument, Command, Completes, Group, Option, Takes
from cli.nouns import common

_WORK = "cli.models.commands"

_NAME = Argument("NAME", "The model, with or without models/.", completes=Completes.MODELS)
_BACKEND = Argument(
    "PROVIDER-MODEL", "PROVIDER/MODEL, e.g. openai-prod/gpt-4o.", completes=Completes.PROVIDER_MODELS
)
_KIND = Option("kind", "What it is for.", value="KIND", choices=("chat", "embedding"), required=True)
_DESCRIPTION = Option("description", "What people should know of it.", value="TEXT")
_BACKENDS = Option(
    "backend",
    "A backend as PROVIDER/MODEL[,priority=N][,weight=N].",
    Takes.TEXTS,
    "BACKEND",
    completes=Completes.PROVIDER_MODELS,
)

MODEL = Group(
    "model",
    "Define the models that users ask for, and wire them to provider models.",
    (
        Command("list", "List the models.", f"{_WORK}:list_", options=common.LISTING),
        Command("get", "Show one model with its backends.", f"{_WORK}:get", (_NAME,)),
        Command(
            "create",
            "Create a model.",
            f"{_WORK}:create",
            (Argument("NAME", "Its name, e.g. smart."),),
            (_KIND, common.DISPLAY_NAME, _DESCRIPTION, _BACKENDS, common.LABEL, common.DRY_RUN),
        ),
        Command(
            "update",
            "Change a model; --backend replaces all of its backends.",
            f"{_WORK}:update",
            (_NAME,),
            (common.DISPLAY_NAME, _DESCRIPTION, _BACKENDS, common.LABEL, common.DRY_RUN),
        ),
        Command("enable", "Serve a model again.", f"{_WORK}:enable", (_NAME,), (common.DRY_RUN,)),
        Command("disable", "Stop serving a model.", f"{_WORK}:disable", (_NAME,), (common.DRY_RUN,)),
        Command(
            "add-backend",
            "Wire a model to a provider model.",
            f"{_WORK}:add_backend",
            (_NAME, _BACKEND),
            (
                Option("priority", "Lower ones are tried first.", Takes.NUMBER, "N", default=0),
                Option("weight", "Its share among backends of one priority.", Takes.NUMBER, "N"),
                Option("disabled", "Create it disabled.", Takes.NOTHING),
                common.DRY_RUN,
            ),
        ),
        Command(
            "remove-backend",
            "Take a backend from a model.",
            f"{_WORK}:remove_backend",
            (_NAME, _BACKEND),
            (common.DRY_RUN,),
        ),
        Command(
            "delete",
            "Delete a model, after showing what is lost; its provider models stay.",
            f"{_WORK}:delete",
            (_NAME,),
            common.DELETING,
        ),
    ),
)
