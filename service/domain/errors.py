"""The error taxonomy: what can go wrong, independent of the wire.

One base class; its subclasses are kinds, and ``rpc/errors.py`` holds the one table from kind to gRPC status.
A message never holds a value that the caller sent: it may be a secret pasted into the wrong field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """``ErrorInfo.reason`` values: stable names that clients branch on."""

    INVALID_FIELD = "INVALID_FIELD"
    INVALID_FILTER = "INVALID_FILTER"
    INVALID_UPDATE_MASK = "INVALID_UPDATE_MASK"
    INVALID_PAGE_TOKEN = "INVALID_PAGE_TOKEN"  # noqa: S105 - a name, not a token
    CONFIG_KIND_MISMATCH = "CONFIG_KIND_MISMATCH"
    CREDENTIAL_TYPE_MISMATCH = "CREDENTIAL_TYPE_MISMATCH"
    KIND_MISMATCH = "KIND_MISMATCH"
    FIELD_IMMUTABLE = "FIELD_IMMUTABLE"
    RESOURCE_NOT_FOUND = "RESOURCE_NOT_FOUND"
    NAME_TAKEN = "NAME_TAKEN"
    DISPLAY_NAME_TAKEN = "DISPLAY_NAME_TAKEN"
    UPSTREAM_MODEL_EXISTS = "UPSTREAM_MODEL_EXISTS"
    PROVIDER_HAS_MODELS = "PROVIDER_HAS_MODELS"
    MODEL_HAS_BACKENDS = "MODEL_HAS_BACKENDS"
    TOO_MANY_BACKENDS = "TOO_MANY_BACKENDS"
    CREDENTIAL_REENTRY_REQUIRED = "CREDENTIAL_REENTRY_REQUIRED"
    RESOURCE_CORRUPT = "RESOURCE_CORRUPT"
    CATALOG_UNAVAILABLE = "CATALOG_UNAVAILABLE"
    CATALOG_VERSION_UNAVAILABLE = "CATALOG_VERSION_UNAVAILABLE"
    PROVIDER_DISABLED = "PROVIDER_DISABLED"
    NO_STORED_CREDENTIAL = "NO_STORED_CREDENTIAL"
    CREDENTIAL_REJECTED = "CREDENTIAL_REJECTED"
    STORED_CREDENTIAL_UNREADABLE = "STORED_CREDENTIAL_UNREADABLE"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    CREDENTIAL_VERSION_MISMATCH = "CREDENTIAL_VERSION_MISMATCH"
    IMPACT_CHANGED = "IMPACT_CHANGED"
    PLAN_CHANGED = "PLAN_CHANGED"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    CONFLICT = "CONFLICT"
    KMS_UNAVAILABLE = "KMS_UNAVAILABLE"
    KMS_CANNOT_VERIFY = "KMS_CANNOT_VERIFY"
    SERVER_BUSY = "SERVER_BUSY"
    UPSTREAM_BUSY = "UPSTREAM_BUSY"
    STORE_BUSY = "STORE_BUSY"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    SERVER_STARTING = "SERVER_STARTING"
    SERVER_DRAINING = "SERVER_DRAINING"
    REVISION_COMPACTED = "REVISION_COMPACTED"
    STORE_CHANGED = "STORE_CHANGED"
    RESUME_TOKEN_REQUIRED = "RESUME_TOKEN_REQUIRED"  # noqa: S105 - a reason, not a secret
    REVISION_AHEAD = "REVISION_AHEAD"
    TOO_MANY_CALLS = "TOO_MANY_CALLS"
    UNREAD_RESPONSES = "UNREAD_RESPONSES"
    REVISION_NOT_REACHED = "REVISION_NOT_REACHED"
    TOO_MANY_WATCHERS = "TOO_MANY_WATCHERS"
    TOO_MANY_ROUTERS = "TOO_MANY_ROUTERS"
    ROUTER_STOPPED = "ROUTER_STOPPED"
    WATCHER_STALLED = "WATCHER_STALLED"


PROVIDER_TYPE = "codevector/Provider"
PROVIDER_MODEL_TYPE = "codevector/ProviderModel"
MODEL_TYPE = "codevector/Model"
CATALOG_TYPE = "codevector/Catalog"
"""The resource types of `ResourceRef`, as the API's annotations spell them."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One broken rule of one field. ``field`` is the snake_case proto path; ``rule`` names the rule."""

    field: str
    description: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class ResourceRef:
    """The resource an error is about, as ``google.rpc.ResourceInfo`` wants it."""

    type: str
    name: str


