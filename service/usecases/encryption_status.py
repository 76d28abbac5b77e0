"""How the stored data keys are wrapped, read from rows, so that all replicas say the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from service.domain.calls import Call
from service.domain.errors import Unavailable
from service.sealing.kms_client import KmsStatus
from service.store import Backlog, DataKeyFault, KmsRecord, ProvidersDigest, ReadUnit, SidecarAudit
from service.usecases.context import Context
from service.usecases.kms_state import record_kms_status

SHOWN_QUARANTINED = 100
KMS_SECONDS = 2.0


class SweepState(Enum):
    """What the moving of data keys is at."""

    DONE = "every data key is under the primary version"
    RUNNING = "a replica moves them"
    WAITING = "some are left to move, and no replica is at it"
    BLOCKED = "all that is left is quarantined"


@dataclass(frozen=True, slots=True)
class EncryptionStatus:
    """The stored state at one moment, and what the sidecar said just before."""

    registry: KmsRecord
    audit: SidecarAudit | None
    """That of the sidecar that answered; while none does, of the only one that is known."""
    backlog: Backlog
    quarantined: list[DataKeyFault]
    sweep_state: SweepState
    kms_healthy: bool
    kms_message: str
    kms_primary_key_version: str


def encryption_status(ctx: Context, call: Call) -> EncryptionStatus:
    """Return the current state, also while the sidecar is away.

    The sidecar's primary version is recorded on the way, so that a status never says "done" of a rotation
    that has only just been activated.
    """
    healthy, message, primary_there, asked = _ask(ctx, call)

    def work(unit: ReadUnit) -> EncryptionStatus:
        registry = unit.kms.get()
        primary = registry.primary_key_version
        backlog = unit.data_keys.backlog(primary)
        return EncryptionStatus(
            registry=registry,
            audit=_audit(unit.kms.audits(), asked),
            backlog=backlog,
            quarantined=unit.data_keys.quarantined(primary, limit=SHOWN_QUARANTINED),
            sweep_state=_sweep_state(unit, backlog),
            kms_healthy=healthy,
            kms_message=message,
            kms_primary_key_version=primary_there,
        )

    return ctx.store.read(work)


def providers_digest(ctx: Context) -> ProvidersDigest:
    """Return the digest of every row that a rotation leaves alone."""
    return ctx.store.read(lambda unit: unit.data_keys.providers_digest())


def _audit(audits: Mapping[bytes, SidecarAudit], asked: bytes) -> SidecarAudit | None:
    if not asked and len(audits) == 1:
        return next(iter(audits.values()))
    return audits.get(asked)


def _ask(ctx: Context, call: Call) -> tuple[bool, str, str, bytes]:
    """(healthy, message, primary version, audit's key) of the sidecar, within a part of the call's time."""
    status: KmsStatus | None = None
    try:
        status = ctx.kms.status(
            timeout_seconds=min(KMS_SECONDS, call.seconds_left() / 2), request_id=call.request_id
        )
        record_kms_status(ctx, status)
    except Unavailable as error:
        if status is None:
            return False, error.message, "", b""
        return False, error.message, status.primary_key_version, status.audit_public_key
    return status.wrap_healthy, status.message, status.primary_key_version, status.audit_public_key


def _sweep_state(unit: ReadUnit, backlog: Backlog) -> SweepState:
    if not backlog.stale:
        return SweepState.DONE
    if not backlog.remaining:
        return SweepState.BLOCKED
    lease = unit.data_keys.sweep_lease()
    held = lease.expire_time is not None and lease.expire_time > unit.now
    return SweepState.RUNNING if held else SweepState.WAITING
