"""``providerctl model``: list, show, change and delete models, and the backends that they lead to."""

from __future__ import annotations

from codevector.providers.v1 import model_pb2, provider_model_pb2
from codevector.providers.v1 import model_service_pb2 as pb

from cli.failures import ExitCode, Failure, UsageFailure
from cli.resources import deletion
from cli.resources.fields import assign, assignment, choice, set_labels
from cli.resources.lists import every, order_by
from cli.resources.names import model_name, provider_model_name, short
from cli.resources.views import (
    Field,
    View,
    pairs,
    show_list,
    show_one,
    show_written,
    state_cell,
    word,
    yes_or_no,
)
from cli.session import Session
from cli.terminal.output import Column, Section
from cli.times import shown

MODELS: View[model_pb2.Model] = View(
    model_pb2.Model,
    (
        Field("model", lambda each: short(each.name), whole=True),
        Field("kind", lambda each: word(each, "kind")),
        Field("state", state_cell),
        Field("routable", lambda each: yes_or_no(each.routable)),
        Field("backends", lambda each: _backends(each)),
        Field("display name", lambda each: each.display_name),
        Field("description", lambda each: each.description, wide=True),
        Field("labels", lambda each: pairs(each.labels), wide=True),
        Field("created", lambda each: shown(each.create_time), wide=True),
        Field("updated", lambda each: shown(each.update_time), wide=True),
        Field("revision", lambda each: str(each.revision), wide=True),
    ),
)


def list_(session: Session, *, filter_: str, sort: str, columns: str) -> None:
    """Print the models."""
    request = pb.ListModelsRequest(filter=filter_, order_by=order_by(sort))
    found = every(session, session.registry.models.ListModels, request, lambda page: page.models)
    show_list(session, MODELS, found, columns)


def get(session: Session, *, name: str) -> None:
    """Print one model with its backends."""
    model = _read(session, name)
    show_one(session, MODELS, model, _section(model))


def create(
    session: Session,
    *,
    name: str,
    kind: str,
    display_name: str,
    description: str,
    backend: list[str],
    label: list[str],
    dry_run: bool,
) -> None:
    """Create a model over the backends that are given."""
    identifier = short(name)
    model = model_pb2.Model(display_name=display_name or identifier, description=description)
    model.kind = choice(provider_model_pb2.ModelKind.DESCRIPTOR, kind, "--kind")  # type: ignore[assignment]
    model.backends.extend(_backend(text) for text in backend)
    set_labels(model.labels, label)
    request = pb.CreateModelRequest(model_id=identifier, model=model, validate_only=dry_run)
    made = session.registry.call(session.registry.models.CreateModel, request)
    show_written(session, MODELS, made, "created", _section(made), dry_run=dry_run)


def update(
    session: Session,
    *,
    name: str,
    display_name: str,
    description: str,
    backend: list[str],
    label: list[str],
    dry_run: bool,
) -> None:
    """Change the fields that are given, unless the model changes meanwhile."""
    model = _read(session, name)
    given = {"display_name": display_name, "description": description}
    masked = {field for field, text in given.items() if text}
    for field in masked:
        assign(model, field, given[field])
    if backend:
        del model.backends[:]
        model.backends.extend(_backend(text) for text in backend)
        masked.add("backends")
    if label:
        set_labels(model.labels, label)
        masked.add("labels")
    if not masked:
        raise UsageFailure(
            "there is nothing to change: give --display-name, --description, --backend or --label"
        )
    _update(session, model, masked, "updated", dry_run=dry_run)


def enable(session: Session, *, name: str, dry_run: bool) -> None:
    """Serve the model again."""
    request = pb.EnableModelRequest(name=model_name(name), validate_only=dry_run)
    changed = session.registry.call(session.registry.models.EnableModel, request)
    show_written(session, MODELS, changed, "enabled", dry_run=dry_run)


