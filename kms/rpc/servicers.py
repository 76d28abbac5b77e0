"""The two services as functions from request to response. Bytes pass straight through to the keyring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from codevector.kms.v1 import key_admin_service_pb2 as admin_pb2
from codevector.kms.v1 import key_management_service_pb2 as management_pb2
from google.protobuf import timestamp_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2

from kms.audit.chain import Fault, FaultReason
from kms.audit.exposure import Exposed
from kms.audit.lines import Position
from kms.audit.log import Audit, AuditUnavailable
from kms.keyring import (
    DESTRUCTION_DELAY_DEFAULT,
    Backend,
    DataKey,
    Keyring,
    KeyringError,
    KeyVersion,
    KeyVersions,
    VersionState,
    WrapItem,
    WrappedDataKey,
)
from kms.rpc.errors import InvalidTime, status_of
from kms.rpc.pages import PageTokens, page_size

Behaviour = Callable[[Any], Message]

_BACKENDS = {
    Backend.LOCAL_KEYRING: management_pb2.GetStatusResponse.BACKEND_LOCAL_KEYRING,
    Backend.VAULT_TRANSIT: management_pb2.GetStatusResponse.BACKEND_VAULT_TRANSIT,
}
_STATES = {
    VersionState.PENDING: management_pb2.KeyVersion.STATE_PENDING,
    VersionState.PRIMARY: management_pb2.KeyVersion.STATE_PRIMARY,
    VersionState.DECRYPT_ONLY: management_pb2.KeyVersion.STATE_DECRYPT_ONLY,
    VersionState.DISABLED: management_pb2.KeyVersion.STATE_DISABLED,
    VersionState.DESTROY_SCHEDULED: management_pb2.KeyVersion.STATE_DESTROY_SCHEDULED,
    VersionState.DESTROYED: management_pb2.KeyVersion.STATE_DESTROYED,
}
_FAULTS = {
    FaultReason.MALFORMED: admin_pb2.AuditFault.REASON_MALFORMED,
    FaultReason.CHAIN_BROKEN: admin_pb2.AuditFault.REASON_CHAIN_BROKEN,
    FaultReason.BAD_SIGNATURE: admin_pb2.AuditFault.REASON_BAD_SIGNATURE,
    FaultReason.CUT_TAIL: admin_pb2.AuditFault.REASON_CUT_TAIL,
    FaultReason.UNEXPECTED_HEAD: admin_pb2.AuditFault.REASON_UNEXPECTED_HEAD,
    FaultReason.CHECKPOINT_MISSING: admin_pb2.AuditFault.REASON_CHECKPOINT_MISSING,
}


class KeyManagement:
    """``codevector.kms.v1.KeyManagementService``."""

    def __init__(
        self, keyring: Keyring, audit: Audit, *, release: str, clock: Callable[[], datetime]
    ) -> None:
        self._keyring = keyring
        self._audit = audit
        self._release = release
        self._clock = clock

    def behaviours(self) -> Mapping[str, Behaviour]:
        """Return every method of the service by its name."""
        return {
            "GetStatus": self.get_status,
            "BatchWrapDataKeys": self.wrap,
            "BatchUnwrapDataKeys": self.unwrap,
            "BatchRewrapDataKeys": self.rewrap,
            "BatchVerifyDataKeys": self.verify,
        }

    def get_status(self, _: management_pb2.GetStatusRequest) -> management_pb2.GetStatusResponse:
        """Return health and the primary version."""
        status = self._keyring.status()
        audited = self._audit.position
        return management_pb2.GetStatusResponse(
            version=self._release,
            backend=_BACKENDS[status.backend],
            primary_key_version=status.primary,
            accepted_key_versions=status.accepted,
            wrap_healthy=status.wrap_healthy,
            unwrap_healthy=status.unwrap_healthy,
            message=status.message,
            server_time=_timestamp(self._clock()),
            deployment_id=status.deployment_id.hex(),
            keyring_seq=status.seq,
            audit_seq=audited.seq,
            audit_head=audited.head,
            audit_public_key=self._audit.public_key,
        )

    def wrap(
        self, request: management_pb2.BatchWrapDataKeysRequest
    ) -> management_pb2.BatchWrapDataKeysResponse:
        """Wrap data keys under the primary version."""
        items = [WrapItem(item.context, DataKey(item.plaintext)) for item in request.items]
        try:
            results = self._keyring.wrap(items)
        finally:
            for item in items:
                item.data_key.wipe()
        return management_pb2.BatchWrapDataKeysResponse(
            results=[_wrap_result(result, f"items[{i}].context") for i, result in enumerate(results)]
        )

    def unwrap(
        self, request: management_pb2.BatchUnwrapDataKeysRequest
    ) -> management_pb2.BatchUnwrapDataKeysResponse:
        """Open wrapped keys. The only method that returns key material."""
        results = self._keyring.unwrap([_wrapped(item.wrapped) for item in request.items])
        response = management_pb2.BatchUnwrapDataKeysResponse()
        for index, result in enumerate(results):
            if isinstance(result, KeyringError):
                response.results.add(error=status_of(result, f"items[{index}].wrapped.context"))
                continue
            response.results.add(plaintext=bytes(result.octets))
            result.wipe()
        return response

    def rewrap(
        self, request: management_pb2.BatchRewrapDataKeysRequest
    ) -> management_pb2.BatchRewrapDataKeysResponse:
        """Move wrapped keys to the primary version."""
        results = self._keyring.rewrap([_wrapped(item) for item in request.items], request.target_key_version)
        return management_pb2.BatchRewrapDataKeysResponse(
            results=[_wrap_result(result, f"items[{i}].context") for i, result in enumerate(results)]
        )

    def verify(
        self, request: management_pb2.BatchVerifyDataKeysRequest
    ) -> management_pb2.BatchVerifyDataKeysResponse:
        """Open wrapped keys, and return only whether they opened."""
        results = self._keyring.verify([_wrapped(item) for item in request.items])
        return management_pb2.BatchVerifyDataKeysResponse(
            results=[
                status_pb2.Status() if result is None else status_of(result, f"items[{i}].context")
                for i, result in enumerate(results)
            ]
        )


class KeyAdmin:
    """``codevector.kms.v1.KeyAdminService``."""

    def __init__(self, versions: KeyVersions, audit: Audit, *, pages: PageTokens) -> None:
        self._versions = versions
        self._audit = audit
        self._pages = pages

    def behaviours(self) -> Mapping[str, Behaviour]:
        """Return every method of the service by its name."""
        return {
            "ListKeyVersions": self.list_versions,
            "CreateKeyVersion": self.create_version,
            "ActivateKeyVersion": self.activate_version,
            "DisableKeyVersion": self.disable_version,
            "EnableKeyVersion": self.enable_version,
            "ScheduleKeyVersionDestruction": self.schedule_destruction,
            "CancelKeyVersionDestruction": self.cancel_destruction,
            "VerifyAudit": self.verify_audit,
            "ListExposure": self.list_exposure,
        }

    def list_versions(self, request: admin_pb2.ListKeyVersionsRequest) -> admin_pb2.ListKeyVersionsResponse:
        """Return a page of versions, oldest first."""
        versions = self._versions.list_versions()
        start = self._pages.read(request.page_token)
        end = start + page_size(request.page_size)
        return admin_pb2.ListKeyVersionsResponse(
            key_versions=[_key_version(version) for version in versions[start:end]],
            next_page_token=self._pages.issue(end) if end < len(versions) else "",
        )

    def create_version(self, request: admin_pb2.CreateKeyVersionRequest) -> management_pb2.KeyVersion:
        """Create a PENDING version."""
        return _key_version(self._versions.create_version(UUID(request.request_id), request.expected_latest))

    def activate_version(self, request: admin_pb2.ActivateKeyVersionRequest) -> management_pb2.KeyVersion:
        """Make a PENDING version PRIMARY."""
        return _key_version(self._versions.activate_version(request.name))

    def disable_version(self, request: admin_pb2.DisableKeyVersionRequest) -> management_pb2.KeyVersion:
        """Make a version DISABLED: it opens nothing any more."""
        return _key_version(
            self._versions.disable_version(
                request.name, confirmed_unreferenced=request.confirmed_unreferenced
            )
        )

    def enable_version(self, request: admin_pb2.EnableKeyVersionRequest) -> management_pb2.KeyVersion:
        """Make a DISABLED version DECRYPT_ONLY."""
        return _key_version(self._versions.enable_version(request.name))

    def schedule_destruction(
        self, request: admin_pb2.ScheduleKeyVersionDestructionRequest
    ) -> management_pb2.KeyVersion:
        """Make a DISABLED version DESTROY_SCHEDULED."""
        delay = request.delay.ToTimedelta() if request.HasField("delay") else DESTRUCTION_DELAY_DEFAULT
        return _key_version(self._versions.schedule_destruction(request.name, delay))

    def cancel_destruction(
        self, request: admin_pb2.CancelKeyVersionDestructionRequest
    ) -> management_pb2.KeyVersion:
        """Make a DESTROY_SCHEDULED version DISABLED."""
        return _key_version(self._versions.cancel_destruction(request.name))

    def verify_audit(self, request: admin_pb2.VerifyAuditRequest) -> admin_pb2.VerifyAuditResponse:
        """Return whether the audit is what was written."""
        expected = [Position(request.expected_seq, request.expected_head)] if request.expected_seq else []
        with _readable():
            found = self._audit.verify(expected)
        return admin_pb2.VerifyAuditResponse(
            intact=found.fault is None,
            fault=_fault(found.fault),
            first_seq=found.first_seq,
            audit_seq=found.last.seq,
            audit_head=found.last.head,
            signed_seq=found.signed_seq,
            checkpoint_count=found.checkpoints,
            repair_count=found.repairs,
            public_key=self._audit.public_key,
        )

    def list_exposure(self, request: admin_pb2.ListExposureRequest) -> admin_pb2.ListExposureResponse:
        """Return a page of the credentials that a principal could have seen."""
        filtered = request.since.SerializeToString() + b"/" + request.principal.encode()
        start = self._pages.read(request.page_token, filtered)
        end = start + page_size(request.page_size)
        since = _time(request.since, "since")
        with _readable():
            found = self._audit.exposure(since, request.principal)
            fault = self._audit.verify().fault
        return admin_pb2.ListExposureResponse(
            exposed_credentials=[_exposed(each) for each in found.credentials[start:end]],
            next_page_token=self._pages.issue(end, filtered) if end < len(found.credentials) else "",
            audit_start_time=_timestamp(found.start_time) if found.start_time else None,
            fault=_fault(fault),
        )


def _time(message: timestamp_pb2.Timestamp, field: str) -> datetime:
    """Return a time of a request. Raises InvalidTime."""
    try:
        return message.ToDatetime(tzinfo=UTC)
    except ValueError:
        raise InvalidTime(field) from None


def _wrapped(message: management_pb2.WrappedDataKey) -> WrappedDataKey:
    return WrappedDataKey(message.wrapped_data_key, message.key_version, message.commitment, message.context)


def _wrap_result(result: WrappedDataKey | KeyringError, path: str) -> management_pb2.WrapResult:
    if isinstance(result, KeyringError):
        return management_pb2.WrapResult(error=status_of(result, path))
    return management_pb2.WrapResult(
        wrapped=management_pb2.WrappedDataKey(
            wrapped_data_key=result.wrapped,
            key_version=result.key_version,
            commitment=result.commitment,
            context=result.context,
        )
    )


def _key_version(version: KeyVersion) -> management_pb2.KeyVersion:
    return management_pb2.KeyVersion(
        name=version.name,
        state=_STATES[version.state],
        algorithm=version.algorithm,
        create_time=_timestamp(version.create_time),
        destroy_time=_timestamp(version.destroy_time) if version.destroy_time else None,
    )


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except OSError:
        raise AuditUnavailable("the audit cannot be read") from None


def _fault(fault: Fault | None) -> admin_pb2.AuditFault | None:
    if fault is None:
        return None
    return admin_pb2.AuditFault(
        reason=_FAULTS[fault.reason],
        file=fault.file,
        line=fault.line,
        seq=fault.seq,
        description=fault.description,
    )


def _exposed(exposed: Exposed) -> admin_pb2.ExposedCredential:
    return admin_pb2.ExposedCredential(
        provider_uid=exposed.provider_uid,
        credential_version=exposed.credential_version,
        data_key_id=exposed.data_key_id,
        key_versions=exposed.key_versions,
        principals=exposed.principals,
        first_time=_timestamp(exposed.first_time),
        last_time=_timestamp(exposed.last_time),
        access_count=exposed.count,
    )


def _timestamp(moment: datetime) -> timestamp_pb2.Timestamp:
    timestamp = timestamp_pb2.Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
