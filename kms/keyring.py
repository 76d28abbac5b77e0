"""What the rest of the sidecar knows of a keyring: its values, its errors, its two interfaces.

Every backend implements ``Keyring`` and ``KeyVersions``, and the contract suite runs against each. A batch
returns one result per item, in order: an item's failure is a value, a failure of the whole call is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import NoReturn, Protocol
from uuid import UUID

from kms.errors import SidecarError

DATA_KEY_LENGTH = 32
KEY_VERSION_PREFIX = "keyVersions/"


class DataKey:
    """A DEK of 32 bytes: never printed, never pickled, wiped on request.

    Wiping is best effort: copies made by a wire library are beyond reach, the boundary is the process.
    """

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes | bytearray) -> None:
        """Take over a bytearray, or copy bytes. Raises ValueError unless ``octets`` has 32 bytes."""
        if len(octets) != DATA_KEY_LENGTH:
            raise ValueError(f"a data key has {DATA_KEY_LENGTH} bytes")
        self._octets = octets if isinstance(octets, bytearray) else bytearray(octets)

    @property
    def octets(self) -> bytearray:
        """The key itself; zeros once wiped."""
        return self._octets

    def wipe(self) -> None:
        """Overwrite the key with zeros."""
        self._octets[:] = bytes(DATA_KEY_LENGTH)

    def __repr__(self) -> str:
        return "DataKey(<redacted>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a data key cannot be serialised")


class Backend(Enum):
    """Where the KEKs are."""

    LOCAL_KEYRING = "local"
    VAULT_TRANSIT = "vault-transit"


class VersionState(Enum):
    """The life of a KEK version; the value is its word in stored files."""

    PENDING = "PENDING"
    PRIMARY = "PRIMARY"
    DECRYPT_ONLY = "DECRYPT_ONLY"
    DISABLED = "DISABLED"
    DESTROY_SCHEDULED = "DESTROY_SCHEDULED"
    DESTROYED = "DESTROYED"


SOAK = timedelta(days=7)
"""How long a version must have been DISABLED before its destruction may be scheduled."""

DESTRUCTION_DELAY_DEFAULT = timedelta(days=30)
DESTRUCTION_DELAY_FLOOR = timedelta(days=7)
DESTRUCTION_DELAY_CEILING = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One KEK version as callers see it. ``name`` is ``keyVersions/{v}``, never used twice.

    ``destroy_time`` is set where the state is DESTROY_SCHEDULED (when it will be) or DESTROYED (when it was).
    """

    name: str
    state: VersionState
    algorithm: str
    create_time: datetime
    destroy_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyringStatus:
    """The state of a keyring. ``seq`` grows with each change; a smaller one means a rolled-back keyring."""

    backend: Backend
    deployment_id: bytes
    primary: str
    accepted: tuple[str, ...]
    wrap_healthy: bool
    unwrap_healthy: bool
    message: str
    seq: int


@dataclass(frozen=True, slots=True)
class WrapItem:
    """A DEK to wrap, with the CTX bytes it will open in."""

    context: bytes
    data_key: DataKey


@dataclass(frozen=True, slots=True)
class WrappedDataKey:
    """A wrapped key with its version's name, key commitment and CTX."""

    wrapped: bytes
    key_version: str
    commitment: bytes
    context: bytes


class KeyringError(SidecarError):
    """A keyring does not do what was asked, for a whole call or for one item of a batch."""


class InvalidContext(KeyringError):
    """The CTX is malformed, or belongs to another deployment or audience."""

    reason = "INVALID_FIELD"


class CorruptDataKey(KeyringError):
    """The wrapped key, its version or its commitment is not what was stored. One text for every check."""

    reason = "CREDENTIAL_CORRUPT"

    def __init__(self, data_key_id: bytes) -> None:
        super().__init__("the wrapped data key cannot be opened", data_key_id=data_key_id.hex())


class KeyVersionUnavailable(KeyringError):
    """This keyring holds no such version, or may not use it."""

    reason = "KEY_VERSION_UNAVAILABLE"

    def __init__(self, name: str) -> None:
        super().__init__(f"key version {name} is unknown, disabled or destroyed here", key_version=name)


class KeyVersionNotPrimary(KeyringError):
    """Rewrapping goes to the primary version only."""

    reason = "KEY_VERSION_NOT_PRIMARY"

    def __init__(self, primary: str) -> None:
        super().__init__(
            f"target_key_version must be the primary version, {primary}", primary_key_version=primary
        )


class KeyVersionState(KeyringError):
    """The version's state does not allow the act; ``why`` ends the sentence."""

    reason = "KEY_VERSION_STATE"

    def __init__(self, name: str, state: VersionState, why: str) -> None:
        super().__init__(f"{name} is {state.value} and {why}", key_version=name, state=state.value)


class UnknownKeyVersion(KeyringError):
    """There is no version of that name."""

    reason = "RESOURCE_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(f"key version {name} not found", key_version=name)


class LatestVersionConflict(KeyringError):
    """Another caller created a version in the meantime."""

    reason = "CONFLICT"

    def __init__(self, latest: str) -> None:
        super().__init__(f"expected_latest must be the newest version, {latest}", current_latest=latest)


