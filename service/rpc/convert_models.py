"""Messages of models, and of what they lose, to domain values and back; `convert` has the rest."""

from __future__ import annotations

from codevector.providers.v1 import model_pb2, provider_service_pb2

from service.domain import ids
from service.domain.impact import SHOWN_BACKENDS, SHOWN_NAMES, BackendImpact, DeletionImpact
from service.domain.model import ModelBackend, ModelKind, ModelView
from service.domain.retirements import Retirement
from service.rpc.convert import enum_number, mark_corrupt, member, populated
from service.usecases.models import ModelDraft
from service.usecases.retirements import RetirementPage


def model_draft(pb: model_pb2.Model) -> ModelDraft:
    """Return a model as sent, with which of its fields hold anything."""
    return ModelDraft(
        name=pb.name,
        display_name=pb.display_name,
        description=pb.description,
        kind=member(ModelKind, pb.kind, "model.kind") if pb.kind else None,
        backends=tuple(
            backend_from_pb(backend, field=f"model.backends[{index}]")
            for index, backend in enumerate(pb.backends)
        ),
        labels=dict(pb.labels),
        annotations=dict(pb.annotations),
        etag=pb.etag,
        populated=populated(pb),
    )


def model_to_pb(view: ModelView) -> model_pb2.Model:
    """Return a model as shown, its backends in the order in which they are tried."""
    model = view.model
    shown = model_pb2.Model(
        name=model.name,
        uid=str(model.uid),
        display_name=model.display_name,
        description=model.description,
        kind=enum_number(model.kind),
        state=enum_number(model.state),
        backends=[
            model_pb2.ModelBackend(
                provider_model=backend.provider_model,
                priority=backend.priority,
                weight=backend.weight,
                disabled=backend.disabled,
                routable=view.routable(backend),
            )
            for backend in model.backends
        ],
        routable=view.is_routable,
        labels=model.labels,
        annotations=model.annotations,
        create_time=model.create_time,
        update_time=model.update_time,
        revision=model.revision,
        etag=model.etag,
    )
    mark_corrupt(shown, model.unreadable)
    return shown


def backend_from_pb(pb: model_pb2.ModelBackend, *, field: str) -> ModelBackend:
    """Return a backend as sent; ``routable`` is ignored."""
    target = ids.parse_provider_model_name(pb.provider_model, field=f"{field}.provider_model")
    return ModelBackend(*target, priority=pb.priority, weight=pb.weight, disabled=pb.disabled)


def impact_to_pb(impact: DeletionImpact) -> provider_service_pb2.DeletionImpact:
    """Return what a deletion takes with it."""
    return provider_service_pb2.DeletionImpact(
        provider_models=impact.provider_models,
        provider_model_count=impact.provider_model_count,
        backends=[backend_impact_to_pb(backend) for backend in impact.backends],
        backend_count=impact.backend_count,
        models_left_unroutable=impact.models_left_unroutable,
        models_left_unroutable_count=impact.models_left_unroutable_count,
        credential_destroyed=impact.credential_destroyed,
        impact_token=impact.impact_token,
    )


def backend_impact_to_pb(backend: BackendImpact) -> provider_service_pb2.BackendImpact:
    """Return a backend that goes, and what its model keeps."""
    return provider_service_pb2.BackendImpact(
        model=backend.model,
        provider_model=backend.provider_model,
        remaining_routable_backends=backend.remaining_routable_backends,
    )


def retirements_to_pb(found: RetirementPage) -> provider_service_pb2.ListRetirementsResponse:
    """Return a page of retirements, and what all pages come to."""
    return provider_service_pb2.ListRetirementsResponse(
        retirements=[_retirement(each) for each in found.page.items],
        next_page_token=found.page.next_page_token,
        total_size=found.page.total_size,
        affected_model_count=found.affected_model_count,
        models_left_unroutable=found.models_left_unroutable[:SHOWN_BACKENDS],
        models_left_unroutable_count=len(found.models_left_unroutable),
        horizon_time=found.horizon,
    )


def _retirement(retirement: Retirement) -> provider_service_pb2.Retirement:
    view = retirement.view
    return provider_service_pb2.Retirement(
        provider_model=view.model.name,
        upstream_model_id=view.model.facts.upstream_model_id,
        display_name=view.model.facts.display_name,
        retire_time=retirement.retire_time,
        routable=view.routable,
        backends=[backend_impact_to_pb(each) for each in retirement.backends[:SHOWN_NAMES]],
        backend_count=len(retirement.backends),
        models_left_unroutable=retirement.models_left_unroutable[:SHOWN_NAMES],
        models_left_unroutable_count=len(retirement.models_left_unroutable),
    )
