"""Testing a connection and discovery, with a credential in hand. Nothing is written, nothing is kept.

May see: one candidate credential, for the length of one call. Must never: log any of it, or put any of it
into an answer or an error. A stored credential cannot be read here: it is tested where it may be opened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from service.domain.calls import Call
from service.domain.credentials import CredentialMaterial
from service.domain.errors import (
    PROVIDER_TYPE,
    FailedPrecondition,
    PreconditionViolation,
    Reason,
    ResourceRef,
    invalid_field,
)
from service.domain.kind_rules import check_credential_type
from service.domain.model import (
    CredentialType,
    CredentialView,
    Provider,
    ProviderConfig,
    ProviderKind,
    ProviderModel,
)
from service.domain.routing import credential_required
from service.domain.upstreams import DiscoveredModel, Discovery, Outcome, ProviderValidation
from service.store import ReadUnit
from service.usecases import replays
from service.usecases.context import Context
from service.usecases.preconditions import existing_provider, mendable, readable
from service.usecases.providers import ProviderDraft, checked_config, matching_version
from service.usecases.sealed_writes import CredentialChange
from service.usecases.upstream_calls import UpstreamCalls
from upstreams.kinds import KINDS

TEST_SECONDS = 15.0
LISTING_SECONDS = 60.0
ANSWER_SECONDS = 0.5
"""What is left of a deadline to answer in: a slow upstream is an outcome, not a call that failed."""
_LEAST_SECONDS = 0.1
_AMBIENT = CredentialMaterial(CredentialType.AMBIENT, ())

Target = str | ProviderDraft
"""The name of a provider, or one that is not saved, of which kind and settings are read."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom to ask, as whom; ``registered`` are the models that the provider has.

    ``provider`` is the one whose credential is about to be set.
    """

    kind: ProviderKind
    config: ProviderConfig
    material: CredentialMaterial | None = field(repr=False)
    registered: tuple[ProviderModel, ...] = ()
    provider: Provider | None = None

    @property
    def host(self) -> str:
        """The host, and port if it is not the usual one, of the provider's API."""
        return urlsplit(KINDS[self.kind].origins(self.config.values).api).netloc


def validate_provider(calls: UpstreamCalls, call: Call, subject: Subject) -> ProviderValidation:
    """Test a candidate credential, or a provider that needs none."""
    return calls.test(
        subject.kind, subject.config, subject.material, seconds=_seconds_for(call, TEST_SECONDS)
    )


def discover_provider_models(ctx: Context, calls: UpstreamCalls, call: Call, subject: Subject) -> Discovery:
    """Return what the upstream offers, beside the newest catalog and what is registered."""
    offer = calls.list_models(
        subject.kind, subject.config, subject.material, seconds=_seconds_for(call, LISTING_SECONDS)
    )
    catalog = ctx.catalogs.newest(subject.kind)
    in_catalog = {facts.upstream_model_id for facts in catalog.models} if catalog else set()
    registered = {model.facts.upstream_model_id: model.name for model in subject.registered}
    offered = {model.upstream_model_id for model in offer.models}
    return Discovery(
        offer,
        tuple(
            DiscoveredModel(
                model,
                model.upstream_model_id in in_catalog,
                registered.get(model.upstream_model_id, ""),
            )
            for model in offer.models
        ),
        catalog.version if catalog else "",
        tuple(sorted(name for upstream_id, name in registered.items() if upstream_id not in offered))
        if offer.complete
        else (),
    )


def credential_subject(
    ctx: Context, call: Call, name: str, credential: CredentialChange, *, expected_version: int = 0
) -> Subject | None:
    """Return whom to ask about a credential that is about to be set; None where the request was done before.

    Raises:
        NotFound, InvalidArgument, Aborted: what setting it would be refused with anyway.
    """

    def read(unit: ReadUnit) -> Provider | None:
        if replays.replayed(unit, call) is not None:
            return None
        provider = mendable(existing_provider(unit, name))
        matching_version(provider, expected_version)
        return provider

    provider = ctx.store.read(read)
    if provider is None:
        return None
    material = credential.material
    check_credential_type(provider.kind, material.type, field=f"credential.{material.type.word}")
    return Subject(provider.kind, provider.config, material, provider=provider)


def try_credential(calls: UpstreamCalls, call: Call, subject: Subject) -> ProviderValidation:
    """Test a credential that is about to be set.

    Only a rejection stands in the way: an upstream that is away, or a key that may not list models, says
    nothing against the credential.

    Raises:
        FailedPrecondition: CREDENTIAL_REJECTED.
    """
    validation = validate_provider(calls, call, subject)
    if subject.provider is not None and validation.outcome is Outcome.CREDENTIAL_REJECTED:
        raise _rejected(subject.provider, validation)
    return validation


def subject_of(ctx: Context, target: Target, candidate: CredentialChange | None) -> Subject:
    """Return whom to ask about a provider, as whom.

    Raises:
        NotFound: no such provider.
        InvalidArgument: settings or type of credential that the kind does not take.
        FailedPrecondition: STORED_CREDENTIAL_UNREADABLE, where there is no candidate and one is needed.
    """
    if isinstance(target, str):

        def read(unit: ReadUnit) -> tuple[Provider, tuple[ProviderModel, ...]]:
            provider = readable(existing_provider(unit, target))
            return provider, tuple(unit.provider_models.of(provider.provider_id))

        provider, registered = ctx.store.read(read)
        material = _material(provider.kind, candidate, provider.credential, subject=provider.name)
        return Subject(provider.kind, provider.config, material, registered)
    if target.kind is None:
        raise invalid_field("provider.kind", "is required", rule="required")
    config = checked_config(ctx, target.kind, target)
    return Subject(target.kind, config, _material(target.kind, candidate, None, subject="provider"))


def _material(
    kind: ProviderKind, candidate: CredentialChange | None, stored: CredentialView | None, *, subject: str
) -> CredentialMaterial | None:
    if candidate is not None:
        material = candidate.material
        check_credential_type(kind, material.type, field=f"candidate_credential.{material.type.word}")
        return material
    if stored is not None and stored.type is CredentialType.AMBIENT:
        return _AMBIENT
    if stored is not None or credential_required(kind):
        raise _unreadable(subject)
    return None


def _seconds_for(call: Call, at_most: float) -> float:
    return min(at_most, max(_LEAST_SECONDS, call.seconds_left() - ANSWER_SECONDS))


def _unreadable(subject: str) -> FailedPrecondition:
    text = (
        "the registry cannot read a stored credential: send a candidate, or test the stored one with "
        "`providerctl provider test`, where a router's identity may open it"
    )
    return FailedPrecondition(
        f"{subject}: {text}",
        reason=Reason.STORED_CREDENTIAL_UNREADABLE,
        violations=[PreconditionViolation("CREDENTIAL", subject, text)],
        metadata={"name": subject},
    )


def _rejected(provider: Provider, validation: ProviderValidation) -> FailedPrecondition:
    text = f"nothing was stored. {validation.message}"
    return FailedPrecondition(
        f"{provider.name}: {text}",
        reason=Reason.CREDENTIAL_REJECTED,
        violations=[PreconditionViolation("CREDENTIAL", provider.name, text)],
        metadata={
            "name": provider.name,
            "http_status": str(validation.http_status_code),
            "validation_reason": validation.reason,
        },
        resource=ResourceRef(PROVIDER_TYPE, provider.name),
    )
