"""The versions of a local keyring and their administration.

Sees sealed KEKs and passes them on; never opens or uses one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from kms import versions as life
from kms.clocks import Clocks
from kms.keyring import KeyVersion, LatestVersionConflict, RequestIdReused, VersionState
from kms.local.ring import RingFile
from kms.versions import VersionRecord


class LocalVersions:
    """``KeyVersions`` over the ring of a file."""

    def __init__(self, file: RingFile, *, clocks: Clocks, random: Callable[[int], bytes]) -> None:
        self._file = file
        self._clocks = clocks
        self._random = random

    def list_versions(self) -> list[KeyVersion]:
        return [version.record.public for version in self._file.ring.document.versions]

    def create_version(self, request_id: UUID, expected_latest: str) -> KeyVersion:
        with self._file.changing() as ring:
            for version in ring.document.versions:
                if version.record.request_id == str(request_id):
                    if version.record.expected_latest != expected_latest:
                        raise RequestIdReused(request_id)
                    return version.record.public
            latest = ring.document.versions[-1].record
            if expected_latest != latest.name:
                raise LatestVersionConflict(latest.name)
            version = self._file.codec.new_version(
                ring.document,
                state=VersionState.PENDING,
                create_time=self._clocks.now(),
                request_id=str(request_id),
                expected_latest=expected_latest,
                random=self._random,
            )
            self._file.add(version)
            return version.record.public

    def activate_version(self, name: str) -> KeyVersion:
        with self._file.changing() as ring:
            version = ring.named(name)
            if version is not ring.primary:
                former, primary = life.activated(version.record, ring.primary.record)
                self._file.change(replace(ring.primary, record=former), replace(version, record=primary))
            return self._file.ring.primary.record.public

    def disable_version(self, name: str, *, confirmed_unreferenced: bool) -> KeyVersion:
        now = self._clocks.now()
        return self._changed(
            name, lambda record: life.disabled(record, now, confirmed_unreferenced=confirmed_unreferenced)
        )

    def enable_version(self, name: str) -> KeyVersion:
        return self._changed(name, life.enabled)

    def schedule_destruction(self, name: str, delay: timedelta) -> KeyVersion:
        return self._changed(name, lambda record: life.scheduled(record, self._clocks.look(), delay))

    def cancel_destruction(self, name: str) -> KeyVersion:
        return self._changed(name, life.cancelled)

    def destroy_due(self) -> list[KeyVersion]:
        with self._file.changing() as ring:
            look = self._clocks.look()
            due = [v.destroyed(look.now) for v in ring.document.versions if life.is_due(v.record, look)]
            seen = [
                replace(version, record=record)
                for version in ring.document.versions
                if not life.is_due(version.record, look)
                and (record := life.noted(version.record, look)) is not version.record
            ]
            if due or seen:
                self._file.change(*due, *seen)
            if not due:
                self._file.finish_destruction()
            return [version.record.public for version in due]

    def _changed(self, name: str, act: Callable[[VersionRecord], VersionRecord]) -> KeyVersion:
        """Store what ``act`` makes of one record, unless it returns the record it was given."""
        with self._file.changing() as ring:
            version = ring.named(name)
            record = act(version.record)
            if record is not version.record:
                self._file.change(replace(version, record=record))
            return record.public
