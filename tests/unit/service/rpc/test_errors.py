"""The table from domain errors to statuses."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from service.domain.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
    PreconditionViolation,
    Reason,
    RegistryError,
    ResourceRef,
    Unavailable,
)
from service.rpc.errors import code_of, deadline_status, internal_status, status_of

PROVIDER = ResourceRef("codevector/Provider", "providers/acme")


def kinds_of(error: type[RegistryError]) -> Iterator[type[RegistryError]]:
    for kind in error.__subclasses__():
        yield kind
        yield from kinds_of(kind)


def details(status: status_pb2.Status) -> dict[str, bytes]:
    found = {packed.type_url.rpartition(".")[2]: packed.value for packed in status.details}
    assert len(found) == len(status.details)
    return found


@pytest.mark.parametrize("kind", list(kinds_of(RegistryError)), ids=lambda kind: kind.__name__)
def test_every_kind_of_error_has_a_code(kind: type[RegistryError]) -> None:
    error = kind.__new__(kind)
    assert code_of(error) not in (grpc.StatusCode.OK, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)


@pytest.mark.parametrize(
    ("error", "code", "beside"),
    [
        (
            InvalidArgument("x", violations=[FieldViolation("a.b", "is bad", "rule")]),
            grpc.StatusCode.INVALID_ARGUMENT,
            {"BadRequest"},
        ),
        (InvalidArgument("x"), grpc.StatusCode.INVALID_ARGUMENT, set()),
        (NotFound(PROVIDER), grpc.StatusCode.NOT_FOUND, {"ResourceInfo"}),
        (
            AlreadyExists("x", reason=Reason.NAME_TAKEN, resource=PROVIDER),
            grpc.StatusCode.ALREADY_EXISTS,
            {"ResourceInfo"},
        ),
        (
            Aborted("x", reason=Reason.ETAG_MISMATCH, resource=PROVIDER),
            grpc.StatusCode.ABORTED,
            {"ResourceInfo"},
        ),
        (Aborted("x", reason=Reason.CONFLICT), grpc.StatusCode.ABORTED, set()),
        (
            FailedPrecondition(
                "x", reason=Reason.PROVIDER_HAS_MODELS, violations=[PreconditionViolation("T", "s", "d")]
            ),
            grpc.StatusCode.FAILED_PRECONDITION,
            {"PreconditionFailure"},
        ),
        (
            Unavailable("x", reason=Reason.KMS_UNAVAILABLE, retry_after_seconds=0.25),
            grpc.StatusCode.UNAVAILABLE,
            {"RetryInfo"},
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, RegistryError) else "",
)
def test_code_and_details(error: RegistryError, code: grpc.StatusCode, beside: set[str]) -> None:
    status = status_of(error)
    assert (status.code, status.message) == (code.value[0], error.message)
    found = details(status)
    assert found.keys() == {"ErrorInfo"} | beside
    info = error_details_pb2.ErrorInfo.FromString(found["ErrorInfo"])
    assert (info.reason, info.domain) == (error.reason.value, "codevector")
    assert dict(info.metadata) == error.metadata


def test_the_parts_of_each_detail() -> None:
    bad = details(status_of(InvalidArgument("x", violations=[FieldViolation("a.b", "is bad", "rule")])))
    [violation] = error_details_pb2.BadRequest.FromString(bad["BadRequest"]).field_violations
    assert (violation.field, violation.description, violation.reason) == ("a.b", "is bad", "rule")

    away = Unavailable("x", reason=Reason.KMS_UNAVAILABLE, retry_after_seconds=0.25)
    retry = error_details_pb2.RetryInfo.FromString(details(status_of(away))["RetryInfo"])
    assert retry.retry_delay.ToMilliseconds() == 250

    gone = error_details_pb2.ResourceInfo.FromString(details(status_of(NotFound(PROVIDER)))["ResourceInfo"])
    assert (gone.resource_type, gone.resource_name) == (PROVIDER.type, PROVIDER.name)


def test_a_bug_is_told_by_its_request_id_alone() -> None:
    status = internal_status("trace-1")
    info = error_details_pb2.ErrorInfo.FromString(details(status)["ErrorInfo"])
    assert (status.code, info.reason) == (grpc.StatusCode.INTERNAL.value[0], "INTERNAL")
    assert dict(info.metadata) == {"request_id": "trace-1"}


def test_a_deadline_says_that_a_write_may_have_been_done() -> None:
    status = deadline_status(1.5)
    assert status.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert "may still have been done" in status.message
