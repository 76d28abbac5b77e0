"""Adding a provider: the kind first, then its form, with a test of the key before anything is saved."""

from __future__ import annotations

from collections.abc import Mapping

from codevector.providers.v1 import catalog_pb2, provider_pb2, provider_service_pb2
from starlette.responses import Response

from console import views
from console.forms.kinds import SECRETS, config_of, credential_of, foreign_kind, kind_form
from console.forms.refusals import Problem, problem_of
from console.pages.page import HTTP_STATUS, Blank, Notice, Page, address, view
from console.pages.shell import create_provider
from console.registry import CallRefused, is_away

TEST_SECONDS = 40.0
SECRET_AGAIN = "Enter the credential again: it is never sent back to the browser."  # noqa: S105


@view
def form(page: Page) -> Response:
    """Show the kinds to choose from, or the form of the one that was chosen."""
    info = kind_of(page, page.query.get("kind", ""))
    if info is None:
        return page.show("providers/kinds.html", kinds=page.kinds)
    return _form(page, info, {})


@view
def create(page: Page) -> Response:
    """Create the provider, or show the form again with all that was typed but the credential."""
    info = kind_of(page, page.form.get("kind", ""))
    if info is None:
        return page.go("/admin/providers/new")
    config, trimmed_settings = config_of(info, page.form)
    credential, trimmed = credential_of(info, page.form)
    other = foreign_kind(page.kinds, info.kind, credential)
    if other is not None and not page.form.get("foreign"):
        sentence = f"This looks like a key for {other.display_name}, not for {info.display_name}."
        return _form(page, info, page.form, problem=Problem(sentence), foreign=other, status=422)
    request = provider_service_pb2.CreateProviderRequest(
        provider_id=page.form.get("provider_id", "").strip(),
        provider=provider_pb2.Provider(
            display_name=page.form.get("name", "").strip(), kind=info.kind, config=config
        ),
        credential=credential,
        request_id=page.form.get("request_id", ""),
    )
    try:
        created = page.call(page.registry.providers.CreateProvider, request)
    except CallRefused as refused:
        problem = problem_of(refused.refusal, {"name", "provider_id", *_inputs(info)})
        # Sent again after no answer, the same id makes sure that it is not created twice.
        retry = page.form.get("request_id", "") if is_away(refused.refusal) else ""
        status = HTTP_STATUS.get(refused.status, 500)
        return _form(page, info, page.form, problem=problem, request_id=retry, status=status)
    text = f"{created.display_name} is added." + views.trimmed_sentence((*trimmed, *trimmed_settings))
    return page.go(
        address("providers", views.last_part(created.name)), Notice(text, revision=created.revision)
    )


@view
def test(page: Page) -> Response:
    """Ask the upstream with the credential that was typed, and save nothing."""
    info = kind_of(page, page.form.get("kind", ""))
    if info is None:
        return page.go("/admin/providers/new")
    outcome = tested(page, info, page.form.get("provider", ""))
    if page.target:
        return page.show("outcome.html", outcome=outcome)
    return _form(page, info, page.form, outcome=outcome, problem=Problem(SECRET_AGAIN))


def tested(page: Page, info: catalog_pb2.ProviderKindInfo, provider: str) -> views.Outcome:
    """Return what a test of the typed credential came to; ``provider`` is the name of one that exists."""
    credential, trimmed = credential_of(info, page.form)
    request = provider_service_pb2.ValidateProviderRequest(candidate_credential=credential)
    if provider:
        request.name = provider
    else:
        request.provider.kind = info.kind
        request.provider.config.CopyFrom(config_of(info, page.form)[0])
    chosen = next(
        (each for each in info.credential_forms if each.field == page.form.get("credential.type")), None
    )
    try:
        answer = page.call(page.registry.providers.ValidateProvider, request, seconds=TEST_SECONDS)
    except CallRefused as refused:
        problem = problem_of(refused.refusal, _inputs(info))
        said = " ".join((*problem.errors.values(), *([] if problem.errors else [problem.sentence])))
        return views.Outcome("bad", said, request_id=problem.request_id)
    note = chosen.test_note if chosen is not None and not chosen.test_confirms else ""
    return views.outcome(answer.validation, note + views.trimmed_sentence(trimmed))


def kind_of(page: Page, slug: str) -> catalog_pb2.ProviderKindInfo | None:
    """Return what the registry says of a kind, None for none of that name."""
    return next((info for info in page.kinds if views.slug(info.kind) == slug), None)


def _inputs(info: catalog_pb2.ProviderKindInfo) -> set[str]:
    settings = {f"config.{field.field}" for field in info.config_fields}
    return settings | {
        f"credential.{form.field}.{field.field}" for form in info.credential_forms for field in form.fields
    }


def _form(
    page: Page,
    info: catalog_pb2.ProviderKindInfo,
    values: Mapping[str, str],
    *,
    problem: Problem | None = None,
    foreign: catalog_pb2.ProviderKindInfo | None = None,
    outcome: views.Outcome | None = None,
    request_id: str = "",
    status: int = 200,
) -> Response:
    errors = problem.errors if problem else {}
    lost = problem is not None and any(
        values.get(f"credential.{form.field}.{field.field}")
        for form in info.credential_forms
        for field in form.fields
        if field.control in SECRETS
    )
    return page.show(
        "providers/new.html",
        status=status,
        kind=info,
        form=kind_form(info, values, errors),
        values=Blank(values),
        errors=Blank(errors),
        problem=problem,
        secret_lost=lost,
        foreign=foreign,
        outcome=outcome,
        request_id=request_id or page.new_request_id(),
        commands=create_provider(page.registry.address, info, values),
        prefixes={each.display_name: list(each.credential_prefixes) for each in page.kinds},
    )
