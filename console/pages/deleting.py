"""Deleting providers and provider models: what it costs is shown first, and exactly that is done."""

from __future__ import annotations

from dataclasses import dataclass

from codevector.providers.v1 import provider_service_pb2
from starlette.responses import Response

from console import views
from console.forms.refusals import Problem, problem_of
from console.pages import providers
from console.pages.page import HTTP_STATUS, Notice, Page, address, view
from console.pages.shell import commands
from console.registry import CallRefused

CHANGED = "What the deletion would cost has changed since you looked: this is how it is now."


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be deleted. ``typed`` is what the user types to show that it is meant."""

    noun: str
    label: str
    typed: str
    etag: str
    action: str
    back: str
    disable: str
    name: str
    disabled: bool


@view
def provider_form(page: Page) -> Response:
    """Show what deleting a provider would take along."""
    return _provider(page)


@view
def delete_provider(page: Page) -> Response:
    """Delete a provider if its name was typed and the cost is the one that was shown."""
    name = providers.name_of(page.path("id"))
    typed = page.form.get("typed", "").strip()
    if typed != page.form.get("name", ""):
        return _provider(page, Problem("The name does not match: type it as it is shown."), 422)
    request = provider_service_pb2.DeleteProviderRequest(
        name=name,
        etag=page.form.get("etag", ""),
        impact_token=page.form.get("impact_token", ""),
        force=True,
    )
    try:
        done = page.call(page.registry.providers.DeleteProvider, request)
    except CallRefused as refused:
        if refused.status == "NOT_FOUND":
            return page.go("/admin/providers", Notice(f"{typed} is gone already."))
        return _provider(page, _problem(refused), HTTP_STATUS.get(refused.status, 500))
    models = done.impact.provider_model_count
    text = f"{typed} is deleted" + (f" with {views.plural(models, 'model')}." if models else ".")
    return page.go("/admin/providers", Notice(text, revision=done.revision))


@view
def model_form(page: Page) -> Response:
    """Show what deleting a provider model would take along."""
    return _model(page)


@view
def delete_model(page: Page) -> Response:
    """Delete a provider model if the cost is the one that was shown."""
    request = provider_service_pb2.DeleteProviderModelRequest(
        name=model_name(page),
        etag=page.form.get("etag", ""),
        impact_token=page.form.get("impact_token", ""),
        force=True,
    )
    back = address("providers", page.path("id"))
    try:
        done = page.call(page.registry.providers.DeleteProviderModel, request)
    except CallRefused as refused:
        if refused.status == "NOT_FOUND":
            return page.go(back, Notice("The model is gone already."))
        return _model(page, _problem(refused), HTTP_STATUS.get(refused.status, 500))
    return page.go(back, Notice(f"{page.path('model')} is removed.", revision=done.revision))


def model_name(page: Page) -> str:
    """Return the name of the provider model that the address names."""
    return f"{providers.name_of(page.path('id'))}/models/{page.path('model')}"


def _problem(refused: CallRefused) -> Problem:
    if refused.status == "ABORTED":
        return Problem(CHANGED, {}, refused.refusal.request_id)
    return problem_of(refused.refusal, ())


def _provider(page: Page, problem: Problem | None = None, status: int = 200) -> Response:
    identifier = page.path("id")
    provider = providers.get(page, identifier)
    request = provider_service_pb2.DeleteProviderRequest(name=provider.name, validate_only=True)
    impact = page.call(page.registry.providers.DeleteProvider, request).impact
    at = address("providers", identifier)
    subject = Subject(
        noun="provider",
        label=provider.display_name,
        typed=provider.display_name,
        etag=provider.etag,
        action=f"{at}/delete",
        back=at,
        disable=f"{at}/disable",
        name=provider.name,
        disabled=provider.state == provider.STATE_DISABLED,
    )
    return _show(page, subject, impact, f"provider delete {identifier}", problem, status)


def _model(page: Page, problem: Problem | None = None, status: int = 200) -> Response:
    read = provider_service_pb2.GetProviderModelRequest(name=model_name(page))
    model = page.call(page.registry.providers.GetProviderModel, read)
    request = provider_service_pb2.DeleteProviderModelRequest(name=model.name, validate_only=True)
    impact = page.call(page.registry.providers.DeleteProviderModel, request).impact
    at = address("providers", page.path("id"), "models", page.path("model"))
    subject = Subject(
        noun="provider model",
        label=model.upstream_model_id,
        typed="",
        etag=model.etag,
        action=f"{at}/delete",
        back=address("providers", page.path("id")),
        disable=f"{at}/disable",
        name=model.name,
        disabled=model.state == model.STATE_DISABLED,
    )
    return _show(page, subject, impact, f"provider-model delete {views.short(model.name)}", problem, status)


def _show(
    page: Page,
    subject: Subject,
    impact: provider_service_pb2.DeletionImpact,
    providerctl: str,
    problem: Problem | None,
    status: int,
) -> Response:
    method = "DeleteProvider" if subject.noun == "provider" else "DeleteProviderModel"
    return page.show(
        "providers/delete.html",
        status=status,
        subject=subject,
        impact=impact,
        losses=views.losses(impact),
        problem=problem,
        commands=commands(
            page.registry.address,
            providerctl,
            f"ProviderService/{method}",
            {"name": subject.name, "validate_only": True},
        ),
    )
