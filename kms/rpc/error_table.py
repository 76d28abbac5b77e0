"""The sidecar's error table: each reason, its code, what it means, what to do. Makes docs/errors.md."""

from __future__ import annotations

from grpc import StatusCode

from runtime.statuses import Retry, Row

_C = StatusCode
TABLE = (
    Row(
        "INVALID_FIELD",
        _C.INVALID_ARGUMENT,
        "A field breaks a rule of its shape, or a context belongs to another installation.",
        "Mend the fields that the BadRequest names.",
        Retry.NO,
    ),
    Row(
        "INVALID_PAGE_TOKEN",
        _C.INVALID_ARGUMENT,
        "This process did not issue the token for this request.",
        "Repeat the first page's request without a token.",
        Retry.NO,
    ),
    Row(
        "RESOURCE_NOT_FOUND",
        _C.NOT_FOUND,
        "No key version has this name.",
        "List them with `providerctl key list`.",
        Retry.NO,
    ),
    Row(
        "CONFLICT",
        _C.ABORTED,
        "Another caller created a key version in the meantime.",
        "List the versions, then decide again.",
        Retry.AFTER_READ,
    ),
    Row(
        "REQUEST_ID_REUSED",
        _C.ABORTED,
        "The request_id was used for another request.",
        "Use a new UUID for each new request.",
        Retry.NO,
    ),
    Row(
        "KEY_VERSION_UNAVAILABLE",
        _C.FAILED_PRECONDITION,
        "The key version is unknown here, disabled or destroyed.",
        "Fetch the sealed credential again; enable the version, or restore the keyring.",
        Retry.AFTER_CHANGE,
    ),
    Row(
        "KEY_VERSION_NOT_PRIMARY",
        _C.FAILED_PRECONDITION,
        "Data keys are rewrapped to the primary version only.",
        "Read the status again, and name its primary.",
        Retry.AFTER_READ,
    ),
    Row(
        "KEY_VERSION_STATE",
        _C.FAILED_PRECONDITION,
        "The state of the key version does not allow this.",
        "See the message for the state it has to be in.",
        Retry.AFTER_CHANGE,
    ),
    Row(
        "VERIFY_UNAVAILABLE",
        _C.FAILED_PRECONDITION,
        "This sidecar may wrap but not open.",
        "Verify with a sidecar that may.",
        Retry.NO,
    ),
    Row(
        "ROLE_REQUIRED",
        _C.PERMISSION_DENIED,
        "The socket's role may not call this method.",
        "Use the socket of the role in the metadata.",
        Retry.NO,
    ),
    Row(
        "KMS_UNAVAILABLE",
        _C.UNAVAILABLE,
        "The keyring cannot be read or written at the moment.",
        "See the sidecar's log; retry after the RetryInfo's delay.",
        Retry.YES,
    ),
    Row(
        "CREDENTIAL_CORRUPT",
        _C.DATA_LOSS,
        "The wrapped key, its version or its commitment is not what was stored.",
        "Never retry: store the credential again, and find out who changed it.",
        Retry.NO,
    ),
    Row(
        "INTERNAL",
        _C.INTERNAL,
        "A bug of the sidecar.",
        "Look for the request id in the sidecar's log.",
        Retry.NO,
    ),
)
