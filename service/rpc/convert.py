"""Messages to domain values and back, side by side, for the API of providers and their models.

Incoming values have passed the rules written in the protos; what is checked here is only what a rule there
cannot say. ``field`` parameters are proto paths for error details.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, TypeVar

from codevector.providers.v1 import model_pb2, provider_model_pb2, provider_pb2, provider_service_pb2
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from service.domain import kind_rules
from service.domain.credentials import parse_material
from service.domain.errors import invalid_field
from service.domain.history import RevisionToken, parse_token
from service.domain.imports import Action, ExistingPolicy, ImportChoices, PlannedModel
from service.domain.model import (
    PRICES,
    CredentialType,
    CredentialView,
    ModelCapability,
    ModelFacts,
    ModelKind,
    Prices,
    Pricing,
    PricingTier,
    ProviderConfig,
    ProviderKind,
    ProviderModelView,
    ProviderView,
    price_field,
    prices_of,
)
from service.domain.routing import provider_routable, unroutable_reason
from service.domain.upstreams import DiscoveredModel, Discovery, ProviderValidation
from service.usecases.context import ListQuery
from service.usecases.imports import ImportReport
from service.usecases.provider_models import ProviderModelDraft
from service.usecases.providers import ProviderDraft
from service.usecases.sealed_writes import CredentialChange

E = TypeVar("E", bound=IntEnum)

_NOT_CONTENT = frozenset({"name", "etag"})
_FIELDS_OF_TABLES = {"credentials": "credential", "data_keys": "credential", "backends": "backends"}
_FIELDS_OF_COLUMNS = {
    "display_name_key": "display_name",
    "headers": "config",
    "imported": "overridden_fields",
}
"""The fields of columns that have another name."""


def enum_number(member: IntEnum | None) -> Any:
    """Return an enum value as messages take it: the generated types accept only their own enums."""
    return 0 if member is None else member.value


def member(enum: type[E], number: int, field: str) -> E:
    """Return the enum's member of this number.

    Raises:
        InvalidArgument: this service has no such value, e.g. because the caller is newer.
    """
    try:
        return enum(number)
    except ValueError:
        known = ", ".join(one.name for one in enum)
        raise invalid_field(field, f"must be one of {known}", rule="enum.known") from None


def list_query(request: Message) -> ListQuery:
    """Return the paging fields that the list request has."""
    fields = request.DESCRIPTOR.fields_by_name
    names = ("page_size", "page_token", "filter", "order_by")
    return ListQuery(**{name: getattr(request, name) for name in names if name in fields})


def provider_draft(pb: provider_pb2.Provider) -> ProviderDraft:
    """Return a provider as sent, with which of its fields hold anything."""
    config, config_kind = provider_config_from_pb(pb.config)
    return ProviderDraft(
        name=pb.name,
        display_name=pb.display_name,
        kind=member(ProviderKind, pb.kind, "provider.kind") if pb.kind else None,
        config=config,
        config_kind=config_kind,
        labels=dict(pb.labels),
        annotations=dict(pb.annotations),
        etag=pb.etag,
        populated=populated(pb),
    )


def provider_to_pb(view: ProviderView) -> provider_pb2.Provider:
    """Return a provider as shown. Has no field that could hold a secret."""
    provider = view.provider
    shown = provider_pb2.Provider(
        name=provider.name,
        uid=str(provider.uid),
        display_name=provider.display_name,
        kind=enum_number(provider.kind),
        state=enum_number(provider.state),
        config=provider_config_to_pb(provider.kind, provider.config),
        credential=credential_to_pb(provider.credential),
        details=kind_rules.details(provider.kind, provider.config),
        active_model_count=view.active_model_count,
        model_count=view.model_count,
        routable=provider_routable(provider),
        unroutable_reason=enum_number(unroutable_reason(provider)),
        labels=provider.labels,
        annotations=provider.annotations,
        create_time=provider.create_time,
        update_time=provider.update_time,
        revision=provider.revision,
        etag=provider.etag,
    )
    mark_corrupt(shown, provider.unreadable)
    return shown


def mark_corrupt(
    shown: provider_pb2.Provider | provider_model_pb2.ProviderModel | model_pb2.Model,
    unreadable: Collection[str],
) -> None:
    """Name the fields of the columns that cannot be read, and show nothing in them."""
    fields = {_field(*column.split(".")) for column in unreadable}
    for field in fields - {"state"}:
        shown.ClearField(field)
    if fields & {"kind", "config"} and isinstance(shown, provider_pb2.Provider):
        shown.ClearField("details")
    shown.corrupt_fields.extend(sorted(fields))


def _field(table: str, column: str) -> str:
    """Return the field that a column is shown in."""
    return _FIELDS_OF_TABLES.get(table) or _FIELDS_OF_COLUMNS.get(column, column)


def provider_config_from_pb(pb: provider_pb2.ProviderConfig) -> tuple[ProviderConfig, ProviderKind | None]:
    """Return the settings and the kind whose member is set; (no settings, None) where none is."""
    name = pb.WhichOneof("kind")
    if name is None:
        return ProviderConfig(), None
    message: Message = getattr(pb, name)
    values = {field.name: value for field, value in message.ListFields()}
    headers = dict(values.pop("headers", {}))
    kind = member(ProviderKind, pb.DESCRIPTOR.fields_by_name[name].number, f"provider.config.{name}")
    return ProviderConfig(values, headers), kind


def provider_config_to_pb(kind: ProviderKind, config: ProviderConfig) -> provider_pb2.ProviderConfig | None:
    """Return the typed settings; None where the kind's defaults hold throughout."""
    if not config.values and not config.headers:
        return None
    pb = provider_pb2.ProviderConfig()
    message = getattr(pb, kind.word)
    for name, value in config.values.items():
        setattr(message, name, value)
    if config.headers:
        message.headers.update(config.headers)
    return pb


