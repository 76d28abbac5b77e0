"""Importing a bundled catalog into a provider and refreshing what it has: one plan, one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace

from service.domain.calls import Call
from service.domain.catalog import Catalog
from service.domain.errors import (
    PROVIDER_TYPE,
    Aborted,
    Reason,
    ResourceRef,
    invalid_field,
)
from service.domain.imports import ExistingPolicy, ImportChoices, ImportPlan, PlannedModel, plan_import
from service.domain.model import ModelSource, Provider, ProviderModel, State
from service.store import ReadUnit, WriteUnit
from service.usecases import replays
from service.usecases.context import Context, Written
from service.usecases.preconditions import existing_provider, readable
from service.usecases.providers import NOT_YET


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was done to a provider, or would be: the plan, and the release that it follows."""

    provider_name: str
    catalog_version: str
    plan: ImportPlan


def import_provider_models(
    ctx: Context,
    call: Call,
    parent: str,
    choices: ImportChoices,
    *,
    catalog_version: str = "",
    plan_digest: str = "",
) -> Written[ImportReport]:
    """Create the catalog entries that the provider lacks, and skip or refresh those that it has.

    A replayed request_id does nothing: it answers with the entries that are there.

    Raises:
        FailedPrecondition: CATALOG_UNAVAILABLE (the kind has none), CATALOG_VERSION_UNAVAILABLE.
        InvalidArgument: ids that the catalog lacks, choices that do not go together.
        Aborted: PLAN_CHANGED, where ``plan_digest`` is not this plan's.
    """
    _check(choices)

    def planned(unit: ReadUnit, choices: ImportChoices, digest: str) -> tuple[Provider, Catalog, ImportPlan]:
        provider = readable(existing_provider(unit, parent, field="parent"))
        catalog = ctx.catalogs.find(provider.kind, catalog_version)
        stored = [readable(model) for model in unit.provider_models.of(provider.provider_id)]
        plan = plan_import(catalog, choices, provider=provider, stored=stored)
        _same_plan(provider, plan, digest)
        return provider, catalog, plan

    def preview(unit: ReadUnit) -> Written[ImportReport]:
        provider, catalog, plan = planned(unit, choices, plan_digest)
        return Written(ImportReport(provider.name, catalog.version, plan), unit.log.head().revision)

    def work(unit: WriteUnit) -> Written[ImportReport]:
        if replays.replayed(unit, call) is not None:
            provider, catalog, plan = planned(unit, _replayed(choices), "")
        else:
            provider, catalog, plan = planned(unit, choices, plan_digest)
            state = State.DISABLED if choices.start_disabled else State.ACTIVE
            unit.provider_models.insert(
                [_new_model(ctx, provider, catalog, new, state) for new in plan.created]
            )
            unit.provider_models.update_all(plan.updates)
            replays.remember(unit, call, provider.name)
        return Written.by(unit, ImportReport(provider.name, catalog.version, plan), unit.visible_revision)

    # A plan cannot be refused by the database, so that a preview need not hold up those who write.
    return ctx.store.read(preview) if call.validate_only else ctx.store.write(work, call)


def _check(choices: ImportChoices) -> None:
    refreshing = choices.existing_policy is ExistingPolicy.REFRESH
    if choices.adopt_custom and not (refreshing and choices.upstream_model_ids):
        raise invalid_field(
            "adopt_custom",
            "needs EXISTING_POLICY_REFRESH and the upstream_model_ids of the models to adopt",
            rule="adopt_custom.named",
        )
    if choices.existing_only and not refreshing:
        raise invalid_field("existing_only", "needs EXISTING_POLICY_REFRESH", rule="existing_only.refresh")


def _replayed(choices: ImportChoices) -> ImportChoices:
    """Choices that change nothing, about the same entries."""
    return replace(choices, existing_policy=ExistingPolicy.SKIP, adopt_custom=False, existing_only=True)


def _same_plan(provider: Provider, plan: ImportPlan, digest: str) -> None:
    """Hold an import to its preview. An empty digest asks for nothing."""
    if digest and digest != plan.digest:
        raise Aborted(
            f"importing into {provider.name} would now differ from the preview: preview it again",
            reason=Reason.PLAN_CHANGED,
            metadata={"name": provider.name, "current_plan_digest": plan.digest},
            resource=ResourceRef(PROVIDER_TYPE, provider.name),
        )


def _new_model(
    ctx: Context, provider: Provider, catalog: Catalog, planned: PlannedModel, state: State
) -> ProviderModel:
    assert planned.entry is not None  # noqa: S101 - what is created is an entry of the catalog
    return ProviderModel(
        provider_id=provider.provider_id,
        model_id=planned.model_id,
        uid=ctx.new_uuid(),
        facts=planned.entry,
        state=state,
        source=ModelSource.CATALOG,
        catalog_version=catalog.version,
        imported=planned.entry,
        create_time=NOT_YET,
        update_time=NOT_YET,
    )
