from __future__ import annotations

from uuid import UUID

import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2

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
    VersionState,
)
from kms.rpc.errors import (
    InternalError,
    InvalidPageToken,
    InvalidRequest,
    InvalidTime,
    MalformedRequest,
    RoleRequired,
    code_of,
    status_of,
)
from kms.rpc.roles import Role
from runtime.statuses import DOMAIN, Violation

VIOLATION = Violation("items[0].plaintext", "must be 32 bytes", "bytes.len")
DETAILS: dict[str, type[Message]] = {
    "BadRequest": error_details_pb2.BadRequest,
    "PreconditionFailure": error_details_pb2.PreconditionFailure,
    "ResourceInfo": error_details_pb2.ResourceInfo,
    "RetryInfo": error_details_pb2.RetryInfo,
}
CASES: list[tuple[SidecarError, str, str, str | None]] = [
    (InvalidRequest([VIOLATION]), "INVALID_ARGUMENT", "INVALID_FIELD", "BadRequest"),
    (InvalidTime("since"), "INVALID_ARGUMENT", "INVALID_FIELD", "BadRequest"),
    (MalformedRequest(), "INVALID_ARGUMENT", "INVALID_FIELD", None),
    (InvalidContext("other label"), "INVALID_ARGUMENT", "INVALID_FIELD", "BadRequest"),
    (InvalidPageToken(), "INVALID_ARGUMENT", "INVALID_PAGE_TOKEN", "BadRequest"),
    (UnknownKeyVersion("keyVersions/x"), "NOT_FOUND", "RESOURCE_NOT_FOUND", "ResourceInfo"),
    (LatestVersionConflict("keyVersions/x"), "ABORTED", "CONFLICT", "ResourceInfo"),
    (RequestIdReused(UUID(int=1)), "ABORTED", "REQUEST_ID_REUSED", "ResourceInfo"),
    (
        KeyVersionUnavailable("keyVersions/x"),
        "FAILED_PRECONDITION",
        "KEY_VERSION_UNAVAILABLE",
        "PreconditionFailure",
    ),
    (
        KeyVersionNotPrimary("keyVersions/x"),
        "FAILED_PRECONDITION",
        "KEY_VERSION_NOT_PRIMARY",
        "PreconditionFailure",
    ),
    (
        KeyVersionState("keyVersions/x", VersionState.DECRYPT_ONLY, "cannot become primary"),
        "FAILED_PRECONDITION",
        "KEY_VERSION_STATE",
        "PreconditionFailure",
    ),
    (DecryptUnavailable(), "FAILED_PRECONDITION", "VERIFY_UNAVAILABLE", "PreconditionFailure"),
    (KeyAdminUnavailable("rotate there"), "FAILED_PRECONDITION", "KEY_VERSION_STATE", "PreconditionFailure"),
    (RoleRequired(frozenset({Role.ROUTER})), "PERMISSION_DENIED", "ROLE_REQUIRED", None),
    (KeyringUnavailable(), "UNAVAILABLE", "KMS_UNAVAILABLE", "RetryInfo"),
    (CorruptDataKey(bytes(16)), "DATA_LOSS", "CREDENTIAL_CORRUPT", "ResourceInfo"),
    (InternalError("r-1"), "INTERNAL", "INTERNAL", None),
]


@pytest.mark.parametrize(
    ("error", "code", "reason", "detail"), CASES, ids=[f"{type(case[0]).__name__}" for case in CASES]
)
def test_table(error: SidecarError, code: str, reason: str, detail: str | None) -> None:
    status = status_of(error, "items[0].context")
    assert code_of(error).name == code
    assert status.code == code_of(error).value[0]
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain, dict(info.metadata)) == (reason, DOMAIN, error.metadata)
    assert [each.type_url.rpartition(".")[2] for each in status.details[1:]] == ([detail] if detail else [])
    if detail:
        assert status.details[1].Unpack(DETAILS[detail]())


def test_every_error_is_in_the_table() -> None:
    def subclasses(parent: type[SidecarError]) -> set[type[SidecarError]]:
        return {each for child in parent.__subclasses__() for each in {child} | subclasses(child)}

    ours = {each for each in subclasses(SidecarError) if each.__module__.startswith("kms.")}
    # One that only says more of a reason has the row of the class that has the reason.
    assert {each for each in ours if "reason" in vars(each)} == {type(case[0]) for case in CASES}


def test_the_field_at_fault_is_named() -> None:
    detail = error_details_pb2.BadRequest()
    status_of(InvalidContext("other label"), "items[3].wrapped.context").details[1].Unpack(detail)
    assert [violation.field for violation in detail.field_violations] == ["items[3].wrapped.context"]


def test_a_thousand_violations_fit_into_a_header() -> None:
    status = status_of(InvalidRequest([VIOLATION] * 1024))
    assert len(status.SerializeToString()) < 4096
    assert status.message.endswith("(and 1023 more)")