def disable(session: Session, *, name: str, dry_run: bool) -> None:
    """Stop serving the model."""
    request = pb.DisableModelRequest(name=model_name(name), validate_only=dry_run)
    changed = session.registry.call(session.registry.models.DisableModel, request)
    show_written(session, MODELS, changed, "disabled", dry_run=dry_run)


def add_backend(
    session: Session,
    *,
    name: str,
    provider_model: str,
    priority: int,
    weight: int | None,
    disabled: bool,
    dry_run: bool,
) -> None:
    """Add a backend to a model."""
    backend = model_pb2.ModelBackend(
        provider_model=provider_model_name(provider_model), priority=priority, disabled=disabled
    )
    if weight is not None:
        backend.weight = weight
    if dry_run:
        model = _read(session, name)
        model.backends.append(backend)
        _update(session, model, {"backends"}, "extended", dry_run=True)
        return
    request = pb.AddModelBackendRequest(model=model_name(name), backend=backend)
    changed = session.registry.call(session.registry.models.AddModelBackend, request)
    show_written(session, MODELS, changed, "extended", _section(changed), dry_run=False)


def remove_backend(session: Session, *, name: str, provider_model: str, dry_run: bool) -> None:
    """Take a backend from a model."""
    full = provider_model_name(provider_model)
    if dry_run:
        model = _read(session, name)
        kept = [each for each in model.backends if each.provider_model != full]
        if len(kept) == len(model.backends):
            raise Failure(f"{short(full)} is not a backend of {model.name}", code=ExitCode.NOT_FOUND)
        del model.backends[:]
        model.backends.extend(kept)
        _update(session, model, {"backends"}, "reduced", dry_run=True)
        return
    request = pb.RemoveModelBackendRequest(model=model_name(name), provider_model=full)
    changed = session.registry.call(session.registry.models.RemoveModelBackend, request)
    show_written(session, MODELS, changed, "reduced", _section(changed), dry_run=False)


def delete(session: Session, *, name: str, yes: bool, impact_token: str, dry_run: bool) -> None:
    """Delete the model; its provider models stay."""
    full = model_name(name)

    def call(preview: bool, token: str) -> pb.DeleteModelResponse:
        request = pb.DeleteModelRequest(name=full, validate_only=preview, impact_token=token)
        return session.registry.call(session.registry.models.DeleteModel, request)

    deletion.delete(session, [full], call, yes=yes, impact_token=impact_token, dry_run=dry_run)


def _read(session: Session, name: str) -> model_pb2.Model:
    return session.registry.call(session.registry.models.GetModel, pb.GetModelRequest(name=model_name(name)))


def _update(session: Session, model: model_pb2.Model, masked: set[str], act: str, *, dry_run: bool) -> None:
    request = pb.UpdateModelRequest(model=model, validate_only=dry_run)
    request.update_mask.paths.extend(sorted(masked))
    changed = session.registry.call(session.registry.models.UpdateModel, request)
    show_written(session, MODELS, changed, act, _section(changed), dry_run=dry_run)


def _backend(text: str) -> model_pb2.ModelBackend:
    """Return the backend of ``openai-prod/gpt-4o`` or ``openai-prod/gpt-4o,priority=1,weight=20``."""
    name, *settings = text.split(",")
    backend = model_pb2.ModelBackend(provider_model=provider_model_name(name))
    for setting in settings:
        assign(backend, *assignment(setting, "--backend"))
    return backend


def _backends(model: model_pb2.Model) -> str:
    routable = sum(each.routable for each in model.backends)
    return f"{routable}/{len(model.backends)}"


def _section(model: model_pb2.Model) -> Section:
    return Section(
        "",
        (Column("backend", whole=True), "priority", "weight", "enabled", "routable"),
        [
            (
                short(each.provider_model),
                each.priority,
                each.weight,
                "no" if each.disabled else "yes",
                yes_or_no(each.routable),
            )
            for each in model.backends
        ],
    )
