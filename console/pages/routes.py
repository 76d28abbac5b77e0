"""Which address leads to which page."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.pages import (
    adding,
    catalogs,
    credential,
    deleting,
    detail,
    docs,
    editing,
    importing,
    model_forms,
    models,
    operations,
    provider_models,
    providers,
)
from console.pages.page import view

Endpoint = Callable[[Request], Response]


def shown(path: str, endpoint: Endpoint) -> Route:
    """Return the route of something to look at."""
    return Route(path, endpoint, methods=["GET"])


def done(path: str, endpoint: Endpoint) -> Route:
    """Return the route of a form that is sent."""
    return Route(path, endpoint, methods=["POST"])


def asked(path: str, form: Endpoint, act: Endpoint) -> list[Route]:
    """Return the routes of a form at one address: shown, and sent."""
    return [shown(path, form), done(path, act)]


PROVIDER = "/admin/providers/{id}"
PROVIDER_MODEL = "/admin/providers/{id}/models/{model}"
MODEL = "/admin/models/{model}"

ROUTES = (
    shown("/admin/providers", providers.listing),
    *asked("/admin/providers/new", adding.form, adding.create),
    done("/admin/providers/test", adding.test),
    shown(PROVIDER, detail.detail),
    shown(f"{PROVIDER}/actions", providers.actions),
    *asked(f"{PROVIDER}/edit", editing.form, editing.save),
    done(f"{PROVIDER}/enable", providers.enable),
    done(f"{PROVIDER}/disable", providers.disable),
    *asked(f"{PROVIDER}/credential", credential.form, credential.replace),
    done(f"{PROVIDER}/credential/test", credential.test),
    *asked(f"{PROVIDER}/delete", deleting.provider_form, deleting.delete_provider),
    *asked(f"{PROVIDER}/import", importing.form, importing.run),
    *asked(f"{PROVIDER}/refresh", importing.refresh_form, importing.refresh),
    *asked(f"{PROVIDER}/models/new", provider_models.new, provider_models.create),
    shown(PROVIDER_MODEL, provider_models.detail),
    shown(f"{PROVIDER_MODEL}/actions", provider_models.actions),
    *asked(f"{PROVIDER_MODEL}/edit", provider_models.edit, provider_models.save),
    done(f"{PROVIDER_MODEL}/enable", provider_models.enable),
    done(f"{PROVIDER_MODEL}/disable", provider_models.disable),
    *asked(f"{PROVIDER_MODEL}/delete", deleting.model_form, deleting.delete_model),
    shown("/admin/models", models.listing),
    *asked("/admin/models/new", model_forms.new, model_forms.create),
    shown(MODEL, models.detail),
    shown(f"{MODEL}/actions", models.actions),
    *asked(f"{MODEL}/edit", model_forms.edit, model_forms.save),
    *asked(f"{MODEL}/backends", model_forms.wiring, model_forms.wire),
    done(f"{MODEL}/unwire", models.unwire),
    done(f"{MODEL}/enable", models.enable),
    done(f"{MODEL}/disable", models.disable),
    *asked(f"{MODEL}/delete", model_forms.delete_form, model_forms.delete),
    shown("/admin/catalogs", catalogs.listing),
    shown("/admin/catalogs/{kind}", catalogs.detail),
    shown("/admin/retirements", operations.retirements),
    shown("/admin/routers", operations.routers),
    shown("/admin/encryption", operations.encryption),
    shown("/admin/nav", operations.nav),
    shown("/admin/spread", detail.spread),
    shown("/docs", docs.home),
    *(shown(f"/docs/{name}", view(docs.shown(name))) for name in docs.CONTENTS),
)