@dataclass(frozen=True, slots=True)
class PreconditionViolation:
    """What stands in the way, as ``google.rpc.PreconditionFailure`` wants it."""

    type: str
    subject: str
    description: str


_LOGGED = ("field", "cause", "sqlstate", "right")


class RegistryError(Exception):
    """Base of every error the registry raises on purpose.

    ``metadata`` repeats each variable of ``message`` (AIP-193), as strings.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: Reason,
        metadata: Mapping[str, str] | None = None,
        resource: ResourceRef | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.metadata: dict[str, str] = dict(metadata or {})
        self.resource = resource

    @property
    def log_fields(self) -> dict[str, str]:
        """The reason, and of the metadata what says why without holding what a caller sent."""
        return {"reason": self.reason.value} | {
            name: self.metadata[name] for name in _LOGGED if name in self.metadata
        }


class InvalidArgument(RegistryError):
    """The request can never succeed as it is: fix the named fields."""

    def __init__(
        self,
        message: str,
        *,
        reason: Reason = Reason.INVALID_FIELD,
        violations: Sequence[FieldViolation] = (),
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.violations = tuple(violations)


def invalid_field(
    field: str, description: str, *, rule: str = "", reason: Reason = Reason.INVALID_FIELD
) -> InvalidArgument:
    """The common case: one field, one rule."""
    return InvalidArgument(
        f"{field}: {description}",
        reason=reason,
        violations=[FieldViolation(field, description, rule)],
        metadata={"field": field},
    )


class NotFound(RegistryError):
    """The named resource does not exist, or not where it was looked for, as ``message`` then says."""

    def __init__(self, resource: ResourceRef, message: str = "") -> None:
        super().__init__(
            message or f"{resource.name} does not exist",
            reason=Reason.RESOURCE_NOT_FOUND,
            metadata={"name": resource.name},
            resource=resource,
        )


class AlreadyExists(RegistryError):
    """Something else holds the id, display name or upstream id; ``resource`` is the holder."""


class Aborted(RegistryError):
    """A race was lost or a precondition token is stale: read again, then retry."""


class FailedPrecondition(RegistryError):
    """The state of the registry forbids this until something else is done first."""

    def __init__(
        self,
        message: str,
        *,
        reason: Reason,
        violations: Sequence[PreconditionViolation] = (),
        metadata: Mapping[str, str] | None = None,
        resource: ResourceRef | None = None,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata, resource=resource)
        self.violations = tuple(violations)


class Unavailable(RegistryError):
    """A part the request needs is away; nothing was written. Retry after ``retry_after_seconds``."""

    def __init__(
        self,
        message: str,
        *,
        reason: Reason,
        metadata: Mapping[str, str] | None = None,
        retry_after_seconds: float = 1.0,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.retry_after_seconds = retry_after_seconds


class OutOfRange(RegistryError):
    """A revision that this store cannot start from, or has not reached."""


class ResourceExhausted(RegistryError):
    """There is too much of ``subject``. Retry after ``retry_after_seconds``."""

    def __init__(
        self,
        message: str,
        *,
        reason: Reason,
        subject: str,
        metadata: Mapping[str, str] | None = None,
        retry_after_seconds: float,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.subject = subject
        self.retry_after_seconds = retry_after_seconds