def credential_to_pb(credential: CredentialView | None) -> provider_pb2.Credential | None:
    """Return what is shown of a stored credential."""
    if credential is None:
        return None
    return provider_pb2.Credential(
        type=enum_number(credential.type),
        prefix=credential.prefix,
        version=credential.version,
        update_time=credential.update_time,
        expire_time=credential.expire_time,
    )


def credential_change(pb: provider_pb2.CredentialInput, *, field: str = "credential") -> CredentialChange:
    """Return the credential as sent. Its content is never printed: see ``Secret``."""
    member = pb.WhichOneof("material")
    if member is None:
        raise invalid_field(field, "must set one of its members", rule="required")
    values = {name.name: value for name, value in getattr(pb, member).ListFields()}
    material = parse_material(CredentialType[member.upper()], values, field=f"{field}.{member}")
    expire_time = _datetime(pb.expire_time, f"{field}.expire_time") if pb.HasField("expire_time") else None
    return CredentialChange(material, expire_time)


def validation_target(
    pb: provider_service_pb2.ValidateProviderRequest | provider_service_pb2.DiscoverProviderModelsRequest,
) -> str | ProviderDraft:
    """Return the provider's name, or one that is not saved."""
    return pb.name if pb.WhichOneof("target") == "name" else provider_draft(pb.provider)


def candidate_credential(
    pb: provider_service_pb2.ValidateProviderRequest | provider_service_pb2.DiscoverProviderModelsRequest,
) -> CredentialChange | None:
    """Return the credential to call with, or None."""
    if not pb.HasField("candidate_credential"):
        return None
    return credential_change(pb.candidate_credential, field="candidate_credential")


def validation_to_pb(validation: ProviderValidation) -> provider_pb2.ProviderValidation:
    """Return what a test came to."""
    return provider_pb2.ProviderValidation(
        outcome=enum_number(validation.outcome),
        message=validation.message,
        http_status_code=validation.http_status_code,
        latency_ms=validation.latency_ms,
        validate_time=validation.validate_time,
        reason=validation.reason,
    )


def discovery_to_pb(discovery: Discovery) -> provider_service_pb2.DiscoverProviderModelsResponse:
    """Return what an upstream offers, beside what is known of it."""
    offer = discovery.offer
    return provider_service_pb2.DiscoverProviderModelsResponse(
        validation=validation_to_pb(offer.validation),
        models=[_discovered_model(model) for model in discovery.models],
        complete=offer.complete,
        skipped_count=offer.skipped_count,
        catalog_version=discovery.catalog_version,
        not_offered_provider_models=discovery.not_offered,
    )


def _discovered_model(model: DiscoveredModel) -> provider_service_pb2.DiscoveredModel:
    offered = model.offered
    return provider_service_pb2.DiscoveredModel(
        upstream_model_id=offered.upstream_model_id,
        display_name=offered.display_name,
        kind=enum_number(offered.kind),
        context_window=offered.context_window,
        max_output_tokens=offered.max_output_tokens,
        retire_time=offered.retire_time,
        deprecated=offered.deprecated,
        indirect=offered.indirect,
        in_catalog=model.in_catalog,
        provider_model=model.provider_model,
    )


def provider_model_draft(pb: provider_model_pb2.ProviderModel) -> ProviderModelDraft:
    """Return a provider model as sent, with which of its fields hold anything."""
    field = "provider_model"
    return ProviderModelDraft(
        name=pb.name,
        facts=ModelFacts(
            upstream_model_id=pb.upstream_model_id,
            display_name=pb.display_name,
            kind=member(ModelKind, pb.kind or ModelKind.CHAT, f"{field}.kind"),
            context_window=pb.context_window,
            max_output_tokens=pb.max_output_tokens,
            embedding_dimensions=pb.embedding_dimensions,
            pricing=pricing_from_pb(pb.pricing) if pb.HasField("pricing") else None,
            capabilities=tuple(
                sorted(member(ModelCapability, value, f"{field}.capabilities") for value in pb.capabilities)
            ),
            retire_time=_datetime(pb.retire_time, f"{field}.retire_time")
            if pb.HasField("retire_time")
            else None,
        ),
        kind_sent=bool(pb.kind),
        labels=dict(pb.labels),
        etag=pb.etag,
        populated=populated(pb),
    )


