"""Changing a provider's name and settings, also while somebody else does."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from codevector.providers.v1 import catalog_pb2, provider_pb2, provider_service_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from starlette.responses import Response

from console import views
from console.forms.kinds import config_of, credential_of, kind_form, settings_of
from console.forms.merging import WAS, Conflict, changed, merge
from console.forms.refusals import Problem, problem_of
from console.pages import providers
from console.pages.page import HTTP_STATUS, Blank, Notice, Page, address, view
from console.pages.shell import commands
from console.registry import CallRefused

REENTRY = "CREDENTIAL_REENTRY_REQUIRED"


@view
def form(page: Page) -> Response:
    """Show what the provider has now."""
    provider = providers.get(page, page.path("id"))
    info = info_of(page, provider)
    values = settings_of(info, provider)
    return _form(page, provider, info, values | _was(values))


@view
def save(page: Page) -> Response:
    """Save what was changed; what another editor changed meanwhile is shown beside what was typed."""
    name = providers.name_of(page.path("id"))
    kind = page.form.get("kind", "")
    info = next((each for each in page.kinds if views.slug(each.kind) == kind), None)
    if info is None:
        return page.go(address("providers", page.path("id"), "edit"))
    labels = _labels(info)
    paths = {"display_name" if each == "name" else "config" for each in changed(page.form, labels)}
    config, trimmed = config_of(info, page.form)
    credential, trimmed_too = credential_of(info, page.form)
    if not paths:
        return page.go(address("providers", page.path("id")), Notice("Nothing was changed."))
    request = provider_service_pb2.UpdateProviderRequest(
        provider=provider_pb2.Provider(
            name=name,
            display_name=page.form.get("name", "").strip(),
            config=config,
            etag=page.form.get("etag", ""),
        ),
        update_mask=FieldMask(paths=sorted(paths)),
        # Only a change of where it is sent takes a credential; an ambient one is not typed.
        credential=credential if page.form.get("reentry") else None,
    )
    try:
        saved = page.call(page.registry.providers.UpdateProvider, request)
    except CallRefused as refused:
        return _again(page, info, refused)
    text = f"{saved.display_name} is saved." + views.trimmed_sentence((*trimmed, *trimmed_too))
    return page.go(address("providers", page.path("id")), Notice(text, revision=saved.revision))


def info_of(page: Page, provider: provider_pb2.Provider) -> catalog_pb2.ProviderKindInfo:
    """Return what the registry says of a provider's kind."""
    return next(
        (info for info in page.kinds if info.kind == provider.kind),
        catalog_pb2.ProviderKindInfo(kind=provider.kind),
    )


def _again(page: Page, info: catalog_pb2.ProviderKindInfo, refused: CallRefused) -> Response:
    """Show the form with what was typed, what is wrong with it, and what changed meanwhile."""
    refusal, values, conflicts = refused.refusal, dict(page.form), list[Conflict]()
    problem = problem_of(refusal, _labels(info))
    reentry = refusal.reason == REENTRY or bool(page.form.get("reentry"))
    if refusal.status == "ABORTED":
        provider = providers.get(page, page.path("id"))
        values, conflicts = merge(page.form, settings_of(info, provider), _labels(info))
        values["etag"] = provider.etag
        problem = Problem("Somebody else changed this provider while you edited it.", {}, refusal.request_id)
    elif refusal.reason == REENTRY:
        problem = Problem(
            "The stored credential is bound to the address. Enter it again to move it to the new one.",
            {},
            refusal.request_id,
        )
    shown = provider_pb2.Provider(
        name=providers.name_of(page.path("id")),
        display_name=values.get(f"{WAS}name", ""),
        etag=values.get("etag", ""),
        kind=info.kind,
    )
    return _form(
        page,
        shown,
        info,
        values,
        problem=problem,
        conflicts=conflicts,
        reentry=reentry,
        status=HTTP_STATUS.get(refusal.status, 500),
    )


def _form(
    page: Page,
    provider: provider_pb2.Provider,
    info: catalog_pb2.ProviderKindInfo,
    values: Mapping[str, str],
    *,
    problem: Problem | None = None,
    conflicts: Sequence[Conflict] = (),
    reentry: bool = False,
    status: int = 200,
) -> Response:
    errors = problem.errors if problem else {}
    name = shlex.quote(values.get("name", ""))
    return page.show(
        "providers/edit.html",
        status=status,
        provider=provider,
        kind=info,
        form=kind_form(info, values, errors),
        values=Blank(values),
        was={name: values.get(WAS + name, "") for name in _labels(info)},
        errors=Blank(errors),
        problem=problem,
        conflicts=conflicts,
        reentry=reentry,
        commands=commands(
            page.registry.address,
            f"provider update {views.last_part(provider.name)} --display-name {name}",
            "ProviderService/UpdateProvider",
            {
                "provider": {"name": provider.name, "display_name": values.get("name", "")},
                "update_mask": {"paths": ["display_name"]},
            },
        ),
    )


def _labels(info: catalog_pb2.ProviderKindInfo) -> dict[str, str]:
    return {"name": "Name"} | {f"config.{field.field}": field.label for field in info.config_fields}


def _was(values: Mapping[str, str]) -> dict[str, str]:
    return {WAS + name: value for name, value in values.items()}
