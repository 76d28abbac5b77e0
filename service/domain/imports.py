"""The plan of a catalog import: which entries become provider models and which are there already.

Pure, so that the preview and the import are one function; nothing existing is changed, disabled or deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from service.domain.catalog import Catalog
from service.domain.errors import FieldViolation, InvalidArgument
from service.domain.ids import derive_model_id
from service.domain.model import ModelFacts

SHOWN_VIOLATIONS = 20


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """One catalog entry: ``created`` as ``model_id``, or skipped since ``model_id`` has its upstream id."""

    facts: ModelFacts
    model_id: str
    created: bool


def selected(catalog: Catalog, upstream_model_ids: Sequence[str]) -> tuple[ModelFacts, ...]:
    """The asked-for entries in the order asked, or all of them by id.

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
    entries: Sequence[ModelFacts], *, existing: Mapping[str, str], taken_ids: Collection[str]
) -> tuple[PlannedModel, ...]:
    """What to do with each entry, in order.

    ``existing`` maps the provider's upstream ids to model ids; ``taken_ids`` are all its model ids.
    """
    taken = set(taken_ids)
    plan: list[PlannedModel] = []
    for facts in entries:
        model_id = existing.get(facts.upstream_model_id)
        created = model_id is None
        if model_id is None:
            model_id = derive_model_id(facts.upstream_model_id, taken.__contains__)
            taken.add(model_id)
        plan.append(PlannedModel(facts, model_id, created))
    return tuple(plan)
