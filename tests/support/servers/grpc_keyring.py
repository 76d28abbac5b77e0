"""A keyring over the wire: three sockets, with statuses turned back into its errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID

import grpc
from codevector.kms.v1 import key_admin_service_pb2 as admin_pb2
from codevector.kms.v1 import key_admin_service_pb2_grpc as admin_grpc
from codevector.kms.v1 import key_management_service_pb2 as pb2
from codevector.kms.v1 import key_management_service_pb2_grpc as management_grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from kms.keyring import (
    Backend,
    CorruptDataKey,
    DataKey,
    InvalidContext,
    KeyringError,
    KeyringStatus,
    KeyVersion,
    KeyVersionNotPrimary,
    KeyVersionState,
    KeyVersionUnavailable,
    LatestVersionConflict,
    RequestIdReused,
    UnknownKeyVersion,
    VersionState,
    WrapItem,
    WrappedDataKey,
)
from kms.rpc.roles import Role

_ERRORS: Mapping[str, Callable[[str, Mapping[str, str]], KeyringError]] = {
    "INVALID_FIELD": lambda message, _: InvalidContext(message),
    "CREDENTIAL_CORRUPT": lambda _, metadata: CorruptDataKey(bytes.fromhex(metadata["data_key_id"])),
    "KEY_VERSION_UNAVAILABLE": lambda _, metadata: KeyVersionUnavailable(metadata["key_version"]),
    "KEY_VERSION_NOT_PRIMARY": lambda _, metadata: KeyVersionNotPrimary(metadata["primary_key_version"]),
    "KEY_VERSION_STATE": lambda message, metadata: KeyVersionState(
        metadata["key_version"],
        VersionState(metadata["state"]),
        message.removeprefix(f"{metadata['key_version']} is {metadata['state']} and "),
    ),
    "RESOURCE_NOT_FOUND": lambda _, metadata: UnknownKeyVersion(metadata["key_version"]),
    "CONFLICT": lambda _, metadata: LatestVersionConflict(metadata["current_latest"]),
    "REQUEST_ID_REUSED": lambda _, metadata: RequestIdReused(UUID(metadata["request_id"])),
}

_BACKENDS = {
    pb2.GetStatusResponse.BACKEND_LOCAL_KEYRING: Backend.LOCAL_KEYRING,
    pb2.GetStatusResponse.BACKEND_VAULT_TRANSIT: Backend.VAULT_TRANSIT,
}


class GrpcKeyring:
    """A ``Keyring`` on the other side of two sockets."""

    def __init__(self, channels: Mapping[Role, grpc.Channel]) -> None:
        self._registry = management_grpc.KeyManagementServiceStub(channels[Role.REGISTRY])
        self._router = management_grpc.KeyManagementServiceStub(channels[Role.ROUTER])

    def status(self) -> KeyringStatus:
        answer = _called(self._registry.GetStatus, pb2.GetStatusRequest())
        return KeyringStatus(
            backend=_BACKENDS[answer.backend],
            deployment_id=bytes.fromhex(answer.deployment_id),
            primary=answer.primary_key_version,
            accepted=tuple(answer.accepted_key_versions),
            wrap_healthy=answer.wrap_healthy,
            unwrap_healthy=answer.unwrap_healthy,
            message=answer.message,
            seq=answer.keyring_seq,
        )

    def wrap(self, items: Sequence[WrapItem]) -> list[WrappedDataKey | KeyringError]:
        request = pb2.BatchWrapDataKeysRequest(
            items=[pb2.WrapItem(context=i.context, plaintext=bytes(i.data_key.octets)) for i in items]
        )
        return [_wrap_outcome(each) for each in _called(self._registry.BatchWrapDataKeys, request).results]

    def unwrap(self, items: Sequence[WrappedDataKey]) -> list[DataKey | KeyringError]:
        request = pb2.BatchUnwrapDataKeysRequest(items=[pb2.UnwrapItem(wrapped=_message(i)) for i in items])
        return [
            _error(each.error) if each.HasField("error") else DataKey(each.plaintext)
            for each in _called(self._router.BatchUnwrapDataKeys, request).results
        ]

    def rewrap(self, items: Sequence[WrappedDataKey], target: str) -> list[WrappedDataKey | KeyringError]:
        request = pb2.BatchRewrapDataKeysRequest(items=map(_message, items), target_key_version=target)
        return [_wrap_outcome(each) for each in _called(self._registry.BatchRewrapDataKeys, request).results]

    def verify(self, items: Sequence[WrappedDataKey]) -> list[KeyringError | None]:
        request = pb2.BatchVerifyDataKeysRequest(items=map(_message, items))
        results = _called(self._registry.BatchVerifyDataKeys, request).results
        return [_error(each) if each.code else None for each in results]


class GrpcVersions:
    """``KeyVersions`` on the other side of a socket; ``destroy_due`` alone is not on the wire."""

    def __init__(
        self, channels: Mapping[Role, grpc.Channel], destroy_due: Callable[[], list[KeyVersion]]
    ) -> None:
        self._destroy_due = destroy_due
        self._admin = admin_grpc.KeyAdminServiceStub(channels[Role.ADMIN])

    def list_versions(self) -> list[KeyVersion]:
        answer = _called(self._admin.ListKeyVersions, admin_pb2.ListKeyVersionsRequest())
        return [_version(each) for each in answer.key_versions]

    def create_version(self, request_id: UUID, expected_latest: str) -> KeyVersion:
        request = admin_pb2.CreateKeyVersionRequest(
            request_id=str(request_id), expected_latest=expected_latest
        )
        return _version(_called(self._admin.CreateKeyVersion, request))

    def activate_version(self, name: str) -> KeyVersion:
        return _version(
            _called(self._admin.ActivateKeyVersion, admin_pb2.ActivateKeyVersionRequest(name=name))
        )

    def disable_version(self, name: str, *, confirmed_unreferenced: bool) -> KeyVersion:
        request = admin_pb2.DisableKeyVersionRequest(name=name, confirmed_unreferenced=confirmed_unreferenced)
        return _version(_called(self._admin.DisableKeyVersion, request))

    def enable_version(self, name: str) -> KeyVersion:
        return _version(_called(self._admin.EnableKeyVersion, admin_pb2.EnableKeyVersionRequest(name=name)))

    def schedule_destruction(self, name: str, delay: timedelta) -> KeyVersion:
        request = admin_pb2.ScheduleKeyVersionDestructionRequest(name=name)
        request.delay.FromTimedelta(delay)
        return _version(_called(self._admin.ScheduleKeyVersionDestruction, request))

    def cancel_destruction(self, name: str) -> KeyVersion:
        request = admin_pb2.CancelKeyVersionDestructionRequest(name=name)
        return _version(_called(self._admin.CancelKeyVersionDestruction, request))

    def destroy_due(self) -> list[KeyVersion]:
        return self._destroy_due()


def _called(method: Any, request: Any) -> Any:
    try:
        return method(request, timeout=60)
    except grpc.RpcError as error:
        status = rpc_status.from_call(error) if isinstance(error, grpc.Call) else None
        if status is None:
            raise
        raise _error(status) from None


def _error(status: status_pb2.Status) -> KeyringError:
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return _ERRORS[info.reason](status.message, info.metadata)


def _message(item: WrappedDataKey) -> pb2.WrappedDataKey:
    return pb2.WrappedDataKey(
        wrapped_data_key=item.wrapped,
        key_version=item.key_version,
        commitment=item.commitment,
        context=item.context,
    )


def _wrap_outcome(result: pb2.WrapResult) -> WrappedDataKey | KeyringError:
    if result.HasField("error"):
        return _error(result.error)
    wrapped = result.wrapped
    return WrappedDataKey(wrapped.wrapped_data_key, wrapped.key_version, wrapped.commitment, wrapped.context)


def _version(message: pb2.KeyVersion) -> KeyVersion:
    state = VersionState(pb2.KeyVersion.State.Name(message.state).removeprefix("STATE_"))
    create_time = message.create_time.ToDatetime(tzinfo=UTC)
    destroy_time = message.destroy_time.ToDatetime(tzinfo=UTC) if message.HasField("destroy_time") else None
    return KeyVersion(message.name, state, message.algorithm, create_time, destroy_time)
