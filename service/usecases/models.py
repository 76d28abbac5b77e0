"""Models as users of the gateway know them: create, read, change, delete, and wire."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from service.domain import backends, ids
from service.domain.calls import Call
from service.domain.errors import (
    MODEL_TYPE,
    PROVIDER_MODEL_TYPE,
    NotFound,
    Reason,
    ResourceRef,
    invalid_field,
)
from service.domain.impact import DeletionImpact, model_impact
from service.domain.labels import check_description, check_labels
from service.domain.masks import MODEL_MASK, fields_to_write
from service.domain.model import Model, ModelBackend, ModelKind, ModelView, State
from service.store import ReadUnit, WriteUnit
from service.usecases import replays
from service.usecases.context import Context, Written
from service.usecases.preconditions import (
    corrupt,
    existing_model,
    matching_etag,
    matching_impact,
    readable,
)
from service.usecases.providers import NOT_YET, NOTHING_DELETED


@dataclass(frozen=True, slots=True)
class ModelDraft:
    """A model as a caller sent it; ``kind`` is None where it was left unspecified.

    ``populated`` names the fields that hold anything, as an update without a mask needs to know.
    """

    name: str
    display_name: str
    description: str
    kind: ModelKind | None
    backends: tuple[ModelBackend, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    etag: str
    populated: frozenset[str]


def get_model(ctx: Context, name: str) -> ModelView:
    """Return one model. Raises NotFound."""
    model_id = ids.parse_model_name(name)
    view = ctx.store.read(lambda unit: unit.models.view(model_id))
    if view is None:
        raise NotFound(ResourceRef(MODEL_TYPE, name))
    return view


def create_model(
    ctx: Context,
    call: Call,
    model_id: str,
    draft: ModelDraft,
) -> Written[ModelView]:
    """Create an active model.

    Raises:
        AlreadyExists: the id is taken.
        NotFound: a backend leads to a provider model that does not exist.
        InvalidArgument: KIND_MISMATCH, or a provider model is wired twice.
    """
    fresh = _new_model(ctx, model_id, draft)

    def work(unit: WriteUnit) -> Written[ModelView]:
        again = replays.replayed(unit, call)
        if again is not None:
            return _written(unit, existing_model(unit, again))
        _check_wires(unit, fresh.kind, draft.backends, field="model.backends")
        stored = unit.models.insert(fresh)
        replays.remember(unit, call, stored.name)
        return _written(unit, stored)

    return ctx.store.write(work, call)


def update_model(
    ctx: Context,
    call: Call,
    draft: ModelDraft,
    *,
    paths: Collection[str] = (),
    allow_missing: bool = False,
) -> Written[ModelView]:
    """Write the masked fields; backends are replaced as a whole.

    Raises:
        Aborted: the etag is stale.
        NotFound, InvalidArgument: as `create_model`, of the backends written.
    """
    model_id = ids.parse_model_name(draft.name, field="model.name")
    written = fields_to_write(MODEL_MASK, paths, draft.populated)
    if allow_missing and ctx.store.read(lambda unit: unit.models.get(model_id)) is None:
        return create_model(ctx, call, model_id, draft)

    def change(unit: ReadUnit, before: Model) -> Model:
        after = _with_fields(before, draft, written)
        if "backends" in written:
            _check_wires(unit, before.kind, draft.backends, field="model.backends")
        return after

    return _change(ctx, call, draft.name, change, etag=draft.etag, field="model.name")


def set_model_state(
    ctx: Context, call: Call, name: str, state: State, *, etag: str = ""
) -> Written[ModelView]:
    """Enable or disable; repeating it changes nothing and succeeds."""
    return _change(ctx, call, name, lambda _, before: replace(before, state=state), etag=etag, field="name")


def delete_model(
    ctx: Context,
    call: Call,
    name: str,
    *,
    etag: str = "",
    allow_missing: bool = False,
    impact_token: str = "",
) -> Written[DeletionImpact]:
    """Delete a model and its backends; the provider models stay as they are.

    A dry run computes the same impact and deletes nothing.

    Raises:
        Aborted: the etag is stale, or the impact is no longer what ``impact_token`` was given for.
    """
    model_id = ids.parse_model_name(name)

    def work(unit: WriteUnit) -> Written[DeletionImpact]:
        view = unit.models.view(model_id)
        if view is None:
            if allow_missing:
                return Written.by(unit, NOTHING_DELETED, unit.visible_revision)
            raise NotFound(ResourceRef(MODEL_TYPE, name))
        matching_etag(view.model, etag)
        impact = model_impact(ctx.impact_key, view)
        matching_impact(view.model, impact, impact_token)
        unit.models.delete(view.model)
        return Written.by(unit, impact, unit.revision)

    return ctx.store.write(work, call)


def add_backend(
    ctx: Context, call: Call, name: str, backend: ModelBackend, *, etag: str = ""
) -> Written[ModelView]:
    """Wire a model to a provider model, or replace the wire there is. The same again changes nothing.

    Raises:
        NotFound: the model or the provider model.
        InvalidArgument: KIND_MISMATCH.
        FailedPrecondition: TOO_MANY_BACKENDS.
    """

    def change(unit: ReadUnit, before: Model) -> Model:
        _check_wires(unit, before.kind, [backend], field="backend")
        return replace(before, backends=backends.with_backend(before, backend))

    return _change(ctx, call, name, change, etag=etag, field="model")


def remove_backend(
    ctx: Context, call: Call, name: str, provider_model: str, *, etag: str = ""
) -> Written[ModelView]:
    """Take one wire out. Raises NotFound where there is none."""
    target = ids.parse_provider_model_name(provider_model, field="provider_model")

    def change(_: ReadUnit, before: Model) -> Model:
        kept = tuple(backend for backend in before.backends if backend.target != target)
        if len(kept) == len(before.backends):
            text = f"{name} has no backend to {provider_model}"
            raise NotFound(ResourceRef(PROVIDER_MODEL_TYPE, provider_model), text)
        return replace(before, backends=kept)

    return _change(ctx, call, name, change, etag=etag, field="model")


def _change(
    ctx: Context,
    call: Call,
    name: str,
    change: Callable[[ReadUnit, Model], Model],
    *,
    etag: str,
    field: str,
) -> Written[ModelView]:
    def work(unit: WriteUnit) -> Written[ModelView]:
        before = readable(existing_model(unit, name, field=field))
        matching_etag(before, etag)
        return _written(unit, unit.models.update(before, change(unit, before)))

    return ctx.store.write(work, call)


def _new_model(ctx: Context, model_id: str, draft: ModelDraft) -> Model:
    if draft.kind is None:
        raise invalid_field("model.kind", "is required", rule="required")
    fresh = Model(
        model_id=model_id,
        uid=ctx.new_uuid(),
        display_name="",
        kind=draft.kind,
        state=State.ACTIVE,
        create_time=NOT_YET,
        update_time=NOT_YET,
    )
    return _with_fields(fresh, draft, MODEL_MASK.mutable)


def _with_fields(before: Model, draft: ModelDraft, fields: frozenset[str]) -> Model:
    if "kind" in fields and draft.kind is not before.kind:
        raise invalid_field(
            "model.kind",
            "cannot be changed: create another model",
            rule="immutable",
            reason=Reason.FIELD_IMMUTABLE,
        )
    if "display_name" in fields:
        ids.check_display_name(draft.display_name, field="model.display_name")
    if "description" in fields:
        check_description(draft.description, field="model.description")
    if "labels" in fields:
        check_labels(draft.labels, field="model.labels")
    if "backends" in fields:
        backends.check_unique(draft.backends, field="model.backends")
    return replace(before, **{name: getattr(draft, name) for name in MODEL_MASK.mutable & fields})


def _check_wires(unit: ReadUnit, kind: ModelKind, wires: Sequence[ModelBackend], *, field: str) -> None:
    """Refuse wires to what does not exist or is of another kind."""
    kinds = unit.provider_models.kinds([wire.target for wire in wires])
    for index, wire in enumerate(wires):
        if wire.target in unit.unsound.provider_models:
            raise corrupt(unit.provider_models.among([wire.target])[wire.target])
        if wire.target not in kinds:
            raise NotFound(ResourceRef(PROVIDER_MODEL_TYPE, wire.provider_model))
        if kinds[wire.target] is not kind:
            path = field if field == "backend" else f"{field}[{index}]"
            raise invalid_field(
                f"{path}.provider_model",
                f"must lead to a provider model of the model's kind, {kind.name.lower()}",
                rule="backends.kind",
                reason=Reason.KIND_MISMATCH,
            )


def _written(unit: ReadUnit, model: Model) -> Written[ModelView]:
    view = unit.models.view(model.model_id)
    assert view is not None  # noqa: S101 - read in the same transaction
    return Written.by(unit, view, model.revision)
