"""Provider models: custom ones, edits of imported ones, and what routing offers of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from service.domain import ids, prices
from service.domain.calls import Call
from service.domain.errors import PROVIDER_MODEL_TYPE, NotFound, Reason, ResourceRef, invalid_field
from service.domain.impact import DeletionImpact, provider_models_impact
from service.domain.labels import check_labels
from service.domain.masks import PROVIDER_MODEL_MASK, fields_to_write
from service.domain.merge import FACT_FIELDS, overridden_fields
from service.domain.model import (
    ModelFacts,
    ModelSource,
    Provider,
    ProviderModel,
    ProviderModelView,
    State,
)
from service.domain.routing import provider_model_routable
from service.store import ReadUnit, WriteUnit
from service.usecases import replays
from service.usecases.context import Context, Written
from service.usecases.preconditions import (
    existing_provider,
    existing_provider_model,
    has_backends,
    matching_etag,
    matching_impact,
    readable,
)
from service.usecases.providers import NOT_YET, NOTHING_DELETED


@dataclass(frozen=True, slots=True)
class ProviderModelDraft:
    """A provider model as a caller sent it; ``kind_sent`` is False where the kind was left unspecified.

    ``populated`` names the fields that hold anything, as an update without a mask needs to know.
    """

    name: str
    facts: ModelFacts
    kind_sent: bool
    labels: Mapping[str, str]
    etag: str
    populated: frozenset[str]


def get_provider_model(ctx: Context, name: str) -> ProviderModelView:
    """Return one provider model. Raises NotFound."""
    return ctx.store.read(lambda unit: _view(*existing_provider_model(unit, name)))


def create_provider_model(
    ctx: Context,
    call: Call,
    parent: str,
    draft: ProviderModelDraft,
    *,
    model_id: str = "",
) -> Written[ProviderModelView]:
    """Add a custom model.

    Raises:
        AlreadyExists: NAME_TAKEN, or UPSTREAM_MODEL_EXISTS where the provider has that upstream id.
    """
    facts = _checked(draft.facts)
    check_labels(draft.labels, field="provider_model.labels")

    def work(unit: WriteUnit) -> Written[ProviderModelView]:
        again = replays.replayed(unit, call)
        if again is not None:
            return _written(unit, *existing_provider_model(unit, again))
        provider = readable(existing_provider(unit, parent, field="parent"))
        derived = model_id or ids.derive_model_id(
            facts.upstream_model_id,
            lambda taken: unit.provider_models.get(provider.provider_id, taken) is not None,
        )
        [stored] = unit.provider_models.insert(
            [
                ProviderModel(
                    provider_id=provider.provider_id,
                    model_id=derived,
                    uid=ctx.new_uuid(),
                    facts=facts,
                    state=State.ACTIVE,
                    source=ModelSource.CUSTOM,
                    labels=draft.labels,
                    create_time=NOT_YET,
                    update_time=NOT_YET,
                )
            ]
        )
        replays.remember(unit, call, stored.name)
        return _written(unit, provider, stored)

    return ctx.store.write(work, call)


def update_provider_model(
    ctx: Context,
    call: Call,
    draft: ProviderModelDraft,
    *,
    paths: Collection[str] = (),
    allow_missing: bool = False,
) -> Written[ProviderModelView]:
    """Write the masked fields; edited facts of an imported model are remembered as overridden.

    Editing the price of a model that needed review settles the review: the price is no longer the catalog's.
    """
    provider_id, model_id = ids.parse_provider_model_name(draft.name, field="provider_model.name")
    written = fields_to_write(PROVIDER_MODEL_MASK, paths, draft.populated)
    if allow_missing and ctx.store.read(lambda unit: unit.provider_models.get(provider_id, model_id)) is None:
        return create_provider_model(
            ctx,
            call,
            ids.provider_name(provider_id),
            _complete(draft),
            model_id=model_id,
        )

    def change(provider: Provider, before: ProviderModel) -> ProviderModel:
        matching_etag(before, draft.etag)
        facts = _checked(_with_facts(before.facts, draft, written))
        if "labels" in written:
            check_labels(draft.labels, field="provider_model.labels")
        return replace(
            before,
            facts=facts,
            overridden_fields=_overridden(before, facts),
            labels=draft.labels if "labels" in written else before.labels,
        )

    return _change(ctx, call, draft.name, change, field="provider_model.name")


def set_provider_model_state(
    ctx: Context,
    call: Call,
    name: str,
    state: State,
    *,
    etag: str = "",
) -> Written[ProviderModelView]:
    """Enable or disable; repeating it changes nothing and succeeds."""

    def change(provider: Provider, before: ProviderModel) -> ProviderModel:
        matching_etag(before, etag)
        return replace(before, state=state)

    return _change(ctx, call, name, change, field="name")


def delete_provider_model(
    ctx: Context,
    call: Call,
    name: str,
    *,
    etag: str = "",
    force: bool = False,
    allow_missing: bool = False,
    impact_token: str = "",
) -> Written[DeletionImpact]:
    """Delete one provider model, and the backends that lead to it, in one revision.

    A dry run computes the same impact and deletes nothing, whatever ``force`` says.

    Raises:
        FailedPrecondition: MODEL_HAS_BACKENDS without ``force``.
        Aborted: the etag is stale, or the impact is no longer what ``impact_token`` was given for.
    """
    provider_id, model_id = ids.parse_provider_model_name(name)

    def work(unit: WriteUnit) -> Written[DeletionImpact]:
        model = unit.provider_models.get(provider_id, model_id)
        if model is None:
            if allow_missing:
                return Written.by(unit, NOTHING_DELETED, unit.visible_revision)
            raise NotFound(ResourceRef(PROVIDER_MODEL_TYPE, name))
        matching_etag(model, etag)
        wired = unit.models.wired_to([(provider_id, model_id)])
        impact = provider_models_impact(ctx.impact_key, [model], wired)
        matching_impact(model, impact, impact_token)
        if wired and not force and not call.validate_only:
            raise has_backends(name, [view.model.name for view in wired])
        unit.provider_models.delete([model], wired=wired)
        return Written.by(unit, impact, unit.revision)

    return ctx.store.write(work, call)


def _change(
    ctx: Context,
    call: Call,
    name: str,
    change: Callable[[Provider, ProviderModel], ProviderModel],
    *,
    field: str,
) -> Written[ProviderModelView]:
    def work(unit: WriteUnit) -> Written[ProviderModelView]:
        provider, before = existing_provider_model(unit, name, field=field)
        readable(before)
        return _written(unit, provider, unit.provider_models.update(before, change(provider, before)))

    return ctx.store.write(work, call)


def _checked(facts: ModelFacts) -> ModelFacts:
    if facts.display_name:
        ids.check_display_name(facts.display_name, field="provider_model.display_name")
    if facts.pricing is not None:
        prices.check_pricing(facts.pricing, field="provider_model.pricing")
    return facts


def _complete(draft: ProviderModelDraft) -> ProviderModelDraft:
    """Check that an update that creates carries what a create must."""
    for field, sent in (
        ("upstream_model_id", bool(draft.facts.upstream_model_id)),
        ("kind", draft.kind_sent),
    ):
        if not sent:
            raise invalid_field(f"provider_model.{field}", "is required to create it", rule="required")
    return draft


def _with_facts(before: ModelFacts, draft: ProviderModelDraft, written: frozenset[str]) -> ModelFacts:
    for field, changed in (
        ("upstream_model_id", draft.facts.upstream_model_id != before.upstream_model_id),
        ("kind", not draft.kind_sent or draft.facts.kind is not before.kind),
    ):
        if field in written and changed:
            raise invalid_field(
                f"provider_model.{field}",
                "cannot be changed: add another provider model",
                rule="immutable",
                reason=Reason.FIELD_IMMUTABLE,
            )
    after = replace(
        before, **{name: getattr(draft.facts, name) for name in written.intersection(FACT_FIELDS)}
    )
    return replace(after, needs_review=before.needs_review and after.pricing == before.pricing)


def _overridden(model: ProviderModel, facts: ModelFacts) -> tuple[str, ...]:
    return () if model.imported is None else overridden_fields(facts, model.imported)


def _view(provider: Provider, model: ProviderModel) -> ProviderModelView:
    return ProviderModelView(model, provider_model_routable(provider, model))


def _written(unit: ReadUnit, provider: Provider, model: ProviderModel) -> Written[ProviderModelView]:
    return Written.by(unit, _view(provider, model), model.revision)
