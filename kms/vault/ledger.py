"""What Transit does not remember: versions that no longer open, since when, and which request made them.

    {"format":1,"key":"MOUNT/KEY","versions":[{"create_time":…,"destroy_time":…,"disable_time":…,
     "expected_latest":…,"number":…,"ref":…,"request_id":…,"state":…},…]}      canonical JSON and one line end

A version whose time was found past has a "seen_time" too.

Kept by the sidecar that has the second identity. Holds no key: losing it loses soak times and tombstones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from kms.errors import StartError
from kms.files.generations import KeyringFile
from kms.files.private import FileError
from kms.keyring import KEY_VERSION_PREFIX, KeyringUnavailable, VersionState
from kms.vault.key import TransitAddress, TransitKey
from kms.versions import VersionRecord, destroyed, whole_seconds

LEDGER_LIMIT = 1 << 20

_FORMAT = 1
_RETIRED = (VersionState.DISABLED, VersionState.DESTROY_SCHEDULED)


class LedgerError(StartError):
    """The ledger is damaged or belongs to another key; one sentence."""


class Ledger:
    """The records of all versions ever seen of one key, oldest first, in a file or in memory."""

    def __init__(self, address: TransitAddress, file: KeyringFile | None) -> None:
        """Read the file, if there is one.

        Raises:
            LedgerError, FileError: it cannot be used.
        """
        self._address = address
        self._file = file
        self._records: tuple[VersionRecord, ...] = ()
        if file is None:
            return
        try:
            self._records = _decode(file.read(), address)
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError):
            raise LedgerError(
                f"the ledger {file.path} is damaged or belongs to another key: restore it, or move it away"
            ) from None

    def records(self) -> tuple[VersionRecord, ...]:
        """Return the records as last noted."""
        return self._records

    def note(self, key: TransitKey, now: datetime) -> tuple[VersionRecord, ...]:
        """Bring the records up to date with the server, which decides what opens, and return them.

        Raises:
            KeyringUnavailable: the records could not be stored.
        """
        now = whole_seconds(now)
        records = {record.ref: record for record in self._records}
        for number in key.created:
            ref = key.name(number).removeprefix(KEY_VERSION_PREFIX)
            state = VersionState.PRIMARY if number == key.latest else VersionState.DECRYPT_ONLY
            known = records.get(ref) or VersionRecord(ref, number, state, key.create_time(number), "", "")
            records[ref] = replace(known, state=state, disable_time=None, destroy_time=None, seen_time=None)
        opening = {name.removeprefix(KEY_VERSION_PREFIX) for name in key.names()}
        for ref, record in records.items():
            if ref not in opening:
                records[ref] = _retired(record, key, now)
        self.store(records.values())
        return self._records

    def store(self, records: Iterable[VersionRecord]) -> None:
        """Make ``records`` durable; write nothing if nothing changed. Raises KeyringUnavailable."""
        ordered = tuple(sorted(records, key=lambda record: (record.number, record.create_time)))
        if ordered == self._records:
            return
        if self._file is not None:
            try:
                _write(self._file, _encode(self._address, ordered))
            except (OSError, FileError):
                raise KeyringUnavailable from None
        self._records = ordered

    def put(self, changed: VersionRecord) -> None:
        """Store one record in place of the one with its ref. Raises KeyringUnavailable."""
        self.store(changed if record.ref == changed.ref else record for record in self._records)


def _retired(record: VersionRecord, key: TransitKey, now: datetime) -> VersionRecord:
    """Return the record of a version that the server no longer reports: trimmed, deleted, or disabled."""
    if record.state is VersionState.DESTROYED:
        return record
    if record.number < key.min_available_version or record.number in key.created:
        return destroyed(record, now)
    if record.state in _RETIRED:
        return record
    return replace(record, state=VersionState.DISABLED, disable_time=now)


def _write(file: KeyringFile, content: bytes) -> None:
    try:
        file.replace(content)
    except FileNotFoundError:
        file.create(content)


def _encode(address: TransitAddress, records: Iterable[VersionRecord]) -> bytes:
    versions = [
        {
            "ref": record.ref,
            "number": record.number,
            "state": record.state.value,
            "create_time": record.create_time.isoformat(),
            "request_id": record.request_id,
            "expected_latest": record.expected_latest,
            "disable_time": _time_text(record.disable_time),
            "destroy_time": _time_text(record.destroy_time),
            **({} if record.seen_time is None else {"seen_time": _time_text(record.seen_time)}),
        }
        for record in records
    ]
    document = {"format": _FORMAT, "key": str(address), "versions": versions}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def _decode(octets: bytes, address: TransitAddress) -> tuple[VersionRecord, ...]:
    """Raise ValueError, KeyError or TypeError unless ``octets`` is exactly what ``_encode`` writes."""
    document = json.loads(octets)
    records = tuple(_record(each) for each in document["versions"])
    if octets != _encode(address, records):
        raise ValueError("not canonical, or of another format or key")
    return records


def _record(stored: dict[str, Any]) -> VersionRecord:
    return VersionRecord(
        ref=stored["ref"],
        number=stored["number"],
        state=VersionState(stored["state"]),
        create_time=datetime.fromisoformat(stored["create_time"]).astimezone(UTC),
        request_id=stored["request_id"],
        expected_latest=stored["expected_latest"],
        disable_time=_time(stored["disable_time"]),
        destroy_time=_time(stored["destroy_time"]),
        seen_time=_time(stored.get("seen_time")),
    )


def _time_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
