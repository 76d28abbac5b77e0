"""A keyring and its versions, with every use by one principal in the audit before the result is returned.

Sees DEKs on their way out, and wipes them if the audit cannot be written. Records identifiers that were
parsed here, states and reasons. Must never record a byte of a wrapped key, a commitment or a key.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from kms.audit.lines import OK
from kms.audit.log import Audit
from kms.formats import FormatError, parse_context
from kms.keyring import (
    DataKey,
    Keyring,
    KeyringError,
    KeyringStatus,
    KeyVersion,
    KeyVersions,
    WrapItem,
    WrappedDataKey,
)

_BEGIN = "begin"
_END = "end"
# What callers send as a version is recorded only if it could be one: it might be anything.
_VERSION = re.compile(r"keyVersions/[a-z0-9-]{1,116}")


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: the role of a socket and its path, since nothing more is known of a peer."""

    role: str
    place: str

    def __str__(self) -> str:
        return f"{self.role}:{self.place}"


class AuditedKeyring:
    """A ``Keyring`` in front of another. Each method raises AuditUnavailable too."""

    def __init__(self, keyring: Keyring, audit: Audit, principal: Principal) -> None:
        self._keyring = keyring
        self._audit = audit
        self._principal = str(principal)

    def status(self) -> KeyringStatus:
        """Return the status; while the audit cannot be written nothing is healthy."""
        status = self._keyring.status()
        if trouble := self._audit.trouble:
            return replace(status, wrap_healthy=False, unwrap_healthy=False, message=trouble)
        return status

    def wrap(self, items: Sequence[WrapItem]) -> list[WrappedDataKey | KeyringError]:
        results = self._keyring.wrap(items)
        entries = [
            _item(item.context, result.key_version if isinstance(result, WrappedDataKey) else "", result)
            for item, result in zip(items, results, strict=True)
        ]
        self._record("wrap", {"items": entries})
        return results

    def unwrap(self, items: Sequence[WrappedDataKey]) -> list[DataKey | KeyringError]:
        """Open wrapped keys. The line is synced before a key is returned, once per batch."""
        results = self._keyring.unwrap(items)
        entries = [
            _item(item.context, item.key_version, result) for item, result in zip(items, results, strict=True)
        ]
        try:
            self._record("unwrap", {"items": entries}, synced=True)
        except KeyringError:
            for result in results:
                if isinstance(result, DataKey):
                    result.wipe()
            raise
        return results

    def rewrap(self, items: Sequence[WrappedDataKey], target: str) -> list[WrappedDataKey | KeyringError]:
        """Move wrapped keys. No key leaves, so the line has counts, and the items that failed."""
        results = self._keyring.rewrap(items, target)
        self._record("rewrap", {"target": target, **_summary(items, results)})
        return results

    def verify(self, items: Sequence[WrappedDataKey]) -> list[KeyringError | None]:
        """Verify wrapped keys. The line is like that of ``rewrap``."""
        results = self._keyring.verify(items)
        self._record("verify", _summary(items, results))
        return results

    def _record(self, event: str, fields: Mapping[str, Any], *, synced: bool = False) -> None:
        self._audit.record(event, {**fields, "principal": self._principal}, synced=synced)


class AuditedVersions:
    """``KeyVersions`` in front of others. Each method raises AuditUnavailable too."""

    def __init__(self, versions: KeyVersions, audit: Audit, principal: Principal) -> None:
        self._versions = versions
        self._audit = audit
        self._principal = str(principal)
        self._unrecorded: list[str] = []

    def list_versions(self) -> list[KeyVersion]:
        """Return all versions. Listing them uses no key and leaves no line."""
        return self._versions.list_versions()

    def create_version(self, request_id: UUID, expected_latest: str) -> KeyVersion:
        return self._act(
            "create_version",
            {"expected_latest": _version(expected_latest), "request_id": str(request_id)},
            lambda: self._versions.create_version(request_id, expected_latest),
        )

    def activate_version(self, name: str) -> KeyVersion:
        return self._act_on("activate_version", name, lambda: self._versions.activate_version(name))

    def disable_version(self, name: str, *, confirmed_unreferenced: bool) -> KeyVersion:
        return self._act(
            "disable_version",
            {"key_version": _version(name), "confirmed_unreferenced": confirmed_unreferenced},
            lambda: self._versions.disable_version(name, confirmed_unreferenced=confirmed_unreferenced),
        )

    def enable_version(self, name: str) -> KeyVersion:
        return self._act_on("enable_version", name, lambda: self._versions.enable_version(name))

    def schedule_destruction(self, name: str, delay: timedelta) -> KeyVersion:
        return self._act(
            "schedule_destruction",
            {"key_version": _version(name), "delay_seconds": int(delay.total_seconds())},
            lambda: self._versions.schedule_destruction(name, delay),
        )

    def cancel_destruction(self, name: str) -> KeyVersion:
        return self._act_on("cancel_destruction", name, lambda: self._versions.cancel_destruction(name))

    def destroy_due(self) -> list[KeyVersion]:
        """Destroy the keys that are due. The schedule announced it; each version gets a line afterwards.

        A line that could not be written is written by a later call.
        """
        destroyed = self._versions.destroy_due()
        self._unrecorded += [version.name for version in destroyed]
        while self._unrecorded:
            self._record("destroyed", {"key_version": self._unrecorded[0]}, synced=True)
            del self._unrecorded[0]
        return destroyed

    def _act_on(self, event: str, name: str, act: Callable[[], KeyVersion]) -> KeyVersion:
        return self._act(event, {"key_version": _version(name)}, act)

    def _act(self, event: str, fields: Mapping[str, Any], act: Callable[[], KeyVersion]) -> KeyVersion:
        """Record what is about to change, change it, record the outcome: no change is without a line."""
        self._record(event, {**fields, "phase": _BEGIN}, synced=True)
        try:
            version = act()
        except KeyringError as error:
            self._record(event, {**fields, "phase": _END, "outcome": error.reason}, synced=True)
            raise
        outcome = {"outcome": OK, "result": version.name, "state": version.state.value}
        self._record(event, {**fields, **outcome, "phase": _END}, synced=True)
        return version

    def _record(self, event: str, fields: Mapping[str, Any], *, synced: bool = False) -> None:
        self._audit.record(event, {**fields, "principal": self._principal}, synced=synced)


def _item(context: bytes, key_version: str, result: object) -> dict[str, Any]:
    """Return what is known of one item: whose data key, under which version, with what outcome."""
    entry: dict[str, Any] = {"outcome": result.reason if isinstance(result, KeyringError) else OK}
    if version := _version(key_version):
        entry["key_version"] = version
    try:
        parsed = parse_context(context)
    except FormatError:
        return entry
    return {
        **entry,
        "credential_version": parsed.credential_version,
        "dek_id": str(UUID(bytes=parsed.dek_id)),
        "provider_uid": str(UUID(bytes=parsed.provider_uid)),
    }


def _summary(items: Sequence[WrappedDataKey], results: Sequence[object]) -> dict[str, Any]:
    pairs = list(zip(items, results, strict=True))
    good = [item for item, result in pairs if not isinstance(result, KeyringError)]
    failed = [
        _item(item.context, item.key_version, result)
        for item, result in pairs
        if isinstance(result, KeyringError)
    ]
    counts = Counter(_version(item.key_version) for item in good)
    return {"count": len(good), "failed": failed, "key_versions": dict(sorted(counts.items()))}


def _version(name: str) -> str:
    return name if _VERSION.fullmatch(name) else ""
