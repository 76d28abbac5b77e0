"""The one table from domain errors to gRPC statuses.

No text or detail holds a value the caller sent.
"""

from __future__ import annotations

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from runtime import statuses
from runtime.statuses import Violation
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
    """Return the status code of an error's kind."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


def status_of(error: RegistryError) -> status_pb2.Status:
    """Return the complete status of an error: code, message and details."""
    details: list[Message] = []
    if isinstance(error, InvalidArgument) and error.violations:
        details.append(
            statuses.bad_request(Violation(v.field, v.description, v.rule) for v in error.violations)
        )
    if isinstance(error, FailedPrecondition) and error.violations:
        details.append(
            statuses.precondition_failure(
                Violation(v.subject, v.description, v.type) for v in error.violations
            )
        )
    if isinstance(error, ResourceExhausted):
        details.append(_quota_failure(error))
    if isinstance(error, ResourceExhausted | Unavailable):
        details.append(statuses.retry_info(error.retry_after_seconds))
    if error.resource is not None:
        details.append(
            error_details_pb2.ResourceInfo(
                resource_type=error.resource.type, resource_name=error.resource.name
            )
        )
    return statuses.make(
        code_of(error), error.message, reason=error.reason.value, metadata=error.metadata, details=details
    )


def internal_status(request_id: str) -> status_pb2.Status:
    """Return the status of a bug: where to look, and nothing else."""
    text = f"internal error; the service's log has it under request id {request_id}"
    return statuses.make(
        grpc.StatusCode.INTERNAL, text, reason="INTERNAL", metadata={"request_id": request_id}
    )


def deadline_status(seconds: float) -> status_pb2.Status:
    """Return the answer to a call that took longer than its deadline, or than the service's cap."""
    text = "the deadline passed; a write may still have been done: read before repeating it"
    return statuses.make(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        text,
        reason="DEADLINE_EXCEEDED",
        metadata={"seconds": f"{seconds:.3f}"},
    )


def _quota_failure(error: ResourceExhausted) -> error_details_pb2.QuotaFailure:
    violation = error_details_pb2.QuotaFailure.Violation(subject=error.subject, description=error.message)
    return error_details_pb2.QuotaFailure(violations=[violation])
