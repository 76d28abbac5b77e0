"""What is kept beside the resources and takes no revision: the record of the KMS, and used request ids."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from service.store.columns import Unreadable
from service.store.rows import IdempotencyRow, RegistryInfoRow, SidecarRow
from service.store.units.writing import FRESH, Writing, table
from service.store.unsound import sound_rows

_REGISTRY = table(RegistryInfoRow)
_IDEMPOTENCY = table(IdempotencyRow)
_SIDECARS = table(SidecarRow)


@dataclass(frozen=True, slots=True)
class KmsRecord:
    """What the registry has recorded of its KMS; ``deployment_id`` is None before the first time."""

    deployment_id: bytes | None
    primary_key_version: str
    key_names_seen: tuple[str, ...]
    keyring_seq: int
    notice_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class SidecarAudit:
    """The newest line that a sidecar reported of its audit, which ``public_key`` signs."""

    public_key: bytes
    seq: int
    head: bytes
    notice_time: datetime


@dataclass(frozen=True, slots=True)
class RememberedRequest:
    """A used request_id: the keyed fingerprint of the request's body, and the name of what it made."""

    fingerprint: bytes
    resource: str


class KmsReads:
    """What is recorded of the KMS."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self) -> KmsRecord:
        """Return the record."""
        row = self._session.scalars(select(RegistryInfoRow), execution_options=FRESH).one()
        return KmsRecord(
            deployment_id=row.deployment_id,
            primary_key_version=row.primary_key_version,
            key_names_seen=tuple(row.key_names_seen),
            keyring_seq=row.keyring_seq,
            notice_time=row.notice_time,
        )

    def audits(self) -> dict[bytes, SidecarAudit]:
        """Return what is recorded of each sidecar's audit and can be read, by public key."""
        try:
            rows = list(self._session.scalars(select(SidecarRow), execution_options=FRESH))
        except Unreadable:
            rows = sound_rows(self._session, SidecarRow)
        return {
            row.audit_public_key: SidecarAudit(
                row.audit_public_key, row.audit_seq, row.audit_head, row.notice_time
            )
            for row in rows
        }

    def secret_fingerprint(self) -> bytes | None:
        """Return the fingerprint of the secret that all replicas share; None before the first use."""
        return self._session.scalar(select(RegistryInfoRow.secret_fingerprint))


class KmsWrites(KmsReads):
    """What is recorded of the KMS, and recording it."""

    def __init__(self, session: Session, writing: Writing) -> None:
        super().__init__(session)
        self._writing = writing

    def record(self, record: KmsRecord) -> None:
        """Replace the record. Recording the same again changes nothing."""
        if record == self.get():
            return
        self._writing.execute(
            update(_REGISTRY),
            {
                "deployment_id": record.deployment_id,
                "primary_key_version": record.primary_key_version,
                "key_names_seen": list(record.key_names_seen),
                "keyring_seq": record.keyring_seq,
                "notice_time": record.notice_time,
            },
        )
        self._writing.bookkeeping = True

    def record_audit(self, audit: SidecarAudit) -> None:
        """Replace what is recorded of one sidecar's audit."""
        self._writing.execute(delete(_SIDECARS).where(_SIDECARS.c.audit_public_key == audit.public_key))
        self._writing.execute(
            insert(_SIDECARS),
            {
                "audit_public_key": audit.public_key,
                "audit_seq": audit.seq,
                "audit_head": audit.head,
                "notice_time": audit.notice_time,
            },
        )
        self._writing.bookkeeping = True

    def record_secret_fingerprint(self, fingerprint: bytes) -> None:
        """Record which secret all replicas share."""
        self._writing.execute(update(_REGISTRY), {"secret_fingerprint": fingerprint})
        self._writing.bookkeeping = True


class RequestReads:
    """Used request ids."""

    def __init__(self, session: Session, now: datetime) -> None:
        self._session = session
        self._now = now

    def get(self, principal: str, method: str, request_id: str) -> RememberedRequest | None:
        """Return what this caller used this request_id for, unless that has expired."""
        row = self._session.execute(
            select(IdempotencyRow.fingerprint, IdempotencyRow.resource).where(
                IdempotencyRow.principal == principal,
                IdempotencyRow.method == method,
                IdempotencyRow.request_id == request_id,
                IdempotencyRow.expire_time > self._now,
            )
        ).one_or_none()
        return None if row is None else RememberedRequest(*row)


class RequestWrites(RequestReads):
    """Used request ids, and remembering one."""

    def __init__(self, session: Session, writing: Writing) -> None:
        super().__init__(session, writing.now)
        self._writing = writing

    def remember(
        self,
        principal: str,
        method: str,
        request_id: str,
        fingerprint: bytes,
        resource: str,
        *,
        ttl: timedelta,
    ) -> None:
        """Remember what a request_id was used for, and forget all that has expired."""
        self._writing.execute(delete(_IDEMPOTENCY).where(_IDEMPOTENCY.c.expire_time <= self._now))
        self._writing.execute(
            insert(_IDEMPOTENCY),
            {
                "principal": principal,
                "method": method,
                "request_id": request_id,
                "fingerprint": fingerprint,
                "resource": resource,
                "expire_time": self._now + ttl,
            },
        )
        self._writing.bookkeeping = True

    def forget(self) -> None:
        """Forget all used request ids."""
        self._writing.execute(delete(_IDEMPOTENCY))
        self._writing.bookkeeping = True
