"""Providers, models and sealed credentials to test with: plausible, each part to be named when it matters."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from service.domain.backends import in_order
from service.domain.calls import Call
from service.domain.model import (
    CredentialType,
    CredentialView,
    Model,
    ModelBackend,
    ModelCapability,
    ModelFacts,
    ModelKind,
    ModelSource,
    Pricing,
    PricingTier,
    Provider,
    ProviderConfig,
    ProviderKind,
    ProviderModel,
    SealedCredential,
    State,
)
from upstreams.kinds import KINDS

A_CALL = Call("dev:tests", "Test")
DRY_RUN = Call("dev:tests", "Test", validate_only=True)
START = datetime(2026, 4, 15, 12, 0, 0, 123456, tzinfo=UTC)

_uuid_numbers = itertools.count(1)


def new_uuid() -> UUID:
    """A UUID that no other call has given."""
    return UUID(int=next(_uuid_numbers), version=4)


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **parts: float) -> None:
        """Move on, by the arguments of `timedelta`."""
        self.now += timedelta(**parts)


def a_provider(
    provider_id: str = "acme",
    *,
    display_name: str | None = None,
    kind: ProviderKind = ProviderKind.OPENAI_COMPATIBLE,
    state: State = State.ACTIVE,
    config: ProviderConfig | None = None,
    credential: CredentialView | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Provider:
    """A provider that routing takes without a credential, unless told otherwise."""
    return Provider(
        provider_id=provider_id,
        uid=new_uuid(),
        display_name=provider_id.title() if display_name is None else display_name,
        kind=kind,
        state=state,
        create_time=START,
        update_time=START,
        config=config or _config(kind, provider_id),
        credential=credential,
        labels=labels or {},
        annotations=annotations or {},
    )


def _config(kind: ProviderKind, provider_id: str) -> ProviderConfig:
    """Settings as the kind has them, a header among them where it may have one."""
    names = {field.name for field in KINDS[kind].config_fields}
    values = {"base_url": f"https://{provider_id}.example/v1"} if "base_url" in names else {}
    return ProviderConfig(values, {"x-team": "blue"} if "headers" in names else {})


def a_credential(
    version: int = 1, *, expire_time: datetime | None = None
) -> tuple[CredentialView, SealedCredential]:
    """A credential as shown and as sealed; its bytes are found nowhere else."""
    number = next(_uuid_numbers)
    view = CredentialView(
        type=CredentialType.API_KEY,
        prefix="sk-abcd",
        version=version,
        update_time=START,
        expire_time=expire_time,
    )
    sealed = SealedCredential(
        type=CredentialType.API_KEY,
        version=version,
        dek_id=new_uuid(),
        envelope=b"\x00\xffENVELOPE-%d-" % number + bytes(range(256)),
        wrapped_data_key=b"\x00\xffWRAPPED-%d-" % number + bytes(range(64)),
        key_version="keyVersions/local-0a1b2c3d-v1-0011223344556677",
        commitment=bytes(32),
        context=b"\x00\x00context",
        destinations=("api https://acme.example/v1", "token https://login.example"),
    )
    return view, sealed


FULL_PRICING = Pricing(
    currency_code="USD",
    input="2.50",
    output="10",
    cached_input="1.250000000001",
    cache_write=None,
    tiers=(PricingTier(above_input_tokens=200_000, input="5.00", output="20.00"),),
)


def a_provider_model(
    model_id: str = "fast-1",
    *,
    provider_id: str = "acme",
    upstream_model_id: str | None = None,
    display_name: str | None = None,
    state: State = State.ACTIVE,
    source: ModelSource = ModelSource.CUSTOM,
    labels: Mapping[str, str] | None = None,
    context_window: int = 128_000,
    pricing: Pricing | None = FULL_PRICING,
    kind: ModelKind = ModelKind.CHAT,
    retire_time: datetime | None = START + timedelta(days=365),
    capabilities: tuple[ModelCapability, ...] = (ModelCapability.STREAMING, ModelCapability.TOOLS),
    needs_review: bool = True,
) -> ProviderModel:
    """A provider model; one from the catalog when ``source`` says so, with its imported base."""
    facts = ModelFacts(
        upstream_model_id=f"vendor/{model_id}:0" if upstream_model_id is None else upstream_model_id,
        display_name=model_id.title() if display_name is None else display_name,
        kind=kind,
        context_window=context_window,
        max_output_tokens=16_384,
        embedding_dimensions=0,
        pricing=pricing,
        capabilities=capabilities,
        retire_time=retire_time,
        needs_review=needs_review,
    )
    from_catalog = source is ModelSource.CATALOG
    return ProviderModel(
        provider_id=provider_id,
        model_id=model_id,
        uid=new_uuid(),
        facts=facts,
        state=state,
        source=source,
        create_time=START,
        update_time=START,
        catalog_version="2026.04.15" if from_catalog else "",
        imported=replace(facts, display_name="As imported") if from_catalog else None,
        overridden_fields=("display_name",) if from_catalog else (),
        labels=labels or {},
    )


def a_model(
    model_id: str = "chat",
    *backends: ModelBackend | ProviderModel,
    display_name: str | None = None,
    kind: ModelKind = ModelKind.CHAT,
    state: State = State.ACTIVE,
    labels: Mapping[str, str] | None = None,
) -> Model:
    """A model over these backends, or provider models."""
    return Model(
        model_id=model_id,
        uid=new_uuid(),
        display_name=model_id.title() if display_name is None else display_name,
        kind=kind,
        state=state,
        create_time=START,
        update_time=START,
        description=f"What {model_id} is for.",
        backends=in_order(a_backend(each) for each in backends),
        labels=labels or {},
        annotations={"owner": "tests"},
    )


def a_backend(
    to: ModelBackend | ProviderModel, *, priority: int = 0, weight: int = 0, disabled: bool = False
) -> ModelBackend:
    """The wire to a provider model; a wire stays as it is."""
    if isinstance(to, ModelBackend):
        return to
    return ModelBackend(to.provider_id, to.model_id, priority, weight, disabled)
