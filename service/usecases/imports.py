"""Importing a bundled catalog into a provider: one click, one transaction, existing entries skipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.catalog import Catalog
from service.domain.errors import FailedPrecondition, PreconditionViolation, Reason
from service.domain.ids import provider_model_name
from service.domain.imports import PlannedModel, plan_import, selected
from service.domain.model import ModelSource, Provider, ProviderKind, ProviderModel, State
from service.store import ReadUnit, WriteUnit
from service.usecases import replays
from service.usecases.checks import existing_provider
from service.usecases.context import Call, Context, RequestId, Written
from service.usecases.providers import NOT_YET


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """What became of one catalog entry; ``name`` is the provider model that has it now."""

    upstream_model_id: str
    name: str
    created: bool


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Every entry asked for, in order, with what was done."""

    catalog_version: str
    models: tuple[ImportedModel, ...]


def import_provider_models(
    ctx: Context,
    call: Call,
    parent: str,
    *,
    upstream_model_ids: Sequence[str] = (),
    catalog_version: str = "",
    start_disabled: bool = False,
    validate_only: bool = False,
    request: RequestId | None = None,
) -> Written[ImportReport]:
    """Create the catalog entries that the provider does not have. Existing ones stay exactly as they are.

    A replayed request_id creates nothing: it answers with the entries that are there.

    Raises:
        FailedPrecondition: CATALOG_UNAVAILABLE (the kind has none), CATALOG_VERSION_UNAVAILABLE.
        InvalidArgument: ids that the catalog lacks.
    """
    if validate_only:
        request = None
    state = State.DISABLED if start_disabled else State.ACTIVE

    def work(unit: WriteUnit) -> Written[ImportReport]:
        again = replays.replayed(unit, call, request) is not None
        provider = existing_provider(unit, parent, field="parent")
        catalog = find_catalog(ctx, provider.kind, catalog_version)
        plan = _plan(unit, provider, catalog, upstream_model_ids)
        if again:
            plan = tuple(planned for planned in plan if not planned.created)
        unit.insert_models(
            [_model(ctx, provider, catalog, planned, state) for planned in plan if planned.created]
        )
        if not again:
            replays.remember(unit, call, request, provider.name)
        report = ImportReport(
            catalog.version,
            tuple(
                ImportedModel(
                    planned.facts.upstream_model_id,
                    provider_model_name(provider.provider_id, planned.model_id),
                    planned.created,
                )
                for planned in plan
            ),
        )
        return Written(report, unit.visible_revision)

    return ctx.store.write(work, validate_only=validate_only)


def find_catalog(ctx: Context, kind: ProviderKind, version: str) -> Catalog:
    """The catalog of a kind, the newest where no version is asked for.

    Raises:
        FailedPrecondition: CATALOG_UNAVAILABLE or CATALOG_VERSION_UNAVAILABLE.
    """
    catalog = ctx.catalogs.get(kind, version) if version else ctx.catalogs.newest(kind)
    if catalog is not None:
        return catalog
    available = ctx.catalogs.versions(kind)
    if not available:
        text = "this kind of provider has no bundled catalog: add custom models instead"
        raise FailedPrecondition(
            text,
            reason=Reason.CATALOG_UNAVAILABLE,
            violations=[PreconditionViolation("CATALOG", kind.name.lower(), text)],
            metadata={"kind": kind.name.lower()},
        )
    text = (
        f"catalog_version {version} is not among the releases bundled for this kind: {', '.join(available)}"
    )
    raise FailedPrecondition(
        text,
        reason=Reason.CATALOG_VERSION_UNAVAILABLE,
        violations=[PreconditionViolation("CATALOG_VERSION", version, text)],
        metadata={"catalog_version": version, "available": ",".join(available)},
    )


def _plan(
    unit: ReadUnit, provider: Provider, catalog: Catalog, upstream_model_ids: Sequence[str]
) -> tuple[PlannedModel, ...]:
    return plan_import(
        selected(catalog, upstream_model_ids),
        existing=unit.upstream_ids(provider.provider_id),
        taken_ids=unit.taken_model_ids(provider.provider_id),
    )


def _model(
    ctx: Context, provider: Provider, catalog: Catalog, planned: PlannedModel, state: State
) -> ProviderModel:
    return ProviderModel(
        provider_id=provider.provider_id,
        model_id=planned.model_id,
        uid=ctx.new_uuid(),
        facts=planned.facts,
        state=state,
        source=ModelSource.CATALOG,
        catalog_version=catalog.version,
        imported=planned.facts,
        create_time=NOT_YET,
        update_time=NOT_YET,
    )
