"""The life of a version of the local keyring: what each act makes of a record, and when it is refused.

    PENDING → PRIMARY → DECRYPT_ONLY → DISABLED → DESTROY_SCHEDULED → DESTROYED
                             ↑____________|  ↑___________|

Pure: records in, records out; a repeated act answers the record it was given. Raises KeyVersionState.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from kms.keyring import (
    DESTRUCTION_DELAY_CEILING,
    DESTRUCTION_DELAY_FLOOR,
    KEY_VERSION_PREFIX,
    SOAK,
    KeyVersionState,
    VersionState,
)
from kms.local.document import VersionRecord, whole_seconds

OPENING = frozenset({VersionState.PENDING, VersionState.PRIMARY, VersionState.DECRYPT_ONLY})
"""The states in which a version opens wrappers."""


def activated(version: VersionRecord, primary: VersionRecord) -> tuple[VersionRecord, VersionRecord]:
    """The former primary and the new one."""
    # An older PENDING version would take the primary back to a KEK that predates the last rotation.
    if version.state is not VersionState.PENDING or version.number < primary.number:
        raise _refusal(version, "cannot become primary")
    return replace(primary, state=VersionState.DECRYPT_ONLY), replace(version, state=VersionState.PRIMARY)


def disabled(version: VersionRecord, now: datetime, *, confirmed_unreferenced: bool) -> VersionRecord:
    """DISABLED from now on; a PENDING version that was passed over goes the same way as a former primary."""
    if not confirmed_unreferenced:
        raise _refusal(version, "nobody has confirmed that nothing refers to it")
    if version.state is VersionState.DISABLED:
        return version
    if version.state not in (VersionState.DECRYPT_ONLY, VersionState.PENDING):
        raise _refusal(version, "cannot be disabled")
    return replace(version, state=VersionState.DISABLED, disable_time=whole_seconds(now))


def enabled(version: VersionRecord) -> VersionRecord:
    """DECRYPT_ONLY again."""
    if version.state is VersionState.DECRYPT_ONLY:
        return version
    if version.state is not VersionState.DISABLED:
        raise _refusal(version, "cannot be enabled")
    return replace(version, state=VersionState.DECRYPT_ONLY, disable_time=None)


def scheduled(version: VersionRecord, now: datetime, delay: timedelta) -> VersionRecord:
    """DESTROY_SCHEDULED for `delay` from now."""
    if version.state is VersionState.DESTROY_SCHEDULED:
        return version
    if version.state is not VersionState.DISABLED or version.disable_time is None:
        raise _refusal(version, "only a disabled version can be destroyed")
    if not DESTRUCTION_DELAY_FLOOR <= delay <= DESTRUCTION_DELAY_CEILING:
        raise _refusal(version, "destroying it takes a delay of 7 to 365 days")
    now = whole_seconds(now)
    if now - version.disable_time < SOAK:
        raise _refusal(
            version, f"has been only since {version.disable_time.isoformat()}: 7 days are the least"
        )
    return replace(version, state=VersionState.DESTROY_SCHEDULED, destroy_time=now + delay)


def cancelled(version: VersionRecord) -> VersionRecord:
    """DISABLED again; it has been so all the while, so its soak goes on."""
    if version.state is VersionState.DISABLED:
        return version
    if version.state is not VersionState.DESTROY_SCHEDULED:
        raise _refusal(version, "has no destruction to cancel")
    return replace(version, state=VersionState.DISABLED, destroy_time=None)


def is_due(version: VersionRecord, now: datetime) -> bool:
    """Whether its key is to be destroyed by now."""
    is_scheduled = version.state is VersionState.DESTROY_SCHEDULED
    return is_scheduled and version.destroy_time is not None and version.destroy_time <= now


def _refusal(version: VersionRecord, why: str) -> KeyVersionState:
    return KeyVersionState(KEY_VERSION_PREFIX + version.ref, version.state, why)
