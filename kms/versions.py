"""The life of a KEK version: its record, what each act makes of the record, and when an act is refused.

    PENDING → PRIMARY → DECRYPT_ONLY → DISABLED → DESTROY_SCHEDULED → DESTROYED
                             ↑____________|  ↑___________|

Pure: records in, records out, for every backend. A repeated act returns the record it was given. Each act
raises KeyVersionState where the state does not allow it. Sees no key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from kms.clocks import SECOND_LOOK, Look
from kms.keyring import (
    DESTRUCTION_DELAY_CEILING,
    DESTRUCTION_DELAY_FLOOR,
    KEY_VERSION_PREFIX,
    SOAK,
    KeyVersion,
    KeyVersionState,
    UnknownKeyVersion,
    VersionState,
)

ALGORITHM = "AES_256_GCM"

OPENING = frozenset({VersionState.PENDING, VersionState.PRIMARY, VersionState.DECRYPT_ONLY})
"""The states in which a version opens wrapped keys."""


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """What a backend remembers of one version, apart from its key.

    ``request_id`` and ``expected_latest`` are those of the request that created it, so that a repeat is
    recognised. ``disable_time`` is set from DISABLED on, ``destroy_time`` from DESTROY_SCHEDULED on.
    ``seen_time`` is the first look that found the end of the soak, or the time of destruction, to be past.
    """

    ref: str
    number: int
    state: VersionState
    create_time: datetime
    request_id: str
    expected_latest: str
    disable_time: datetime | None = None
    destroy_time: datetime | None = None
    seen_time: datetime | None = None

    @property
    def name(self) -> str:
        """The resource name, ``keyVersions/{ref}``."""
        return KEY_VERSION_PREFIX + self.ref

    @property
    def public(self) -> KeyVersion:
        """The version as callers see it."""
        return KeyVersion(self.name, self.state, ALGORITHM, self.create_time, self.destroy_time)


def named(records: Iterable[VersionRecord], name: str) -> VersionRecord:
    """Return the record of a version. Raises UnknownKeyVersion."""
    for record in records:
        if record.name == name:
            return record
    raise UnknownKeyVersion(name)


def whole_seconds(moment: datetime) -> datetime:
    """Return a time as files hold it: UTC, whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0)


def activated(version: VersionRecord, primary: VersionRecord) -> tuple[VersionRecord, VersionRecord]:
    """Return the former primary and the new one."""
    if version.state is not VersionState.PENDING:
        raise _refusal(version, "cannot become primary: only a PENDING version can")
    # An older PENDING version would take the primary back to a KEK that predates the last rotation.
    if version.number < primary.number:
        raise _refusal(version, f"cannot become primary: it is older than the primary, {primary.name}")
    return replace(primary, state=VersionState.DECRYPT_ONLY), replace(version, state=VersionState.PRIMARY)


def disabled(version: VersionRecord, now: datetime, *, confirmed_unreferenced: bool) -> VersionRecord:
    """Return the version as DISABLED. A PENDING version that was passed over is disabled like any other."""
    if not confirmed_unreferenced:
        raise _refusal(
            version, "cannot be disabled: set confirmed_unreferenced once no data key refers to it"
        )
    if version.state is VersionState.DISABLED:
        return version
    if version.state not in (VersionState.DECRYPT_ONLY, VersionState.PENDING):
        raise _refusal(version, "cannot be disabled: only a DECRYPT_ONLY or PENDING version can")
    return replace(version, state=VersionState.DISABLED, disable_time=whole_seconds(now))


def enabled(version: VersionRecord) -> VersionRecord:
    """Return the version as DECRYPT_ONLY again."""
    if version.state is VersionState.DECRYPT_ONLY:
        return version
    if version.state is not VersionState.DISABLED:
        raise _refusal(version, "cannot be enabled: only a DISABLED version can")
    return replace(version, state=VersionState.DECRYPT_ONLY, disable_time=None, seen_time=None)


def scheduled(version: VersionRecord, look: Look, delay: timedelta) -> VersionRecord:
    """Return the version as DESTROY_SCHEDULED, ``delay`` from now."""
    if version.state is VersionState.DESTROY_SCHEDULED:
        return version
    if version.state is not VersionState.DISABLED or version.disable_time is None:
        raise _refusal(version, "cannot be scheduled for destruction: disable it first")
    if not DESTRUCTION_DELAY_FLOOR <= delay <= DESTRUCTION_DELAY_CEILING:
        raise _refusal(
            version, f"cannot be scheduled: delay must be 7 to 365 days, such as 2592000s, not {_text(delay)}"
        )
    now = whole_seconds(look.now)
    if now - version.disable_time < SOAK:
        raise _refusal(
            version,
            f"cannot be scheduled before {(version.disable_time + SOAK).isoformat()}: "
            f"a version must be disabled for {SOAK.days} days first",
        )
    if not _has_come(version, look):
        first = noted(version, look).seen_time or now
        raise _refusal(
            version,
            f"cannot be scheduled before {(first + SECOND_LOOK).isoformat()}: the sidecar did not see its "
            f"{SOAK.days} days end by a steady clock, so it looks twice, a day apart",
        )
    return replace(version, state=VersionState.DESTROY_SCHEDULED, destroy_time=now + delay, seen_time=None)


def cancelled(version: VersionRecord) -> VersionRecord:
    """Return the version as DISABLED again. It was disabled all the while, so its soak time goes on."""
    if version.state is VersionState.DISABLED:
        return version
    if version.state is not VersionState.DESTROY_SCHEDULED:
        raise _refusal(version, "has no scheduled destruction to cancel")
    return replace(version, state=VersionState.DISABLED, destroy_time=None, seen_time=None)


def is_due(version: VersionRecord, look: Look) -> bool:
    """Return whether the key of this version is to be destroyed by now."""
    return version.state is VersionState.DESTROY_SCHEDULED and _has_come(version, look)


def noted(version: VersionRecord, look: Look) -> VersionRecord:
    """Return the version with the first look that found its time to be past; to be stored at each look."""
    time, seen = _awaited(version), version.seen_time
    if time is None or look.now < time:
        seen = None
    elif seen is None or (look.jumped and whole_seconds(look.since) > seen):
        seen = whole_seconds(look.now)
    return version if seen == version.seen_time else replace(version, seen_time=seen)


def destroyed(version: VersionRecord, now: datetime) -> VersionRecord:
    """Return the tombstone of a version."""
    return replace(version, state=VersionState.DESTROYED, destroy_time=whole_seconds(now), seen_time=None)


def _awaited(version: VersionRecord) -> datetime | None:
    """Return the end of the soak, or the time of destruction."""
    if version.state is VersionState.DISABLED and version.disable_time is not None:
        return version.disable_time + SOAK
    return version.destroy_time if version.state is VersionState.DESTROY_SCHEDULED else None


def _has_come(version: VersionRecord, look: Look) -> bool:
    """Return whether the awaited time passed while the clocks agreed, or was past a day ago too."""
    time = _awaited(version)
    if time is None or look.now < time:
        return False
    seen = noted(version, look).seen_time
    return look.since < time or (seen is not None and look.now >= seen + SECOND_LOOK)


def _refusal(version: VersionRecord, why: str) -> KeyVersionState:
    return KeyVersionState(version.name, version.state, why)


def _text(delay: timedelta) -> str:
    return f"{delay.total_seconds():.0f}s"
