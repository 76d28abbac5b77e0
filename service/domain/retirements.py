"""What models lose when upstreams retire provider models: the loss of a deletion, known in advance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.domain.impact import BackendImpact
from service.domain.model import ModelView, ProviderModelView


@dataclass(frozen=True, slots=True)
class Retirement:
    """The announced end of one provider model.

    ``backends`` are all wires to it, by model, each with how many routable backends its model then keeps:
    what retires at the same time or before is no longer counted. ``models_left_unroutable`` are the routable
    ones that lose their last with it.
    """

    view: ProviderModelView
    retire_time: datetime
    backends: tuple[BackendImpact, ...]
    models_left_unroutable: tuple[str, ...]


def retirements(views: Iterable[ProviderModelView], wired: Iterable[ModelView]) -> list[Retirement]:
    """The retirements of these provider models that have a date, soonest first, then by name.

    ``wired`` are all models with a wire to one of them. Provider models that are not among ``views`` count as
    staying.
    """
    dates = {
        (view.model.provider_id, view.model.model_id): view.model.facts.retire_time
        for view in views
        if view.model.facts.retire_time is not None
    }
    lost: defaultdict[tuple[str, str], list[tuple[BackendImpact, bool]]] = defaultdict(list)
    for model in sorted(wired, key=lambda view: view.model.name):
        for target, impact, last in _losses(model, dates):
            lost[target].append((impact, last))
    found = []
    for view in views:
        target = (view.model.provider_id, view.model.model_id)
        if target in dates:
            backends = tuple(impact for impact, _ in lost[target])
            unroutable = tuple(impact.model for impact, last in lost[target] if last)
            found.append(Retirement(view, dates[target], backends, unroutable))
    return sorted(found, key=lambda each: (each.retire_time, each.view.model.name))


def affected_models(found: Sequence[Retirement]) -> set[str]:
    """The models that lose a backend by any of these."""
    return {backend.model for each in found for backend in each.backends}


def models_left_unroutable(found: Sequence[Retirement]) -> list[str]:
    """The models that lose their last routable backend by any of these, by name."""
    return sorted({name for each in found for name in each.models_left_unroutable})


def _losses(
    view: ModelView, dates: dict[tuple[str, str], datetime]
) -> Iterable[tuple[tuple[str, str], BackendImpact, bool]]:
    """Each wire of a model that is lost, with what remains then, and whether it was the last routable one."""
    routable = view.routable_backends
    for backend in view.model.backends:
        moment = dates.get(backend.target)
        if moment is None:
            continue
        remaining = sum(dates.get(other.target) is None or dates[other.target] > moment for other in routable)
        last = view.is_routable and remaining == 0 and view.routable(backend)
        yield backend.target, BackendImpact(view.model.name, backend.provider_model, remaining), last
