"""The versions of a Transit key and their administration, under the second identity.

    create    rotate: PRIMARY at once            disable   min_decryption_version to the version after it
    activate  min_encryption_version to it       destroy   trim

Transit knows minimums, not states of single versions: one opens only if all after it do. What it does not
remember (since when a version is disabled, when to destroy it, its name) is in the ledger.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from kms import versions as life
from kms.clocks import Clocks
from kms.keyring import (
    KeyAdminUnavailable,
    KeyringUnavailable,
    KeyVersion,
    KeyVersionState,
    LatestVersionConflict,
    RequestIdReused,
    VersionState,
)
from kms.vault.key import version_number
from kms.vault.ledger import Ledger
from kms.vault.rights import asked_paths, judge_admin
from kms.vault.transit import Transit
from kms.vault.view import VaultView
from kms.versions import VersionRecord, named

_NO_ADMIN = "no second identity is set (CODEVECTOR_KMS_ADMIN_VAULT_TOKEN_FILE): change it in Vault itself"


class VaultVersions:
    """``KeyVersions`` of a Transit key."""

    def __init__(
        self,
        view: VaultView,
        ledger: Ledger,
        *,
        admin: Callable[[], Transit] | None,
        clocks: Clocks,
    ) -> None:
        """``admin`` returns the key under the second identity, or raises KeyAdminUnavailable."""
        self._view = view
        self._ledger = ledger
        self._admin = admin
        self._clocks = clocks
        self._changing = threading.Lock()
        self._asked: dict[UUID, str] = {}

    def list_versions(self) -> list[KeyVersion]:
        """Return the versions that open, and those that the ledger has seen."""
        with self._changing, self._view.watched():
            return [record.public for record in self._records()]

    def create_version(self, request_id: UUID, expected_latest: str) -> KeyVersion:
        """Rotate the key; the ledger keeps the request, so that a repeat is recognised."""
        with self._changing, self._view.watched():
            admin = self._administration()
            records = self._records()
            made = next((each for each in records if each.request_id == str(request_id)), None)
            asked = made.expected_latest if made else self._asked.get(request_id, expected_latest)
            if asked != expected_latest:
                raise RequestIdReused(request_id)
            if made is not None:
                return made.public
            primary = self._view.key.primary
            answer_was_lost = request_id in self._asked and primary != expected_latest
            if answer_was_lost and (version_number(expected_latest) or 0) + 1 == self._view.key.latest:
                return self._note_request(request_id, expected_latest)
            if expected_latest != primary:
                raise LatestVersionConflict(primary)
            # From here a failure leaves it unknown whether the server rotated: the next attempt finds out.
            self._asked[request_id] = expected_latest
            if self._view.take(admin.rotate()).primary == expected_latest:
                raise KeyringUnavailable("Vault did not create a new version")
            return self._note_request(request_id, expected_latest)

    def activate_version(self, name: str) -> KeyVersion:
        """Pin encryption to the latest version, which is the primary already; refuse any other."""
        with self._changing, self._view.watched():
            record = named(self._records(), name)
            if record.state is not VersionState.PRIMARY:
                raise KeyVersionState(
                    name, record.state, "cannot become primary: only the latest version can in Transit"
                )
            if self._admin is not None and self._view.key.min_encryption_version < record.number:
                self._view.take(self._administration().configure(min_encryption_version=record.number))
            return record.public

    def disable_version(self, name: str, *, confirmed_unreferenced: bool) -> KeyVersion:
        """Disable a version, oldest first: the versions before it would be disabled with it."""
        with self._changing, self._view.watched():
            admin = self._administration()
            records = self._records()
            record = named(records, name)
            disabled = life.disabled(
                record, self._clocks.now(), confirmed_unreferenced=confirmed_unreferenced
            )
            if disabled is record:
                return record.public
            earlier = [each for each in records if each.number < record.number]
            if any(each.state is VersionState.DECRYPT_ONLY for each in earlier):
                raise KeyVersionState(
                    name, record.state, "cannot be disabled before the older versions: disable those first"
                )
            # The server refuses a minimum for encryption below the one for decryption.
            self._view.take(
                admin.configure(
                    min_encryption_version=self._view.key.latest, min_decryption_version=record.number + 1
                )
            )
            return named(self._noted(), name).public

    def enable_version(self, name: str) -> KeyVersion:
        """Enable a version, and with it all disabled ones after it."""
        with self._changing, self._view.watched():
            admin = self._administration()
            records = self._records()
            record = named(records, name)
            if life.enabled(record) is record:
                return record.public
            later = [each for each in records if each.number > record.number]
            if any(each.state is VersionState.DESTROY_SCHEDULED for each in later):
                raise KeyVersionState(
                    name,
                    record.state,
                    "cannot be enabled while a later version is scheduled for destruction: cancel that first",
                )
            self._view.take(admin.configure(min_decryption_version=record.number))
            return named(self._noted(), name).public

    def schedule_destruction(self, name: str, delay: timedelta) -> KeyVersion:
        """Note the destruction in the ledger; ``destroy_due`` acts on it."""
        return self._amended(name, lambda record: life.scheduled(record, self._clocks.look(), delay))

    def cancel_destruction(self, name: str) -> KeyVersion:
        """Remove the destruction from the ledger."""
        return self._amended(name, life.cancelled)

    def destroy_due(self) -> list[KeyVersion]:
        """Trim the key up to the last due version before which all are destroyed or due."""
        if self._admin is None:
            return []
        with self._changing, self._view.watched():
            look = self._clocks.look()
            records = self._records()
            self._ledger.store(
                record if life.is_due(record, look) else life.noted(record, look) for record in records
            )
            due: list[VersionRecord] = []
            for record in records:
                if life.is_due(record, look):
                    due.append(record)
                elif record.state is not VersionState.DESTROYED:
                    break
            if not due:
                return []
            self._trim(due[-1].number + 1)
            destroyed = {record.ref: life.destroyed(record, look.now) for record in due}
            self._ledger.store(destroyed.get(each.ref, each) for each in self._ledger.records())
            self._noted()
            return [record.public for record in destroyed.values()]

    def _amended(self, name: str, change: Callable[[VersionRecord], VersionRecord]) -> KeyVersion:
        with self._changing, self._view.watched():
            self._administration()
            record = change(named(self._records(), name))
            self._ledger.put(record)
            return record.public

    def _trim(self, number: int) -> None:
        admin: Transit | None = None
        refusal = ""
        try:
            admin = self._administration()
            if self._view.key.min_encryption_version < number:
                admin.configure(min_encryption_version=self._view.key.latest)
            self._view.take(admin.trim(number))
        except KeyAdminUnavailable as error:
            refusal = error.message
        if refusal:
            raise KeyringUnavailable(refusal)

    def _records(self) -> tuple[VersionRecord, ...]:
        """Return all versions as they are in the server now."""
        self._view.read()
        return self._noted()

    def _noted(self) -> tuple[VersionRecord, ...]:
        return self._ledger.note(self._view.key, self._clocks.now())

    def _note_request(self, request_id: UUID, expected_latest: str) -> KeyVersion:
        """Note the version after ``expected_latest`` as this request's, and return it."""
        number = (version_number(expected_latest) or 0) + 1
        made = next(each for each in self._noted() if each.number == number)
        made = replace(made, request_id=str(request_id), expected_latest=expected_latest)
        self._ledger.put(made)
        self._asked.pop(request_id, None)
        return made.public

    def _administration(self) -> Transit:
        """Return the key under the second identity, checked to be able to do this and no more."""
        if self._admin is None:
            raise KeyAdminUnavailable(_NO_ADMIN)
        admin = self._admin()
        probe = self._view.probe
        capabilities = admin.capabilities(asked_paths(admin.address, probe))
        excess = judge_admin(admin.address, probe, capabilities)
        if excess:
            raise KeyAdminUnavailable(f"the second identity has too much: {'; '.join(excess)}")
        return admin
