"""Making and changing the models that users ask for, and wiring them to provider models."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from codevector.providers.v1 import model_pb2, model_service_pb2, provider_service_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from starlette.responses import Response

from console import views
from console.forms.merging import WAS, Conflict, changed, merge
from console.forms.models import MODEL_KINDS, kind_of
from console.forms.refusals import Problem, problem_of
from console.pages import models
from console.pages.deleting import CHANGED
from console.pages.page import HTTP_STATUS, Blank, Notice, Page, address, view
from console.pages.providers import quoted
from console.pages.shell import commands
from console.registry import CallRefused, is_away

LABELS = {"name": "Name", "description": "Description"}
SUGGESTIONS = 50
EXAMPLE = "providers/openai-prod/models/gpt-4o"


@view
def new(page: Page) -> Response:
    """Show the empty form."""
    return _form(page, None, {"kind": "chat", "provider_model": page.query.get("provider_model", "")})


@view
def create(page: Page) -> Response:
    """Make a model, wired to a provider model where one is named."""
    model = model_pb2.Model(
        display_name=page.form.get("name", "").strip() or page.form.get("model_id", "").strip(),
        description=page.form.get("description", "").strip(),
        kind=kind_of(page.form.get("kind", "")),
    )
    if page.form.get("provider_model", "").strip():
        model.backends.add(provider_model=page.form["provider_model"].strip())
    request = model_service_pb2.CreateModelRequest(
        model_id=page.form.get("model_id", "").strip(),
        model=model,
        request_id=page.form.get("request_id", ""),
    )
    try:
        made = page.call(page.registry.models.CreateModel, request)
    except CallRefused as refused:
        problem = problem_of(refused.refusal, {*LABELS, "model_id", "kind", "provider_model"}, _input)
        retry = page.form.get("request_id", "") if is_away(refused.refusal) else ""
        status = HTTP_STATUS.get(refused.status, 500)
        return _form(page, None, page.form, problem, request_id=retry, status=status)
    notice = Notice(f"{made.display_name} is made.", revision=made.revision)
    return page.go(address("models", views.last_part(made.name)), notice)


@view
def edit(page: Page) -> Response:
    """Show the form with what the model has now."""
    model = models.get(page)
    values = _values(model)
    return _form(page, model, values | {WAS + name: value for name, value in values.items()})


@view
def save(page: Page) -> Response:
    """Save what was changed; what another editor changed meanwhile is shown beside what was typed."""
    names = changed(page.form, LABELS)
    at = address("models", page.path("model"))
    if not names:
        return page.go(at, Notice("Nothing was changed."))
    request = model_service_pb2.UpdateModelRequest(
        model=model_pb2.Model(
            name=models.name_of(page),
            display_name=page.form.get("name", "").strip(),
            description=page.form.get("description", "").strip(),
            etag=page.form.get("etag", ""),
        ),
        update_mask=FieldMask(paths=["display_name" if each == "name" else each for each in names]),
    )
    try:
        saved = page.call(page.registry.models.UpdateModel, request)
    except CallRefused as refused:
        model, status = models.get(page), HTTP_STATUS.get(refused.status, 500)
        if refused.status != "ABORTED":
            return _form(page, model, page.form, problem_of(refused.refusal, LABELS, _input), status=status)
        merged, conflicts = merge(page.form, _values(model), LABELS)
        problem = Problem(
            "Somebody else changed this model while you edited it.", {}, refused.refusal.request_id
        )
        return _form(page, model, merged | {"etag": model.etag}, problem, conflicts, status=status)
    return page.go(at, Notice(f"{saved.display_name} is saved.", revision=saved.revision))


@view
def wiring(page: Page) -> Response:
    """Show the form of one backend: a new one, or one that is there."""
    return _wiring(page, models.get(page), dict(page.query))


@view
def wire(page: Page) -> Response:
    """Add a backend, or change the one to the same provider model."""
    priority, weight = page.form.get("priority", ""), page.form.get("weight", "")
    problem = None
    if not all(
        each.isascii() and each.isdigit() and len(each) < 6 for each in (priority or "0", weight or "0")
    ):
        problem = Problem("Priority and weight are whole numbers, e.g. 0 and 1.")
    backend = model_pb2.ModelBackend(
        provider_model=page.form.get("provider_model", "").strip(),
        priority=0 if problem else int(priority or 0),
        weight=0 if problem else int(weight or 0),
        disabled=bool(page.form.get("disabled")),
    )
    request = model_service_pb2.AddModelBackendRequest(
        model=models.name_of(page), backend=backend, etag=page.form.get("etag", "")
    )
    status = 422
    if problem is None:
        try:
            model = page.call(page.registry.models.AddModelBackend, request)
        except CallRefused as refused:
            problem, status = problem_of(refused.refusal, (), _input), HTTP_STATUS.get(refused.status, 500)
            if refused.status == "ABORTED":
                problem = Problem("The model has changed since you looked: its backends are as below now.")
        else:
            at = address("models", page.path("model"))
            return page.go(at, Notice(f"{backend.provider_model} is wired.", revision=model.revision))
    return _wiring(page, models.get(page), dict(page.form), problem, status)


@view
def delete_form(page: Page) -> Response:
    """Show what deleting the model would take along."""
    return _delete(page)


@view
def delete(page: Page) -> Response:
    """Delete the model if the cost is the one that was shown."""
    request = model_service_pb2.DeleteModelRequest(
        name=models.name_of(page),
        etag=page.form.get("etag", ""),
        impact_token=page.form.get("impact_token", ""),
    )
    try:
        done = page.call(page.registry.models.DeleteModel, request)
    except CallRefused as refused:
        if refused.status == "NOT_FOUND":
            return page.go("/admin/models", Notice("The model is gone already."))
        stale = Problem(CHANGED, {}, refused.refusal.request_id)
        problem = stale if refused.status == "ABORTED" else problem_of(refused.refusal, ())
        return _delete(page, problem, HTTP_STATUS.get(refused.status, 500))
    return page.go("/admin/models", Notice(f"{page.path('model')} is deleted.", revision=done.revision))


def _input(path: str) -> str:
    path = path.removeprefix("model.")
    return "provider_model" if path.startswith("backend") else {"display_name": "name"}.get(path, path)


def _values(model: model_pb2.Model) -> dict[str, str]:
    return {"name": model.display_name, "description": model.description}


def _suggested(page: Page, typed: str, kind: model_pb2.Model | None) -> list[str]:
    """Return names of provider models to choose from, those that hold what was typed first."""
    terms = [quoted(views.last_part(typed))] if typed else []
    if kind is not None:
        terms.append(f"kind = {'MODEL_KIND_CHAT' if kind.kind == 1 else 'MODEL_KIND_EMBEDDING'}")
    request = provider_service_pb2.ListProviderModelsRequest(
        parent="providers/-", page_size=SUGGESTIONS, filter=" AND ".join(terms), order_by="name"
    )
    answer = page.call(page.registry.providers.ListProviderModels, request)
    return [each.name for each in answer.provider_models]


def _form(
    page: Page,
    model: model_pb2.Model | None,
    values: Mapping[str, str],
    problem: Problem | None = None,
    conflicts: Sequence[Conflict] = (),
    *,
    request_id: str = "",
    status: int = 200,
) -> Response:
    identifier = values.get("model_id", "") or "my-model"
    kind = values.get("kind") or "chat"
    made = {"display_name": values.get("name", ""), "kind": MODEL_KINDS.get(kind, "MODEL_KIND_CHAT")}
    return page.show(
        "models/form.html",
        status=status,
        model=model,
        values=Blank(values),
        was={name: values.get(WAS + name, "") for name in LABELS} if model is not None else {},
        errors=Blank(problem.errors if problem else {}),
        problem=problem,
        conflicts=conflicts,
        suggestions=[] if model is not None else _suggested(page, "", None),
        request_id=request_id or page.new_request_id(),
        commands=commands(
            page.registry.address,
            f"model create {shlex.quote(identifier)} --kind {kind}",
            "ModelService/CreateModel",
            {"model_id": identifier, "model": made},
        ),
    )


def _wiring(
    page: Page,
    model: model_pb2.Model,
    values: dict[str, str],
    problem: Problem | None = None,
    status: int = 200,
) -> Response:
    named = values.get("provider_model", "")
    wired = named or EXAMPLE
    present = next((each for each in model.backends if each.provider_model == named), None)
    if present is not None and problem is None:
        values |= {
            "priority": str(present.priority),
            "weight": str(present.weight),
            "disabled": "1" if present.disabled else "",
        }
    return page.show(
        "models/wiring.html",
        status=status,
        model=model,
        present=present,
        values=Blank(values),
        problem=problem,
        suggestions=[] if present is not None else _suggested(page, values.get("q", ""), model),
        commands=commands(
            page.registry.address,
            f"model add-backend {page.path('model')} {views.short(wired)}",
            "ModelService/AddModelBackend",
            {
                "model": model.name,
                "backend": {"provider_model": wired},
            },
        ),
    )


def _delete(page: Page, problem: Problem | None = None, status: int = 200) -> Response:
    model = models.get(page)
    request = model_service_pb2.DeleteModelRequest(name=model.name, validate_only=True)
    impact = page.call(page.registry.models.DeleteModel, request).impact
    return page.show(
        "models/delete.html",
        status=status,
        model=model,
        impact=impact,
        problem=problem,
        commands=commands(
            page.registry.address,
            f"model delete {page.path('model')}",
            "ModelService/DeleteModel",
            {"name": model.name, "validate_only": True},
        ),
    )
