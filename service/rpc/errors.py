"""The one table from domain errors to gRPC statuses.

Every status carries exactly one ErrorInfo (domain ``codevector``) and at most one detail of each other type
(AIP-193). No text or detail holds a value the caller sent.
"""

from __future__ import annotations

import math

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from service.domain.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    RegistryError,
    ResourceExhausted,
    Unavailable,
)

DOMAIN = "codevector"

_CODES: tuple[tuple[type[RegistryError], grpc.StatusCode], ...] = (
    (InvalidArgument, grpc.StatusCode.INVALID_ARGUMENT),
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (AlreadyExists, grpc.StatusCode.ALREADY_EXISTS),
    (Aborted, grpc.StatusCode.ABORTED),
    (FailedPrecondition, grpc.StatusCode.FAILED_PRECONDITION),
    (OutOfRange, grpc.StatusCode.OUT_OF_RANGE),
    (ResourceExhausted, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (Unavailable, grpc.StatusCode.UNAVAILABLE),
)


def code_of(error: RegistryError) -> grpc.StatusCode:
    """The status code of an error's kind."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


def status_of(error: RegistryError) -> status_pb2.Status:
    """The complete status of an error: code, message and details."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason.value, domain=DOMAIN, metadata=error.metadata)
    ]
    if isinstance(error, InvalidArgument) and error.violations:
        details.append(_bad_request(error))
    if isinstance(error, FailedPrecondition) and error.violations:
        details.append(_precondition_failure(error))
    if isinstance(error, ResourceExhausted):
        details.append(_quota_failure(error))
    if isinstance(error, ResourceExhausted | Unavailable):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(math.ceil(error.retry_after_seconds * 1000))
        details.append(retry)
    if error.resource is not None:
        details.append(
            error_details_pb2.ResourceInfo(
                resource_type=error.resource.type, resource_name=error.resource.name
            )
        )
    return _status(code_of(error), error.message, details)


def internal_status(request_id: str) -> status_pb2.Status:
    """What a caller is told of a bug: where to look, and nothing else."""
    info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN, metadata={"request_id": request_id})
    text = f"internal error; the service's log has it under request id {request_id}"
    return _status(grpc.StatusCode.INTERNAL, text, [info])


def deadline_status(seconds: float) -> status_pb2.Status:
    """The answer to a call that took longer than its deadline, or than the service's cap."""
    info = error_details_pb2.ErrorInfo(
        reason="DEADLINE_EXCEEDED", domain=DOMAIN, metadata={"seconds": f"{seconds:.3f}"}
    )
    text = "the deadline passed; a write may still have been done: read before repeating it"
    return _status(grpc.StatusCode.DEADLINE_EXCEEDED, text, [info])


def _bad_request(error: InvalidArgument) -> error_details_pb2.BadRequest:
    return error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(
                field=violation.field, description=violation.description, reason=violation.rule
            )
            for violation in error.violations
        ]
    )


def _precondition_failure(error: FailedPrecondition) -> error_details_pb2.PreconditionFailure:
    return error_details_pb2.PreconditionFailure(
        violations=[
            error_details_pb2.PreconditionFailure.Violation(
                type=violation.type, subject=violation.subject, description=violation.description
            )
            for violation in error.violations
        ]
    )


def _quota_failure(error: ResourceExhausted) -> error_details_pb2.QuotaFailure:
    violation = error_details_pb2.QuotaFailure.Violation(subject=error.subject, description=error.message)
    return error_details_pb2.QuotaFailure(violations=[violation])


def _status(code: grpc.StatusCode, message: str, details: list[Message]) -> status_pb2.Status:
    status = status_pb2.Status(code=code_pb2.Code.Value(code.name), message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
