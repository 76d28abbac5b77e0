"""Writing a credential: sealed outside any transaction, written only if what it was bound to still holds.

Sealing needs the KMS, which may take seconds, and a transaction blocks every other writer. So the binding
(uid, credential version, destinations, primary key version) is read first, the credential is sealed to it,
and the transaction compares the binding again before it stores anything. Three lost races end in ABORTED.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from service.domain.calls import Call
from service.domain.credentials import CredentialMaterial, shown_prefix
from service.domain.errors import Aborted, Reason
from service.domain.kind_rules import check_credential_type
from service.domain.model import (
    CredentialBinding,
    CredentialView,
    ProviderConfig,
    ProviderKind,
    SealedCredential,
)
from service.store import KmsRecord, ReadUnit, WriteUnit
from service.usecases.context import Context
from service.usecases.kms_state import refresh_kms_state
from upstreams.kinds import destinations

T = TypeVar("T")
TRIES = 3


@dataclass(frozen=True, slots=True)
class CredentialChange:
    """A credential in hand, as validated for its kind."""

    material: CredentialMaterial
    expire_time: datetime | None


@dataclass(frozen=True, slots=True)
class _Start:
    """What was read before sealing, all at one moment."""

    binding: CredentialBinding
    registry: KmsRecord


class BindingChanged(Exception):
    """Raised inside the transaction when the provider is no longer what the credential was sealed for."""


def binding_for(
    *, uid: UUID, kind: ProviderKind, config: ProviderConfig, version: int, change: CredentialChange
) -> CredentialBinding:
    """Return the binding of this credential at this provider.

    Raises:
        InvalidArgument: CREDENTIAL_TYPE_MISMATCH, where the kind does not take this type.
    """
    material_type = change.material.type
    check_credential_type(kind, material_type, field=f"credential.{material_type.word}")
    return CredentialBinding(uid, kind, version, destinations(kind, config.values, material_type))


def credential_view(binding: CredentialBinding, change: CredentialChange, now: datetime) -> CredentialView:
    """Return what the API shows of the credential."""
    return CredentialView(
        type=change.material.type,
        prefix=shown_prefix(binding.kind, change.material),
        version=binding.version,
        update_time=now,
        expire_time=change.expire_time,
    )


def write_sealed(
    ctx: Context,
    call: Call,
    change: CredentialChange,
    bind: Callable[[ReadUnit], CredentialBinding],
    work: Callable[[WriteUnit, CredentialBinding, SealedCredential], T],
    *,
    earlier: Callable[[ReadUnit], T | None],
) -> T:
    """Seal ``change`` to what ``bind`` reads, then run ``work`` if ``bind`` still reads the same inside it.

    ``earlier`` answers a request that was already done, before anything is sealed and again before it is
    written: of two that come at once, the second must not fail because of the first.
    A dry run runs the same transaction with an empty envelope, rolls it back, and never calls the
    KMS.

    Raises:
        Aborted: the provider kept changing while its credential was sealed.
        Unavailable: KMS_UNAVAILABLE; nothing was written.
    """
    if call.validate_only:

        def preview(unit: WriteUnit) -> T:
            binding = bind(unit)
            return work(unit, binding, _unsealed(ctx, binding, change))

        return ctx.store.write(preview, call)

    def begin(unit: ReadUnit) -> T | _Start:
        done = earlier(unit)
        return _Start(bind(unit), unit.kms.get()) if done is None else done

    def once(unit: WriteUnit, binding: CredentialBinding, sealed: SealedCredential) -> T:
        done = earlier(unit)
        if done is not None:
            return done
        if bind(unit) != binding or unit.kms.get().primary_key_version != sealed.key_version:
            raise BindingChanged
        return work(unit, binding, sealed)

    for _ in range(TRIES):
        start = ctx.store.read(begin)
        if not isinstance(start, _Start):
            return start
        binding, registry = start.binding, start.registry
        if registry.deployment_id is None or not registry.primary_key_version:
            registry = _refreshed(ctx, call)
        sealed = ctx.sealer.seal(
            binding,
            change.material,
            deployment_id=_deployment(registry),
            timeout_seconds=call.seconds_left(),
            request_id=call.request_id,
        )
        if sealed.key_version != registry.primary_key_version:
            _refreshed(ctx, call)
        try:
            return ctx.store.write(lambda unit, b=binding, s=sealed: once(unit, b, s), call)  # type: ignore[misc]
        except BindingChanged:
            continue
    raise Aborted(
        "the provider or the primary key version kept changing while the credential was sealed: retry",
        reason=Reason.CONFLICT,
    )


def _refreshed(ctx: Context, call: Call) -> KmsRecord:
    return refresh_kms_state(ctx, timeout_seconds=call.seconds_left(), request_id=call.request_id)[1]


def _deployment(registry: KmsRecord) -> bytes:
    assert registry.deployment_id is not None  # noqa: S101 - recorded just above
    return registry.deployment_id


def _unsealed(ctx: Context, binding: CredentialBinding, change: CredentialChange) -> SealedCredential:
    """Return the row a dry run writes and rolls back: every constraint is met, nothing is sealed."""
    return SealedCredential(
        type=change.material.type,
        version=binding.version,
        dek_id=ctx.new_uuid(),
        envelope=b"",
        wrapped_data_key=b"",
        key_version="",
        commitment=b"",
        context=b"",
        destinations=binding.destinations,
    )
