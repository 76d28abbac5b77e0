"""The table from a refusal to `google.rpc.Status`: code, exactly one ErrorInfo, details of its kind."""

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
from runtime.statuses import Violation

_KEY_VERSION = "codevector.kms.v1.KeyVersion"
_WRAPPED_DATA_KEY = "codevector.kms.v1.WrappedDataKey"
_RETRY_SECONDS = 1
_VIOLATIONS_TOLD = 20


class InvalidRequest(SidecarError):
    """The request breaks rules of its shape; the first twenty are told, since statuses travel in headers."""

    reason = "INVALID_FIELD"

    def __init__(self, violations: Sequence[Violation]) -> None:
        first = violations[0]
        super().__init__(
            f"the request breaks {len(violations)} rules, first {first.subject}: {first.description}",
            violations=str(len(violations)),
            field=first.subject,
            description=first.description,
        )
        self.violations = tuple(violations[:_VIOLATIONS_TOLD])


class MalformedRequest(SidecarError):
    """The bytes are no request of the method."""

    reason = "INVALID_FIELD"

    def __init__(self, message_name: str) -> None:
        super().__init__(
            f"the request is no {message_name}: wrong bytes, or a string that is not UTF-8",
            request_type=message_name,
        )


class InvalidPageToken(SidecarError):
    """The page token is not one that this process gave out."""

    reason = "INVALID_PAGE_TOKEN"

    def __init__(self) -> None:
        super().__init__("the page token is not valid here: start again without one")
        self.violations = (Violation("page_token", self.message, self.reason),)


class RoleRequired(SidecarError):
    """The socket's role may not call the method."""

    reason = "ROLE_REQUIRED"

    def __init__(self, roles: frozenset[Role]) -> None:
        names = ",".join(sorted(role.value for role in roles))
        super().__init__(f"the method needs a socket of the role {names or 'none'}", role=names)


class InternalError(SidecarError):
    """A bug; the caller learns only which log line tells of it."""

    reason = "INTERNAL"

    def __init__(self, request_id: str) -> None:
        super().__init__(f"internal error, request {request_id}", request_id=request_id)


def _bad_request(error: SidecarError, path: str) -> Message:
    if isinstance(error, InvalidRequest | InvalidPageToken):
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
    """The status code of a refusal."""
    return _row(error)[0]


def status_of(error: SidecarError, path: str = "") -> status_pb2.Status:
    """The whole status; `path` is the proto path of the field at fault, where one is."""
    code, detail = _row(error)
    return statuses.make(
        code,
        error.message,
        reason=error.reason,
        metadata=error.metadata,
        details=[detail(error, path)] if detail is not None else [],
    )


def _row(error: SidecarError) -> tuple[grpc.StatusCode, _Detail]:
    """The row of the error's class, or of the nearest class it derives from."""
    return next(_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE)
