"""The plan of a catalog import: what happens to each entry, and to each model that a refresh concerns.

A pure function, so that preview and import are the same. Nothing is ever deleted, disabled or enabled.

|                                | skip    | refresh                                             |
|--------------------------------|---------|-----------------------------------------------------|
| the provider lacks the entry   | created | created, or left out where only existing are wanted |
| it has it, imported            | skipped | refreshed or unchanged, by `merge`                  |
| it has it, custom              | skipped | stays custom, or adopted if requested               |
| it has it, of another kind     | skipped | skipped; the result names both kinds                |
| imported, not in this catalog  | -       | gone: reported, unchanged (if all entries wanted)   |
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from service.domain.catalog import Catalog
from service.domain.errors import FieldViolation, InvalidArgument
from service.domain.ids import derive_model_id
from service.domain.json_forms import canonical_json
from service.domain.merge import FieldChange, KeptField, Merge, adopt, kind_difference, merge
from service.domain.model import ModelFacts, ModelSource, Provider, ProviderModel

SHOWN_VIOLATIONS = 20


class ExistingPolicy(IntEnum):
    """What to do with models that the provider already has. Numbers equal those of the API."""

    SKIP = 1
    REFRESH = 2


class Action(IntEnum):
    """What happens to one model. Numbers equal those of the API."""

    CREATED = 1
    SKIPPED_EXISTING = 2
    REFRESHED = 3
    UNCHANGED = 4
    GONE = 5
    KEPT_CUSTOM = 6
    ADOPTED = 7


@dataclass(frozen=True, slots=True)
class ImportChoices:
    """What an import shall do. An empty ``upstream_model_ids`` means all that the catalog has.

    ``adopt_custom`` turns custom models that the catalog has into imported ones; ``existing_only`` creates
    nothing. Both need REFRESH.
    """

    upstream_model_ids: tuple[str, ...] = ()
    existing_policy: ExistingPolicy = ExistingPolicy.SKIP
    start_disabled: bool = False
    adopt_custom: bool = False
    existing_only: bool = False


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """What happens to one model, under ``model_id``.

    ``entry`` is the catalog's, None when gone; ``before`` the provider's, None when created. ``changed``,
    ``changes`` and ``kept`` are those of the merge.
    """

    action: Action
    upstream_model_id: str
    model_id: str
    entry: ModelFacts | None
    before: ProviderModel | None = None
    after: ProviderModel | None = None
    changed: tuple[str, ...] = ()
    changes: tuple[FieldChange, ...] = ()
    kept: tuple[KeptField, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The whole plan: entries in the requested order or the catalog's, then what is gone, by upstream ID.

    ``digest`` (64 hex digits) is the same for two plans only if they do the same to the same models.
    """

    models: tuple[PlannedModel, ...]
    digest: str

    @property
    def created(self) -> tuple[PlannedModel, ...]:
        """Return the models to create."""
        return tuple(planned for planned in self.models if planned.action is Action.CREATED)

    @property
    def updates(self) -> list[tuple[ProviderModel, ProviderModel]]:
        """Return the stored models that change, before and after, even if only their release changes."""
        return [
            (planned.before, planned.after)
            for planned in self.models
            if planned.before is not None and planned.after is not None
        ]

    def count(self, action: Action) -> int:
        """Return how many models it happens to."""
        return sum(planned.action is action for planned in self.models)


def selected(catalog: Catalog, upstream_model_ids: Sequence[str]) -> tuple[ModelFacts, ...]:
    """Return the requested entries in the requested order, or all of them by ID.

    Raises:
        InvalidArgument: ids that this catalog lacks, each with its position (the first 20).
    """
    if not upstream_model_ids:
        return catalog.models
    by_id = {facts.upstream_model_id: facts for facts in catalog.models}
    missing = [index for index, wanted in enumerate(upstream_model_ids) if wanted not in by_id]
    if missing:
        text = f"is not in {catalog.name} of {catalog.version}"
        raise InvalidArgument(
            f"{len(missing)} of {len(upstream_model_ids)} upstream_model_ids are not in {catalog.name} "
            f"of {catalog.version}: see GetCatalog for those it has",
            violations=[
                FieldViolation(f"upstream_model_ids[{index}]", text, "upstream_model_ids.known")
                for index in missing[:SHOWN_VIOLATIONS]
            ],
            metadata={
                "catalog": catalog.name,
                "catalog_version": catalog.version,
                "missing": str(len(missing)),
            },
        )
    return tuple(by_id[wanted] for wanted in upstream_model_ids)


