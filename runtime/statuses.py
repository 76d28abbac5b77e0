"""``google.rpc.Status``: how our processes make one, send it, and read it out of a call that failed.

Every status of ours carries exactly one ErrorInfo of our domain, and at most one detail of each other type
(AIP-193).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "codevector"
TRAILER = "grpc-status-details-bin"
"""The trailer that carries a serialised status. Source: gRPC's "richer error model"."""

_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class Violation:
    """One entry of a BadRequest or a PreconditionFailure: what is at fault, why, and the rule's name."""

    subject: str
    description: str
    rule: str = ""

    def __str__(self) -> str:
        return f"{self.subject}: {self.description}"


@dataclass(frozen=True, slots=True)
class Details:
    """What a status says besides its code and message. ``reason`` is empty where it has no ErrorInfo."""

    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[Violation, ...] = ()
    preconditions: tuple[Violation, ...] = ()
    retry_seconds: float | None = None


class Retry(Enum):
    """Whether the same request can succeed later."""

    NO = "no"
    AFTER_CHANGE = "after the fix"
    AFTER_READ = "after reading again"
    YES = "yes, with backoff"


@dataclass(frozen=True, slots=True)
class Row:
    """One reason of a process's error table: its code, what it means, and what to do."""

    reason: str
    code: grpc.StatusCode
    meaning: str
    action: str
    retry: Retry


def make(
    code: grpc.StatusCode,
    message: str,
    *,
    reason: str,
    metadata: Mapping[str, str],
    details: Sequence[Message] = (),
) -> status_pb2.Status:
    """Return a status with its ErrorInfo, then ``details``."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
    status = status_pb2.Status(code=code.value[0], message=message)
    status.details.extend(_packed(detail) for detail in (info, *details))
    return status


def bad_request(violations: Iterable[Violation]) -> Message:
    """Return the detail of an INVALID_ARGUMENT."""
    field = error_details_pb2.BadRequest.FieldViolation
    detail: Message = error_details_pb2.BadRequest(
        field_violations=[
            field(field=v.subject, description=v.description, reason=v.rule) for v in violations
        ]
    )
    return detail


def precondition_failure(violations: Iterable[Violation]) -> Message:
    """Return the detail of a FAILED_PRECONDITION."""
    violation = error_details_pb2.PreconditionFailure.Violation
    detail: Message = error_details_pb2.PreconditionFailure(
        violations=[violation(type=v.rule, subject=v.subject, description=v.description) for v in violations]
    )
    return detail


def retry_info(seconds: float) -> Message:
    """Return when to try again, rounded up to a millisecond."""
    delay = Duration()
    delay.FromMilliseconds(math.ceil(seconds * 1000))
    detail: Message = error_details_pb2.RetryInfo(retry_delay=delay)
    return detail


def trailers(status: status_pb2.Status) -> tuple[tuple[str, str | bytes], ...]:
    """Return the trailing metadata that carries ``status`` beside gRPC's own code and message."""
    return ((TRAILER, status.SerializeToString()),)


class Aborted(grpc.Status):
    """How a handler of a synchronous server ends a call: ``context.abort_with_status(Aborted(status))``.

    ``more`` is what the trailers say besides: aborting replaces those that were set before.
    """

    def __init__(self, status: status_pb2.Status, *more: tuple[str, str]) -> None:
        self.code = code_of(status)
        self.details = status.message
        self.trailing_metadata = (*trailers(status), *more)


def code_of(status: status_pb2.Status) -> grpc.StatusCode:
    """Return gRPC's code; UNKNOWN for a number that is none."""
    return _CODES.get(status.code, grpc.StatusCode.UNKNOWN)


def status_of(error: grpc.RpcError) -> status_pb2.Status | None:
    """Return the status that the server sent; None where the failure is not its own word.

    A call that never reached the server, that timed out, or that a proxy ended has no such trailer.
    """
    if not isinstance(error, grpc.Call):
        return None
    for key, value in error.trailing_metadata() or ():
        if key == TRAILER and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None


def read(status: status_pb2.Status) -> Details:
    """Return what the details say. Other types, and bytes that do not parse, are left out."""
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    failed = error_details_pb2.PreconditionFailure()
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        for known in (info, bad, failed, retry):
            with suppress(DecodeError):
                detail.Unpack(known)
    delay = retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None
    return Details(
        reason=info.reason,
        metadata=dict(info.metadata),
        fields=tuple(Violation(v.field, v.description, v.reason) for v in bad.field_violations),
        preconditions=tuple(Violation(v.subject, v.description, v.type) for v in failed.violations),
        retry_seconds=delay,
    )


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
