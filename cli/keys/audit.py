"""The sidecar's audit: whether it is intact, and whose data keys a caller received."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from codevector.kms.v1 import key_admin_service_pb2 as pb
from codevector.kms.v1 import key_management_service_pb2 as management_pb
from codevector.providers.v1 import provider_service_pb2
from codevector.providers.v1.provider_pb2 import Provider
from codevector.providers.v1.system_service_pb2 import GetEncryptionStatusResponse

from cli.peers import Sidecar
from cli.session import Session
from cli.times import of_message, shown

_AUDIT_SECONDS = 600.0
_PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Exposure:
    """The credentials whose data keys a caller received. ``doubt`` says why some may be missing."""

    credentials: tuple[pb.ExposedCredential, ...]
    doubt: str


def verify(session: Session, expected_seq: int, expected_head: bytes) -> pb.VerifyAuditResponse:
    """Have the sidecar check its whole audit, against what the registry recorded unless that is 0."""
    request = pb.VerifyAuditRequest(expected_seq=expected_seq, expected_head=expected_head)
    return session.admin.call(session.admin.admin.VerifyAudit, request, seconds=_AUDIT_SECONDS)


def recorded(session: Session, status: GetEncryptionStatusResponse) -> tuple[int, bytes]:
    """Return the position that the registry recorded of this sidecar's audit; 0 if it is of another one."""
    sidecar = session.registry_side
    current = sidecar.call(sidecar.management.GetStatus, management_pb.GetStatusRequest())
    if status.audit_public_key != current.audit_public_key:
        return 0, b""
    return status.audit_seq, status.audit_head


def fault_sentence(fault: pb.AuditFault) -> str:
    """Return where the first wrong line is, and what is wrong with it."""
    reason = pb.AuditFault.Reason.Name(fault.reason).removeprefix("REASON_")
    return f"{fault.file} line {fault.line} (number {fault.seq}): {reason}: {fault.description}"


def exposure(sidecar: Sidecar, since: datetime, principal: str) -> Exposure:
    """Return what one sidecar's audit has since then about that principal, or about all if it is empty."""
    request = pb.ListExposureRequest(page_size=_PAGE_SIZE, principal=principal)
    request.since.FromDatetime(since)
    credentials: list[pb.ExposedCredential] = []
    while True:
        page = sidecar.call(sidecar.admin.ListExposure, request, seconds=_AUDIT_SECONDS)
        credentials += page.exposed_credentials
        if not page.next_page_token:
            return Exposure(tuple(credentials), _doubt(page, since))
        request.page_token = page.next_page_token


def _doubt(page: pb.ListExposureResponse, since: datetime) -> str:
    if page.HasField("fault"):
        return f"the audit was changed after it was written: {fault_sentence(page.fault)}"
    if page.HasField("audit_start_time") and of_message(page.audit_start_time) > since:
        return f"the audit here begins only at {shown(page.audit_start_time)}: restore its older files"
    return ""


def all_providers(session: Session) -> Iterator[Provider]:
    """Yield every provider of the registry."""
    registry = session.registry
    request = provider_service_pb2.ListProvidersRequest(page_size=_PAGE_SIZE)
    while True:
        page = registry.call(registry.providers.ListProviders, request)
        yield from page.providers
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
