"""One model of a provider: seen, added by hand, edited, enabled and disabled."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from codevector.providers.v1 import (
    model_service_pb2,
    provider_model_pb2,
    provider_service_pb2,
)
from google.protobuf.field_mask_pb2 import FieldMask
from starlette.responses import Response

from console import views
from console.forms import models as forms
from console.forms.merging import WAS, Conflict, changed, merge
from console.forms.refusals import Problem, problem_of
from console.pages import providers
from console.pages.deleting import model_name
from console.pages.page import HTTP_STATUS, Blank, Notice, Page, Undo, address, view
from console.pages.shell import commands
from console.registry import CallRefused, is_away


@view
def detail(page: Page) -> Response:
    """Show all that is known of the model, and which models it answers."""
    model = _get(page)
    request = model_service_pb2.ListModelsRequest(
        page_size=100, filter=f"backends.provider_model:{model.name}"
    )
    used_by = page.call(page.registry.models.ListModels, request)
    return page.show(
        "models/provider_model.html",
        model=model,
        provider=page.path("id"),
        used_by=used_by.models,
        total=used_by.total_size,
        abilities=forms.values_of(model)["capabilities"],
        commands=commands(
            page.registry.address,
            f"provider-model get {views.short(model.name)}",
            "ProviderService/GetProviderModel",
            {"name": model.name},
        ),
    )


@view
def actions(page: Page) -> Response:
    """Show what can be done with the model: the menu of its row, and a page of its own without scripts."""
    return page.show("models/actions.html", model=_get(page), provider=page.path("id"))


@view
def new(page: Page) -> Response:
    """Show the empty form of a custom model."""
    return _form(page, None, {"currency": "USD", "kind": "chat"})


@view
def create(page: Page) -> Response:
    """Add a custom model."""
    model, errors = forms.model_of(page.form, page.form.getlist("capability"))
    if errors:
        return _form(page, None, page.form, Problem("Some fields need another value.", errors), status=422)
    model.upstream_model_id = page.form.get("upstream_model_id", "").strip()
    model.kind = forms.kind_of(page.form.get("kind", ""))
    request = provider_service_pb2.CreateProviderModelRequest(
        parent=providers.name_of(page.path("id")),
        provider_model=model,
        request_id=page.form.get("request_id", ""),
    )
    try:
        made = page.call(page.registry.providers.CreateProviderModel, request)
    except CallRefused as refused:
        return _refused(page, None, page.form, refused)
    back = address("providers", page.path("id"))
    return page.go(back, Notice(f"{made.upstream_model_id} is added.", revision=made.revision))


@view
def edit(page: Page) -> Response:
    """Show the form of a model with what it has now."""
    model = _get(page)
    values = forms.values_of(model)
    return _form(page, model, values | {WAS + name: value for name, value in values.items()})


@view
def save(page: Page) -> Response:
    """Save what was changed; what another editor changed meanwhile is shown beside what was typed."""
    values: dict[str, str] = dict(page.form)
    values["capabilities"] = ", ".join(sorted(page.form.getlist("capability")))
    now = _get(page)
    names = changed(values, forms.LABELS)
    back = address("providers", page.path("id"))
    if not names:
        return page.go(back, Notice("Nothing was changed."))
    model, errors = forms.model_of(values, page.form.getlist("capability"), tiers=now.pricing)
    if errors:
        return _form(page, now, values, Problem("Some fields need another value.", errors), status=422)
    model.name, model.etag = now.name, page.form.get("etag", "")
    request = provider_service_pb2.UpdateProviderModelRequest(
        provider_model=model, update_mask=FieldMask(paths=forms.paths_of(names))
    )
    try:
        saved = page.call(page.registry.providers.UpdateProviderModel, request)
    except CallRefused as refused:
        return _refused(page, now, values, refused)
    return page.go(back, Notice(f"{saved.upstream_model_id} is saved.", revision=saved.revision))


@view
def enable(page: Page) -> Response:
    """Let routers use the model."""
    request = provider_service_pb2.EnableProviderModelRequest(name=model_name(page))
    model = page.call(page.registry.providers.EnableProviderModel, request)
    back = address("providers", page.path("id"))
    return page.go(back, Notice(f"{model.upstream_model_id} is active again.", revision=model.revision))


@view
def disable(page: Page) -> Response:
    """Hide the model from routers, with a way to take that back."""
    request = provider_service_pb2.DisableProviderModelRequest(name=model_name(page))
    model = page.call(page.registry.providers.DisableProviderModel, request)
    back = address("providers", page.path("id"))
    undo = Undo(address("providers", page.path("id"), "models", page.path("model"), "enable"), {})
    text = f"{model.upstream_model_id} is disabled: excluded from routing since revision {model.revision}."
    return page.go(back, Notice(text, undo, model.revision))


def _get(page: Page) -> provider_model_pb2.ProviderModel:
    request = provider_service_pb2.GetProviderModelRequest(name=model_name(page))
    return page.call(page.registry.providers.GetProviderModel, request)


def _refused(
    page: Page,
    model: provider_model_pb2.ProviderModel | None,
    values: Mapping[str, str],
    refused: CallRefused,
) -> Response:
    refusal, status = refused.refusal, HTTP_STATUS.get(refused.status, 500)
    if model is not None and refusal.status == "ABORTED":
        model = _get(page)
        merged, conflicts = merge(values, forms.values_of(model), forms.LABELS)
        problem = Problem("Somebody else changed this model while you edited it.", {}, refusal.request_id)
        return _form(page, model, merged | {"etag": model.etag}, problem, conflicts, status=status)
    inputs = {*forms.LABELS, "upstream_model_id", "kind"}
    problem = problem_of(refusal, inputs, forms.input_of)
    retry = page.form.get("request_id", "") if is_away(refusal) else ""
    return _form(page, model, values, problem, request_id=retry, status=status)


def _form(
    page: Page,
    model: provider_model_pb2.ProviderModel | None,
    values: Mapping[str, str],
    problem: Problem | None = None,
    conflicts: Sequence[Conflict] = (),
    *,
    request_id: str = "",
    status: int = 200,
) -> Response:
    parent = providers.name_of(page.path("id"))
    name, kind = shlex.quote(values.get("name", "")), values.get("kind") or "chat"
    shown = {
        "upstream_model_id": values.get("upstream_model_id", "") or "my-model",
        "kind": forms.MODEL_KINDS.get(values.get("kind", ""), "MODEL_KIND_CHAT"),
    }
    typed_id = shlex.quote(shown["upstream_model_id"])
    acts = (
        commands(
            page.registry.address,
            f"provider-model update {views.short(model.name)} --display-name {name}",
            "ProviderService/UpdateProviderModel",
            {
                "provider_model": {"name": model.name, "display_name": values.get("name", "")},
                "update_mask": {"paths": ["display_name"]},
            },
        )
        if model is not None
        else commands(
            page.registry.address,
            f"provider-model create {page.path('id')} {typed_id} --kind {kind}",
            "ProviderService/CreateProviderModel",
            {"parent": parent, "provider_model": shown},
        )
    )
    typed = values.get("capabilities", "")
    chosen = page.form.getlist("capability") if page.form and not conflicts else typed.split(", ")
    return page.show(
        "models/provider_model_form.html",
        status=status,
        model=model,
        provider=page.path("id"),
        values=Blank(values),
        was={name: values.get(WAS + name, "") for name in forms.LABELS} if model is not None else {},
        chosen=chosen,
        capabilities=forms.capabilities(),
        errors=Blank(problem.errors if problem else {}),
        problem=problem,
        conflicts=conflicts,
        request_id=request_id or page.new_request_id(),
        commands=acts,
    )
