"""The table from an error to ``google.rpc.Status``: code, exactly one ErrorInfo, details of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from kms.errors import SidecarError
from kms.keyring import (
    CorruptDataKey,
    DecryptUnavailable,
    InvalidContext,
    KeyAdminUnavailable,
    KeyringUnavailable,
    KeyVersionNotPrimary,
    KeyVersionState,
    KeyVersionUnavailable,
    LatestVersionConflict,
    RequestIdReused,
    UnknownKeyVersion,
)
from kms.rpc.roles import Role
from runtime import statuses
from runtime.requests import UNREADABLE, summary
from runtime.statuses import Violation

_KEY_VERSION = "codevector.kms.v1.KeyVersion"
_WRAPPED_DATA_KEY = "codevector.kms.v1.WrappedDataKey"
_RETRY_SECONDS = 1
_VIOLATIONS_LIMIT = 20


class InvalidRequest(SidecarError):
    """The request breaks rules of its shape; the first twenty are listed: statuses travel in headers."""

    reason = "INVALID_FIELD"

    def __init__(self, violations: Sequence[Violation]) -> None:
        first = violations[0]
        super().__init__(
            summary(violations),
            violations=str(len(violations)),
            field=first.subject,
            description=first.description,
        )
        self.violations = tuple(violations[:_VIOLATIONS_LIMIT])


class MalformedRequest(SidecarError):
    """The bytes cannot be parsed as the method's request."""

    reason = "INVALID_FIELD"

    def __init__(self) -> None:
        super().__init__(UNREADABLE)


class InvalidPageToken(SidecarError):
    """This process did not issue the page token for this request."""

    reason = "INVALID_PAGE_TOKEN"

    def __init__(self) -> None:
        super().__init__(
            "page_token was not issued for this list, or before a restart: start again without one"
        )
        self.violations = (Violation("page_token", self.message, self.reason),)


class InvalidTime(SidecarError):
    """A field holds a time that no calendar has."""

    reason = "INVALID_FIELD"

    def __init__(self, field: str) -> None:
        description = "must lie between the years 1 and 9999"
        self.violations = (Violation(field, description, "timestamp"),)
        super().__init__(summary(self.violations), violations="1", field=field, description=description)


class RoleRequired(SidecarError):
    """The socket's role may not call the method."""

    reason = "ROLE_REQUIRED"

    def __init__(self, roles: frozenset[Role]) -> None:
        names = ",".join(sorted(role.value for role in roles))
        super().__init__(
            f"this socket may not call the method: use the socket of the role {names or 'none'}", role=names
        )


class InternalError(SidecarError):
    """A bug. The caller gets only the request id of the log line that describes it."""

    reason = "INTERNAL"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            f"internal error: the sidecar's log has the details of request {request_id}",
            request_id=request_id,
        )


def _bad_request(error: SidecarError, path: str) -> Message:
    if isinstance(error, InvalidRequest | InvalidPageToken | InvalidTime):
        return statuses.bad_request(error.violations)
    return statuses.bad_request([Violation(path, error.message, error.reason)])


def _precondition(error: SidecarError, _: str) -> Message:
    subject = error.metadata.get("key_version") or error.metadata.get("primary_key_version", "")
    return statuses.precondition_failure([Violation(subject, error.message, error.reason)])


def _key_version(error: SidecarError, _: str) -> Message:
    name = error.metadata.get("key_version") or error.metadata.get("current_latest", "")
    detail: Message = error_details_pb2.ResourceInfo(
        resource_type=_KEY_VERSION, resource_name=name, description=error.message
    )
    return detail


def _wrapped_data_key(error: SidecarError, _: str) -> Message:
    detail: Message = error_details_pb2.ResourceInfo(
        resource_type=_WRAPPED_DATA_KEY,
        resource_name=error.metadata["data_key_id"],
        description=error.message,
    )
    return detail


def _retry(error: SidecarError, _: str) -> Message:
    return statuses.retry_info(_RETRY_SECONDS)


_Detail = Callable[[SidecarError, str], Message] | None

_TABLE: Mapping[type[SidecarError], tuple[grpc.StatusCode, _Detail]] = MappingProxyType(
    {
        InvalidRequest: (grpc.StatusCode.INVALID_ARGUMENT, _bad_request),
        InvalidContext: (grpc.StatusCode.INVALID_ARGUMENT, _bad_request),
        InvalidTime: (grpc.StatusCode.INVALID_ARGUMENT, _bad_request),
        InvalidPageToken: (grpc.StatusCode.INVALID_ARGUMENT, _bad_request),
        UnknownKeyVersion: (grpc.StatusCode.NOT_FOUND, _key_version),
        LatestVersionConflict: (grpc.StatusCode.ABORTED, _key_version),
        RequestIdReused: (grpc.StatusCode.ABORTED, _key_version),
        KeyVersionUnavailable: (grpc.StatusCode.FAILED_PRECONDITION, _precondition),
        KeyVersionNotPrimary: (grpc.StatusCode.FAILED_PRECONDITION, _precondition),
        KeyVersionState: (grpc.StatusCode.FAILED_PRECONDITION, _precondition),
        MalformedRequest: (grpc.StatusCode.INVALID_ARGUMENT, None),
        DecryptUnavailable: (grpc.StatusCode.FAILED_PRECONDITION, _precondition),
        KeyAdminUnavailable: (grpc.StatusCode.FAILED_PRECONDITION, _precondition),
        RoleRequired: (grpc.StatusCode.PERMISSION_DENIED, None),
        KeyringUnavailable: (grpc.StatusCode.UNAVAILABLE, _retry),
        CorruptDataKey: (grpc.StatusCode.DATA_LOSS, _wrapped_data_key),
        InternalError: (grpc.StatusCode.INTERNAL, None),
    }
)


def code_of(error: SidecarError) -> grpc.StatusCode:
    """Return the status code of an error."""
    return _row(error)[0]


def status_of(error: SidecarError, path: str = "") -> status_pb2.Status:
    """Return the whole status. ``path`` is the proto path of the field at fault, if any."""
    code, detail = _row(error)
    return statuses.make(
        code,
        error.message,
        reason=error.reason,
        metadata=error.metadata,
        details=[detail(error, path)] if detail is not None else [],
    )


def _row(error: SidecarError) -> tuple[grpc.StatusCode, _Detail]:
    """Return the row of the error's class, or of its nearest base."""
    return next(_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE)
