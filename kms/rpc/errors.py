"""The table from a refusal to `google.rpc.Status`: code, exactly one ErrorInfo, details of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from kms.keyring import (
    CorruptDataKey,
    DecryptUnavailable,
    InvalidContext,
    KeyAdminUnavailable,
    KeyringError,
    KeyringUnavailable,
    KeyVersionNotPrimary,
    KeyVersionState,
    KeyVersionUnavailable,
    LatestVersionConflict,
    RequestIdReused,
    UnknownKeyVersion,
)
from kms.rpc.roles import Role

DOMAIN = "codevector"
DETAILS_KEY = "grpc-status-details-bin"

_KEY_VERSION = "codevector.kms.v1.KeyVersion"
_WRAPPED_DATA_KEY = "codevector.kms.v1.WrappedDataKey"
_RETRY_SECONDS = 1
_VIOLATIONS_TOLD = 20


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One broken rule: the field's proto path, what the rule wants, the rule's id; never the value."""

    field: str
    description: str
    rule: str


class InvalidRequest(KeyringError):
    """The request breaks rules of its shape; the first twenty are told, since statuses travel in headers."""

    reason = "INVALID_FIELD"

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        first = violations[0]
        super().__init__(
            f"the request breaks {len(violations)} rules, first {first.field}: {first.description}",
            violations=str(len(violations)),
            field=first.field,
            description=first.description,
        )
        self.violations = tuple(violations[:_VIOLATIONS_TOLD])


class MalformedRequest(KeyringError):
    """The bytes are no request of the method."""

    reason = "INVALID_FIELD"

    def __init__(self, message_name: str) -> None:
        super().__init__(
            f"the request is no {message_name}: wrong bytes, or a string that is not UTF-8",
            request_type=message_name,
        )


class InvalidPageToken(KeyringError):
    """The page token is not one that this process gave out."""

    reason = "INVALID_PAGE_TOKEN"

    def __init__(self) -> None:
        super().__init__("the page token is not valid here: start again without one")
        self.violations = (FieldViolation("page_token", self.message, self.reason),)


class RoleRequired(KeyringError):
    """The socket's role may not call the method."""

    reason = "ROLE_REQUIRED"

    def __init__(self, roles: frozenset[Role]) -> None:
        names = ",".join(sorted(role.value for role in roles))
        super().__init__(f"the method needs a socket of the role {names or 'none'}", role=names)


class InternalError(KeyringError):
    """A bug; the caller learns only which log line tells of it."""

    reason = "INTERNAL"

    def __init__(self, request_id: str) -> None:
        super().__init__(f"internal error, request {request_id}", request_id=request_id)


def _bad_request(error: KeyringError, path: str) -> Message:
    if isinstance(error, InvalidRequest | InvalidPageToken):
        violations = error.violations
    else:
        violations = (FieldViolation(path, error.message, error.reason),)
    detail: Message = error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(
                field=v.field, description=v.description, reason=v.rule
            )
            for v in violations
        ]
    )
    return detail


def _precondition(error: KeyringError, _: str) -> Message:
    subject = error.metadata.get("key_version") or error.metadata.get("primary_key_version", "")
    violation = error_details_pb2.PreconditionFailure.Violation(
        type=error.reason, subject=subject, description=error.message
    )
    detail: Message = error_details_pb2.PreconditionFailure(violations=[violation])
    return detail


def _key_version(error: KeyringError, _: str) -> Message:
    name = error.metadata.get("key_version") or error.metadata.get("current_latest", "")
    detail: Message = error_details_pb2.ResourceInfo(
        resource_type=_KEY_VERSION, resource_name=name, description=error.message
    )
    return detail


def _wrapped_data_key(error: KeyringError, _: str) -> Message:
    detail: Message = error_details_pb2.ResourceInfo(
        resource_type=_WRAPPED_DATA_KEY,
        resource_name=error.metadata["data_key_id"],
        description=error.message,
    )
    return detail


def _retry(error: KeyringError, _: str) -> Message:
    detail: Message = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=_RETRY_SECONDS))
    return detail


_Detail = Callable[[KeyringError, str], Message] | None

_TABLE: Mapping[type[KeyringError], tuple[grpc.StatusCode, _Detail]] = MappingProxyType(
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


def code_of(error: KeyringError) -> grpc.StatusCode:
    """The status code of a refusal."""
    return _row(error)[0]


def status_of(error: KeyringError, path: str = "") -> status_pb2.Status:
    """The whole status; `path` is the proto path of the field at fault, where one is."""
    code, detail = _row(error)
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    ]
    if detail is not None:
        details.append(detail(error, path))
    return status_pb2.Status(
        code=code.value[0], message=error.message, details=[_packed(each) for each in details]
    )


def _row(error: KeyringError) -> tuple[grpc.StatusCode, _Detail]:
    """The row of the error's class, or of the nearest class it derives from."""
    return next(_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE)


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