def provider_model_to_pb(view: ProviderModelView) -> provider_model_pb2.ProviderModel:
    """Return a provider model as shown."""
    model, facts = view.model, view.model.facts
    shown = provider_model_pb2.ProviderModel(
        name=model.name,
        uid=str(model.uid),
        upstream_model_id=facts.upstream_model_id,
        display_name=facts.display_name,
        kind=enum_number(facts.kind),
        state=enum_number(model.state),
        context_window=facts.context_window,
        max_output_tokens=facts.max_output_tokens,
        embedding_dimensions=facts.embedding_dimensions,
        pricing=pricing_to_pb(facts.pricing),
        capabilities=[enum_number(capability) for capability in facts.capabilities],
        source=enum_number(model.source),
        catalog_version=model.catalog_version,
        overridden_fields=model.overridden_fields,
        routable=view.routable,
        retire_time=facts.retire_time,
        needs_review=facts.needs_review,
        labels=model.labels,
        create_time=model.create_time,
        update_time=model.update_time,
        revision=model.revision,
        etag=model.etag,
    )
    mark_corrupt(shown, model.unreadable)
    return shown


def pricing_from_pb(pb: provider_model_pb2.Pricing) -> Pricing:
    """Prices as sent: decimal strings, None where absent."""
    return Pricing(
        currency_code=pb.currency_code,
        **_prices_from_pb(pb),
        tiers=tuple(
            PricingTier(above_input_tokens=tier.above_input_tokens, **_prices_from_pb(tier))
            for tier in pb.tiers
        ),
    )


def pricing_to_pb(pricing: Pricing | None) -> provider_model_pb2.Pricing | None:
    """Prices as stored, to the last digit."""
    if pricing is None:
        return None
    return provider_model_pb2.Pricing(
        currency_code=pricing.currency_code,
        **_prices_to_pb(pricing),
        tiers=[
            provider_model_pb2.PricingTier(above_input_tokens=tier.above_input_tokens, **_prices_to_pb(tier))
            for tier in pricing.tiers
        ],
    )


def _prices_from_pb(pb: provider_model_pb2.Pricing | provider_model_pb2.PricingTier) -> dict[str, str | None]:
    sent = {name: price_field(name) for name in PRICES}
    return {name: getattr(pb, field) if pb.HasField(field) else None for name, field in sent.items()}


def _prices_to_pb(prices: Prices) -> dict[str, str | None]:
    return {price_field(name): price for name, price in prices_of(prices).items()}


def import_choices(pb: provider_service_pb2.ImportProviderModelsRequest) -> ImportChoices:
    """Return what an import is asked to do; no policy means to skip."""
    return ImportChoices(
        upstream_model_ids=tuple(pb.upstream_model_ids),
        existing_policy=ExistingPolicy(pb.existing_policy or ExistingPolicy.SKIP),
        start_disabled=pb.start_disabled,
        adopt_custom=pb.adopt_custom,
        existing_only=pb.existing_only,
    )


def import_report_to_pb(report: ImportReport) -> provider_service_pb2.ImportProviderModelsResponse:
    """Return what an import did with each model, and the counts."""
    plan = report.plan
    return provider_service_pb2.ImportProviderModelsResponse(
        catalog_version=report.catalog_version,
        results=[_import_result(report.provider_name, planned) for planned in plan.models],
        created_count=plan.count(Action.CREATED),
        skipped_count=plan.count(Action.SKIPPED_EXISTING),
        refreshed_count=plan.count(Action.REFRESHED),
        unchanged_count=plan.count(Action.UNCHANGED),
        gone_count=plan.count(Action.GONE),
        kept_custom_count=plan.count(Action.KEPT_CUSTOM),
        adopted_count=plan.count(Action.ADOPTED),
        plan_digest=plan.digest,
    )


def _import_result(provider_name: str, planned: PlannedModel) -> provider_service_pb2.ImportResult:
    return provider_service_pb2.ImportResult(
        upstream_model_id=planned.upstream_model_id,
        provider_model=f"{provider_name}/models/{planned.model_id}",
        action=enum_number(planned.action),
        changed_fields=planned.changed,
        changes=[
            provider_service_pb2.FieldChange(field=change.field, old_value=change.old, new_value=change.new)
            for change in planned.changes
        ],
        kept_fields=[
            provider_service_pb2.KeptField(
                field=kept.field,
                value=kept.value,
                imported_value=kept.imported,
                catalog_value=kept.catalog,
            )
            for kept in planned.kept
        ],
    )


def populated(pb: Message) -> frozenset[str]:
    return frozenset(field.name for field, _ in pb.ListFields()) - _NOT_CONTENT


def _datetime(pb: Timestamp, field: str) -> datetime:
    try:
        return pb.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise invalid_field(field, "must lie between the years 1 and 9999", rule="timestamp") from None


def parsed_token(text: str, *, field: str) -> RevisionToken | None:
    """Return a revision token; None where none was sent.

    Raises:
        InvalidArgument: it is not one.
    """
    if not text:
        return None
    token = parse_token(text)
    if token is None:
        raise invalid_field(
            field, "must be a token as the registry returned it, whole and unchanged", rule=f"{field}.valid"
        )
    return token
