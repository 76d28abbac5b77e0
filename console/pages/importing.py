"""Taking models over from the bundled catalog: chosen from a preview, or refreshed where they exist."""

from __future__ import annotations

from codevector.providers.v1 import catalog_pb2, provider_pb2, provider_service_pb2
from starlette.responses import Response

from console import views
from console.forms.refusals import Problem, problem_of
from console.pages import providers
from console.pages.page import HTTP_STATUS, Notice, Page, address, view
from console.pages.shell import commands
from console.registry import CallRefused

Import = provider_service_pb2.ImportProviderModelsRequest
Action = provider_service_pb2.ImportResult
NEW = frozenset({Action.ACTION_CREATED})
IMPORT_SECONDS = 30.0


@view
def form(page: Page) -> Response:
    """Show what the catalog has that the provider lacks, all of it chosen."""
    return _import_form(page)


@view
def run(page: Page) -> Response:
    """Import what was chosen; what is there already is skipped and counted."""
    chosen = page.form.getlist("model")
    if not chosen and not page.form.get("all"):
        return _import_form(page, Problem("Choose at least one model."), 422)
    request = Import(
        parent=providers.name_of(page.path("id")),
        upstream_model_ids=[] if page.form.get("all") else chosen,
        catalog_version=page.form.get("release", ""),
        start_disabled=bool(page.form.get("start_disabled")),
        request_id=page.form.get("request_id", ""),
    )
    try:
        done = page.call(page.registry.providers.ImportProviderModels, request, seconds=IMPORT_SECONDS)
    except CallRefused as refused:
        problem = problem_of(refused.refusal, ())
        return _import_form(page, problem, HTTP_STATUS.get(refused.status, 500))
    text = f"{views.plural(done.created_count, 'model')} imported from catalog {done.catalog_version}"
    skipped = f"; {done.skipped_count:,} skipped, they were there already." if done.skipped_count else "."
    return page.go(address("providers", page.path("id")), Notice(text + skipped))


@view
def refresh_form(page: Page) -> Response:
    """Show what a refresh would change, and which edits stay."""
    return _refresh_form(page)


@view
def refresh(page: Page) -> Response:
    """Do exactly the refresh that was shown."""
    request = _refresh_of(page)
    request.plan_digest = page.form.get("plan_digest", "")
    try:
        done = page.call(page.registry.providers.ImportProviderModels, request, seconds=IMPORT_SECONDS)
    except CallRefused as refused:
        problem = problem_of(refused.refusal, ())
        if refused.status == "ABORTED":
            problem = Problem("The models have changed since you looked: this is what a refresh does now.")
        return _refresh_form(page, problem, HTTP_STATUS.get(refused.status, 500))
    text = f"{views.plural(done.refreshed_count, 'model')} follow catalog {done.catalog_version}."
    return page.go(address("providers", page.path("id")), Notice(text))


def _import_form(page: Page, problem: Problem | None = None, status: int = 200) -> Response:
    provider = providers.get(page, page.path("id"))
    release = page.form.get("release", "") or page.query.get("release", "")
    preview = Import(
        parent=provider.name,
        existing_policy=Import.EXISTING_POLICY_REFRESH,
        catalog_version=release,
        validate_only=True,
    )
    plan = page.call(page.registry.providers.ImportProviderModels, preview, seconds=IMPORT_SECONDS)
    catalog = page.call(
        page.registry.providers.GetCatalog,
        provider_service_pb2.GetCatalogRequest(name=catalog_of(provider.kind), catalog_version=release),
    )
    new = {result.upstream_model_id for result in plan.results if result.action in NEW}
    rows: list[catalog_pb2.CatalogModel] = [each for each in catalog.models if each.upstream_model_id in new]
    chosen = set(page.form.getlist("model")) if page.form else new
    changed = [result for result in plan.results if result.action == Action.ACTION_REFRESHED]
    return page.show(
        "models/import.html",
        status=status,
        provider=provider,
        plan=plan,
        rows=rows,
        chosen=chosen,
        present=len(plan.results) - plan.created_count - plan.gone_count,
        changed=changed,
        start_disabled=bool(page.form.get("start_disabled")),
        problem=problem,
        request_id=page.new_request_id(),
        commands=commands(
            page.registry.address,
            f"provider import {page.path('id')}",
            "ProviderService/ImportProviderModels",
            {"parent": provider.name, "catalog_version": plan.catalog_version},
        ),
    )


def _refresh_form(page: Page, problem: Problem | None = None, status: int = 200) -> Response:
    provider = providers.get(page, page.path("id"))
    request = _refresh_of(page)
    request.validate_only = True
    plan = page.call(page.registry.providers.ImportProviderModels, request, seconds=IMPORT_SECONDS)
    return page.show(
        "models/refresh.html",
        status=status,
        provider=provider,
        plan=plan,
        changed=[each for each in plan.results if each.changes],
        kept=[each for each in plan.results if each.kept_fields and not each.changes],
        gone=[each for each in plan.results if each.action == Action.ACTION_GONE],
        problem=problem,
        commands=commands(
            page.registry.address,
            f"provider-model refresh {page.path('id')}",
            "ProviderService/ImportProviderModels",
            request,
        ),
    )


def _refresh_of(page: Page) -> Import:
    return Import(
        parent=providers.name_of(page.path("id")),
        existing_policy=Import.EXISTING_POLICY_REFRESH,
        existing_only=True,
        catalog_version=page.form.get("release", ""),
    )


def catalog_of(kind: provider_pb2.ProviderKind) -> str:
    """Return the name of the catalog of a kind."""
    return f"catalogs/{views.slug(kind)}"
