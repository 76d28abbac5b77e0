"""Replacing a credential: a form of its own that is never filled in and sends nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from codevector.providers.v1 import catalog_pb2, provider_pb2, provider_service_pb2
from starlette.responses import Response

from console import views
from console.forms.kinds import credential_of, foreign_kind, kind_form
from console.forms.refusals import Problem, problem_of
from console.pages import providers
from console.pages.adding import SECRET_AGAIN, tested
from console.pages.editing import info_of
from console.pages.page import HTTP_STATUS, Blank, Notice, Page, address, view
from console.pages.shell import Commands
from console.registry import CallRefused

SET_SECONDS = 40.0
"""Verifying asks the upstream, which may take 15 s by itself."""


@view
def form(page: Page) -> Response:
    """Show an empty form."""
    provider = providers.get(page, page.path("id"))
    return _form(page, provider, info_of(page, provider))


@view
def replace(page: Page) -> Response:
    """Set the credential, after the upstream has accepted it unless that was switched off."""
    provider = providers.get(page, page.path("id"))
    info = info_of(page, provider)
    credential, trimmed = credential_of(info, page.form)
    if credential is None:
        problem = Problem("Enter the new credential.")
        return _form(page, provider, info, problem=problem, status=422)
    other = foreign_kind(page.kinds, info.kind, credential)
    if other is not None and not page.form.get("foreign"):
        problem = Problem(f"This looks like a key for {other.display_name}, not for {info.display_name}.")
        return _form(page, provider, info, problem=problem, foreign=other, status=422)
    version = page.form.get("version", "")
    request = provider_service_pb2.SetProviderCredentialRequest(
        name=provider.name,
        credential=credential,
        expected_version=int(version) if version.isascii() and version.isdigit() else 0,
        verify=bool(page.form.get("verify")),
        request_id=page.form.get("request_id", ""),
    )
    try:
        saved = page.call(page.registry.providers.SetProviderCredential, request, seconds=SET_SECONDS)
    except CallRefused as refused:
        problem = problem_of(refused.refusal, _inputs(info))
        return _form(page, provider, info, problem=problem, status=HTTP_STATUS.get(refused.status, 500))
    text = (
        f"The credential of {saved.display_name} is replaced: version {saved.credential.version}. "
        "Routers may open the old one for a few minutes more." + views.trimmed_sentence(trimmed)
    )
    return page.go(address("providers", page.path("id")), Notice(text, revision=saved.revision))


@view
def test(page: Page) -> Response:
    """Ask the upstream with the credential that was typed, and save nothing."""
    provider = providers.get(page, page.path("id"))
    info = info_of(page, provider)
    outcome = tested(page, info, provider.name)
    if page.target:
        return page.show("outcome.html", outcome=outcome)
    return _form(page, provider, info, outcome=outcome, problem=Problem(SECRET_AGAIN))


def _inputs(info: catalog_pb2.ProviderKindInfo) -> set[str]:
    return {
        f"credential.{form.field}.{field.field}" for form in info.credential_forms for field in form.fields
    }


def _form(
    page: Page,
    provider: provider_pb2.Provider,
    info: catalog_pb2.ProviderKindInfo,
    *,
    problem: Problem | None = None,
    foreign: catalog_pb2.ProviderKindInfo | None = None,
    outcome: views.Outcome | None = None,
    status: int = 200,
) -> Response:
    values: Mapping[str, str] = page.form
    identifier = views.last_part(provider.name)
    shown: Commands = (
        ("providerctl", f"providerctl provider set-credential {identifier}    # asks without echo"),
    )
    return page.show(
        "providers/credential.html",
        status=status,
        provider=provider,
        kind=info,
        form=kind_form(info, values, problem.errors if problem else {}),
        values=Blank(values),
        problem=problem,
        foreign=foreign,
        outcome=outcome,
        verify=bool(page.form.get("verify")) if page.form else True,
        request_id=page.new_request_id(),
        prefixes={each.display_name: list(each.credential_prefixes) for each in page.kinds},
        commands=shown,
    )
