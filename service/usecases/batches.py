"""Many provider models at once: one transaction, one revision, an outcome for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from service.domain import ids
from service.domain.calls import Call
from service.domain.errors import (
    PROVIDER_MODEL_TYPE,
    FailedPrecondition,
    NotFound,
    RegistryError,
    ResourceRef,
    invalid_field,
)
from service.domain.impact import DeletionImpact, provider_models_impact
from service.domain.model import ProviderModel, ProviderModelKey, State
from service.store import WriteUnit
from service.usecases.context import Context, Written
from service.usecases.preconditions import corrupt, has_backends, matching_impact


class Action(IntEnum):
    """What was done with one provider model; numbers are the API's."""

    UNCHANGED = 1
    ENABLED = 2
    DISABLED = 3
    DELETED = 4


@dataclass(frozen=True, slots=True)
class BatchReport:
    """``outcomes`` stand in the order asked for: what was done, or why nothing was."""

    outcomes: tuple[Action | RegistryError, ...]
    revision: int
    impact: DeletionImpact | None = None


def set_states(
    ctx: Context, call: Call, names: Sequence[str], state: State, *, parent: str = ""
) -> Written[BatchReport]:
    """Enable or disable. The outcome of one that does not exist is an error; the others change all the same.

    Raises:
        InvalidArgument: a name does not belong to ``parent``.
    """
    targets = _targets(names, parent)
    done = Action.ENABLED if state is State.ACTIVE else Action.DISABLED

    def work(unit: WriteUnit) -> Written[BatchReport]:
        found = unit.provider_models.among(targets)
        changed = {target for target, model in found.items() if model.state not in (state, State.CORRUPT)}
        unit.provider_models.update_all(
            [(found[target], replace(found[target], state=state)) for target in sorted(changed)]
        )

        def outcome(target: ProviderModelKey, name: str) -> Action | RegistryError:
            if target not in found:
                return _missing(name)
            if found[target].state is State.CORRUPT:
                return corrupt(found[target])
            return done if target in changed else Action.UNCHANGED

        return _written(unit, [outcome(*each) for each in zip(targets, names, strict=True)])

    return ctx.store.write(work, call)


def delete_provider_models(
    ctx: Context,
    call: Call,
    names: Sequence[str],
    *,
    parent: str = "",
    force: bool = False,
    impact_token: str = "",
) -> Written[BatchReport]:
    """Delete provider models with the backends to them.

    Without ``force`` those that models are wired to are refused, each by itself. A dry run computes
    the impact of all of them and deletes nothing, whatever ``force`` says.

    Raises:
        InvalidArgument: a name does not belong to ``parent``.
        Aborted: the impact is no longer what ``impact_token`` was given for.
        FailedPrecondition: MODEL_HAS_BACKENDS, with an ``impact_token`` and without ``force``: the token
            is for all of it or nothing.
    """
    targets = _targets(names, parent)

    def work(unit: WriteUnit) -> Written[BatchReport]:
        found = unit.provider_models.among(targets)
        wired = unit.models.wired_to(found.keys())
        impact = provider_models_impact(ctx.impact_key, list(found.values()), wired)
        matching_impact(None, impact, impact_token)
        kept: dict[ProviderModelKey, FailedPrecondition] = {}
        if not force and not call.validate_only:
            holders: defaultdict[ProviderModelKey, list[str]] = defaultdict(list)
            for view in wired:
                for backend in view.model.backends:
                    holders[backend.target].append(view.model.name)
            kept = {
                target: has_backends(found[target].name, holders[target])
                for target in holders.keys() & found.keys()
            }
            if kept and impact_token:
                raise kept[min(kept)]
        gone: list[ProviderModel] = [model for target, model in found.items() if target not in kept]
        # With some kept, nothing is wired to what goes.
        unit.provider_models.delete(gone, wired=[] if kept else wired)
        if kept:
            impact = provider_models_impact(ctx.impact_key, gone, [])

        def outcome(target: ProviderModelKey, name: str) -> Action | RegistryError:
            if target not in found:
                return _missing(name)
            return kept.get(target, Action.DELETED)

        outcomes = [outcome(*each) for each in zip(targets, names, strict=True)]
        return _written(unit, outcomes, impact)

    return ctx.store.write(work, call)


def _targets(names: Sequence[str], parent: str) -> list[ProviderModelKey]:
    provider_id = ids.parse_provider_parent(parent) if parent else None
    targets = [
        ids.parse_provider_model_name(name, field=f"names[{index}]") for index, name in enumerate(names)
    ]
    for index, target in enumerate(targets):
        if provider_id not in (None, target[0]):
            raise invalid_field(
                f"names[{index}]", "must belong to the provider in parent", rule="names.parent"
            )
    return targets


def _missing(name: str) -> NotFound:
    return NotFound(ResourceRef(PROVIDER_MODEL_TYPE, name))


def _written(
    unit: WriteUnit, outcomes: Sequence[Action | RegistryError], impact: DeletionImpact | None = None
) -> Written[BatchReport]:
    revision = unit.visible_revision
    return Written.by(unit, BatchReport(tuple(outcomes), revision, impact), revision)