class RequestIdReused(KeyringError):
    """The request id was used before, with another request."""

    reason = "REQUEST_ID_REUSED"

    def __init__(self, request_id: UUID) -> None:
        super().__init__(
            f"request_id {request_id} was used for another request: send a new one",
            request_id=str(request_id),
        )


class KeyringUnavailable(KeyringError):
    """The keyring cannot be read or written at the moment; nothing was acknowledged."""

    reason = "KMS_UNAVAILABLE"

    def __init__(self, message: str = "the keyring file could not be written or read back") -> None:
        super().__init__(message)


class DecryptUnavailable(KeyringError):
    """This sidecar's identity may wrap but not open; another sidecar verifies."""

    reason = "VERIFY_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("this sidecar may only wrap data keys: call one whose identity may decrypt")


class KeyAdminUnavailable(KeyringError):
    """This sidecar may not change versions: change them where the keys are, and it follows."""

    reason = "KEY_VERSION_STATE"

    def __init__(self, message: str) -> None:
        super().__init__(message)


class Keyring(Protocol):
    """Wraps and opens data keys. tests/contract/kms holds the contract in full."""

    def status(self) -> KeyringStatus:
        """Return the state of the keyring, from memory: it is polled."""

    def wrap(self, items: Sequence[WrapItem]) -> list[WrappedDataKey | KeyringError]:
        """Wrap each DEK under the primary version."""

    def unwrap(self, items: Sequence[WrappedDataKey]) -> list[DataKey | KeyringError]:
        """Open each wrapped key in its context and check its commitment."""

    def rewrap(self, items: Sequence[WrappedDataKey], target: str) -> list[WrappedDataKey | KeyringError]:
        """Move each wrapped key to ``target`` and check its commitment; return one that is there unchanged.

        Raises:
            KeyVersionNotPrimary: ``target`` is not the primary version.
        """

    def verify(self, items: Sequence[WrappedDataKey]) -> list[KeyringError | None]:
        """Open each wrapped key and check its commitment; None where all is well."""


class KeyVersions(Protocol):
    """Administers the versions of a keyring. tests/contract/kms holds the contract in full.

    Each act on a named version raises:
        UnknownKeyVersion: there is no such version.
        KeyVersionState: its state does not allow the act.
        KeyringUnavailable: the change could not be stored.
        KeyAdminUnavailable: this sidecar may not change versions.
    """

    def list_versions(self) -> list[KeyVersion]:
        """Return all versions, oldest first."""

    def create_version(self, request_id: UUID, expected_latest: str) -> KeyVersion:
        """Create a PENDING version, durable and tested. A repeated request returns what the first one made.

        Transit creates by rotating, so there the version is PRIMARY at once.

        Raises:
            LatestVersionConflict: ``expected_latest`` is not the newest version.
            RequestIdReused: ``request_id`` was used before with another ``expected_latest``.
            KeyringUnavailable: the new version could not be stored.
        """

    def activate_version(self, name: str) -> KeyVersion:
        """Make a PENDING version the primary and the old primary DECRYPT_ONLY; a no-op on the primary.

        Refused for a version that is older than the primary.
        """

    def disable_version(self, name: str, *, confirmed_unreferenced: bool) -> KeyVersion:
        """Stop a version from opening (KEY_VERSION_UNAVAILABLE from now on); a no-op on a DISABLED one.

        Refused for the primary, and unless the caller confirms that no data key refers to the version.
        Local: each version by itself. Transit: raises min_decryption_version, so the versions before this one
        must be disabled first.
        """

    def enable_version(self, name: str) -> KeyVersion:
        """Make a DISABLED version DECRYPT_ONLY; a no-op on a DECRYPT_ONLY one.

        Transit: lowers min_decryption_version, so the versions after this one are enabled too.
        """

    def schedule_destruction(self, name: str, delay: timedelta) -> KeyVersion:
        """Have the key of a version destroyed ``delay`` from now; a version already scheduled keeps its time.

        Refused unless the version has been DISABLED for SOAK and ``delay`` is within its bounds.
        """

    def cancel_destruction(self, name: str) -> KeyVersion:
        """Make a DESTROY_SCHEDULED version DISABLED again; a no-op on a DISABLED one."""

    def destroy_due(self) -> list[KeyVersion]:
        """Destroy the keys whose time has come, and return those versions, now DESTROYED.

        Called at start and every few seconds while serving. Local: no file of the keyring holds the key
        afterwards, and a destruction that was cut off is finished. Transit: trims the key, which takes a
        version only together with all before it.

        Raises:
            KeyringUnavailable: that could not be done or stored; the next call tries again.
        """


@dataclass(frozen=True, slots=True)
class OpenKeyring:
    """An open keyring and its versions.

    Every ref begins with ``prefix``, known also while the keyring is away. ``refreshes`` are called every few
    seconds, so that the keyring notices what others changed.
    """

    keyring: Keyring
    versions: KeyVersions
    prefix: str
    refreshes: tuple[Callable[[], None], ...] = ()
