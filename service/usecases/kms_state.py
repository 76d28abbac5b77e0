"""Noticing what the key sidecar says: a new primary version is recorded, an old or foreign sidecar refused.

Whatever the registry has seen of a sidecar it remembers. So no other key than the recorded primary seals a
credential here: no older one of a restored keyring, none created anew under an old name, none of
another installation's sidecar.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from service.domain.errors import Reason, Unavailable
from service.domain.key_versions import is_late, recreated, shares_local_keyring
from service.sealing.kms_client import KmsStatus
from service.store import KmsRecord, SidecarAudit, WriteUnit
from service.usecases.context import Context

AUDIT_EVERY = timedelta(seconds=10)
"""How often the growth of the sidecar's audit is recorded; every status would be a write otherwise."""

OTHER_DEPLOYMENT = "the KMS sidecar belongs to another deployment: start the one that sealed this data"
RECREATED_KEY = (
    "the KMS sidecar has another key under a name that this registry has seen: restore the original key, or "
    "rotate to a new version in the keyring that sealed this data"
)


LATE_SIDECAR = (
    "the KMS sidecar does not know the newest version of its Transit key yet: it reads it again within ten "
    "seconds"
)


class OlderKeyring(Unavailable):
    """The sidecar's keyring is in an older state than one that was seen."""

    def __init__(self) -> None:
        super().__init__(
            "the KMS sidecar serves an older keyring than this registry has seen: restore the newest",
            reason=Reason.KMS_UNAVAILABLE,
        )


def refresh_kms_state(
    ctx: Context, *, timeout_seconds: float | None = None, request_id: str = ""
) -> tuple[KmsStatus, KmsRecord]:
    """Ask the sidecar how it is, and record its primary version and what distinguishes it from an older one.

    Raises:
        Unavailable: the sidecar is away, is another deployment's, or serves an older keyring than before.
    """
    status = ctx.kms.status(timeout_seconds=timeout_seconds, request_id=request_id)
    try:
        return status, record_kms_status(ctx, status)
    except OlderKeyring:
        # Or this status was overtaken: another thread has recorded a newer one meanwhile.
        status = ctx.kms.status(timeout_seconds=timeout_seconds, request_id=request_id)
        return status, record_kms_status(ctx, status)


def record_kms_status(ctx: Context, status: KmsStatus) -> KmsRecord:
    """Remember a status under the counter lock, so that no credential is written under another primary.

    Recording what is known already writes nothing. After a new primary the sweep is woken.

    Raises:
        Unavailable: see `refresh_kms_state`; nothing was recorded.
    """
    known, audits, now = ctx.store.read(lambda unit: (unit.kms.get(), unit.kms.audits(), unit.now))
    audit = audits.get(status.audit_public_key)
    is_fresh = audit is not None and now - audit.notice_time < AUDIT_EVERY
    if _taken_up(known, status) == known and (is_fresh or not _has_grown(audit, status)):
        return known

    def work(unit: WriteUnit) -> tuple[KmsRecord, KmsRecord]:
        before = unit.kms.get()
        after = _taken_up(before, status)
        if after != before:
            after = replace(after, notice_time=unit.now)
            unit.kms.record(after)
        if _has_grown(unit.kms.audits().get(status.audit_public_key), status):
            unit.kms.record_audit(
                SidecarAudit(status.audit_public_key, status.audit_seq, status.audit_head, unit.now)
            )
        return before, after

    before, after = ctx.store.write(work)
    if after.primary_key_version != before.primary_key_version:
        ctx.primary_changed()
    return after


def _has_grown(known: SidecarAudit | None, status: KmsStatus) -> bool:
    """Return whether the audit has grown; of one that was cut, what was seen stays as evidence."""
    return status.audit_seq > (known.seq if known is not None else 0)


def _taken_up(row: KmsRecord, status: KmsStatus) -> KmsRecord:
    """Return the record with what the status says.

    Raises:
        Unavailable: the status is of a sidecar that must not be sealed with.
    """
    if row.deployment_id is not None and row.deployment_id != status.deployment_id:
        raise Unavailable(OTHER_DEPLOYMENT, reason=Reason.KMS_UNAVAILABLE)
    names = (*status.accepted_key_versions, status.primary_key_version)
    if recreated(row.key_names_seen, names) is not None:
        raise Unavailable(RECREATED_KEY, reason=Reason.KMS_UNAVAILABLE)
    # Without a local keyring there is no sequence; with one that was never seen there is none to compare.
    keyring_seq = status.keyring_seq or row.keyring_seq
    if keyring_seq < row.keyring_seq and shares_local_keyring(row.key_names_seen, names):
        raise OlderKeyring
    if is_late(row.primary_key_version, status.primary_key_version):
        raise Unavailable(LATE_SIDECAR, reason=Reason.KMS_UNAVAILABLE)
    return replace(
        row,
        deployment_id=status.deployment_id,
        primary_key_version=status.primary_key_version,
        keyring_seq=keyring_seq,
        key_names_seen=tuple(dict.fromkeys((*row.key_names_seen, *names))),
    )