def plan_import(
    catalog: Catalog, choices: ImportChoices, *, provider: Provider, stored: Iterable[ProviderModel]
) -> ImportPlan:
    """Return the plan for a provider; ``stored`` are all models that it has.

    Raises:
        InvalidArgument: see ``selected``.
    """
    entries = selected(catalog, choices.upstream_model_ids)
    existing = {model.facts.upstream_model_id: model for model in stored}
    taken = {model.model_id for model in existing.values()}
    models: list[PlannedModel] = []
    for entry in entries:
        before = existing.get(entry.upstream_model_id)
        if before is not None:
            models.append(_existing(catalog, choices, entry, before))
        elif not choices.existing_only:
            model_id = derive_model_id(entry.upstream_model_id, taken.__contains__)
            taken.add(model_id)
            models.append(PlannedModel(Action.CREATED, entry.upstream_model_id, model_id, entry))
    if choices.existing_policy is ExistingPolicy.REFRESH and not choices.upstream_model_ids:
        models += _gone(catalog, existing)
    return ImportPlan(tuple(models), _digest(catalog, choices, provider, models))


def _existing(
    catalog: Catalog, choices: ImportChoices, entry: ModelFacts, before: ProviderModel
) -> PlannedModel:
    planned = PlannedModel(Action.SKIPPED_EXISTING, entry.upstream_model_id, before.model_id, entry, before)
    if choices.existing_policy is ExistingPolicy.SKIP:
        return planned
    custom = before.source is ModelSource.CUSTOM
    if custom and not choices.adopt_custom:
        return replace(planned, action=Action.KEPT_CUSTOM)
    if before.facts.kind is not entry.kind:
        return replace(planned, kept=(kind_difference(before.facts, entry),))
    if before.imported is None:
        return _merged(planned, catalog, Action.ADOPTED, adopt(before.facts, entry))
    merged = merge(before.facts, before.imported, entry)
    action = Action.REFRESHED if merged.changed else Action.UNCHANGED
    return _merged(planned, catalog, action, merged)


def _merged(planned: PlannedModel, catalog: Catalog, action: Action, merged: Merge) -> PlannedModel:
    before = planned.before
    assert before is not None  # noqa: S101 - only what exists is merged
    after = replace(
        before,
        facts=merged.facts,
        source=ModelSource.CATALOG,
        catalog_version=catalog.version,
        imported=planned.entry,
        overridden_fields=merged.overridden,
    )
    return replace(
        planned,
        action=action,
        after=None if after == before else after,
        changed=merged.changed,
        changes=merged.changes,
        kept=merged.kept,
    )


def _gone(catalog: Catalog, existing: Mapping[str, ProviderModel]) -> list[PlannedModel]:
    known = {facts.upstream_model_id for facts in catalog.models}
    return [
        PlannedModel(Action.GONE, upstream_model_id, existing[upstream_model_id].model_id, None, model)
        for upstream_model_id, model in sorted(existing.items())
        if model.source is ModelSource.CATALOG and upstream_model_id not in known
    ]


def _digest(
    catalog: Catalog, choices: ImportChoices, provider: Provider, models: Iterable[PlannedModel]
) -> str:
    """Return the SHA-256 over what the plan does and to what; what it leaves alone may change meanwhile."""
    digested = {
        "provider": str(provider.uid),
        "catalog": [catalog.name, catalog.version, catalog.digest],
        "start_disabled": choices.start_disabled,
        "models": [
            [
                planned.action,
                planned.upstream_model_id,
                planned.model_id,
                "" if planned.before is None else str(planned.before.uid),
                "" if planned.before is None else planned.before.catalog_version,
                [(change.field, change.old, change.new) for change in planned.changes],
                [(kept.field, kept.value, kept.imported, kept.catalog) for kept in planned.kept],
            ]
            for planned in models
        ],
    }
    return hashlib.sha256(canonical_json(digested)).hexdigest()
