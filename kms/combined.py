"""Several keyrings as one: the first wraps, the others only open, so that wrappers can move between them.

Which keyring a wrapper is for is told by how its ref begins, `<backend>-<keyring id>-`, whether that keyring
still has the version or not. A move from one keyring to another opens in the one and wraps in the other,
inside the sidecar; DEKs that passed through are wiped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from kms.formats import FormatError, parse_wrapper
from kms.keyring import (
    KEY_VERSION_PREFIX,
    DataKey,
    Keyring,
    KeyringError,
    KeyringStatus,
    KeyringUnavailable,
    KeyVersion,
    KeyVersionNotPrimary,
    KeyVersionState,
    VersionState,
    WrapItem,
    WrappedDataKey,
)

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Member:
    """A keyring and what every ref of its versions begins with, known also while it is away."""

    prefix: str
    keyring: Keyring


class CombinedKeyring:
    """A `Keyring` over several others of different prefixes; one that is away fails its own items."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = tuple(members)
        self._first = members[0].keyring

    def status(self) -> KeyringStatus:
        """See `Keyring.status`: the first one's, but opening and what is accepted are of all.

        `seq` is the highest, so that a keyring file is watched wherever it stands beside one that has none.
        """
        status = self._first.status()
        for member in self._members[1:]:
            try:
                other = member.keyring.status()
            except KeyringUnavailable as error:
                status = replace(status, unwrap_healthy=False, message=_joined(status.message, error.message))
                continue
            status = replace(
                status,
                accepted=status.accepted + other.accepted,
                unwrap_healthy=status.unwrap_healthy and other.unwrap_healthy,
                message=_joined(status.message, other.message),
                seq=max(status.seq, other.seq),
            )
        return status

    def wrap(self, items: Sequence[WrapItem]) -> list[WrappedDataKey | KeyringError]:
        """See `Keyring.wrap`."""
        return self._first.wrap(items)

    def unwrap(self, items: Sequence[WrappedDataKey]) -> list[DataKey | KeyringError]:
        """See `Keyring.unwrap`."""
        return self._shared(items, lambda keyring, share: keyring.unwrap(share))

    def verify(self, items: Sequence[WrappedDataKey]) -> list[KeyringError | None]:
        """See `Keyring.verify`."""
        return self._shared(items, lambda keyring, share: keyring.verify(share))

    def rewrap(self, items: Sequence[WrappedDataKey], target: str) -> list[WrappedDataKey | KeyringError]:
        """See `Keyring.rewrap`."""
        self._first.rewrap((), target)  # refuses a target that is not the primary

        def move(keyring: Keyring, share: Sequence[WrappedDataKey]) -> list[WrappedDataKey | KeyringError]:
            return keyring.rewrap(share, target) if keyring is self._first else self._brought(keyring, share)

        results = self._shared(items, move)
        # A rotation in between would have left what was brought over under the version after the target.
        if any(isinstance(each, WrappedDataKey) and each.key_version != target for each in results):
            raise KeyVersionNotPrimary(self._first.status().primary)
        return results

    def list_versions(self) -> list[KeyVersion]:
        """See `Keyring.list_versions`. Those of the first keyring come last; only its primary is PRIMARY."""
        versions = [
            replace(version, state=VersionState.DECRYPT_ONLY)
            if version.state is VersionState.PRIMARY
            else version
            for member in self._members[1:]
            for version in member.keyring.list_versions()
        ]
        return versions + self._first.list_versions()

    def create_version(self, request_id: UUID, expected_latest: str) -> KeyVersion:
        """See `Keyring.create_version`; in the first keyring."""
        return self._first.create_version(request_id, expected_latest)

    def activate_version(self, name: str) -> KeyVersion:
        """See `Keyring.activate_version`; a version of another keyring is refused."""
        if self._keyring_of(name) is self._first:
            return self._first.activate_version(name)
        for version in self.list_versions():
            if version.name == name:
                raise KeyVersionState(name, version.state, "is of a keyring that only opens")
        return self._first.activate_version(name)

    def disable_version(self, name: str, *, confirmed_unreferenced: bool) -> KeyVersion:
        """See `Keyring.disable_version`; in the keyring that has the version."""
        keyring = self._keyring_of(name)
        return keyring.disable_version(name, confirmed_unreferenced=confirmed_unreferenced)

    def enable_version(self, name: str) -> KeyVersion:
        """See `Keyring.enable_version`; in the keyring that has the version."""
        return self._keyring_of(name).enable_version(name)

    def schedule_destruction(self, name: str, delay: timedelta) -> KeyVersion:
        """See `Keyring.schedule_destruction`; in the keyring that has the version."""
        return self._keyring_of(name).schedule_destruction(name, delay)

    def cancel_destruction(self, name: str) -> KeyVersion:
        """See `Keyring.cancel_destruction`; in the keyring that has the version."""
        return self._keyring_of(name).cancel_destruction(name)

    def destroy_due(self) -> list[KeyVersion]:
        """See `Keyring.destroy_due`; in all keyrings."""
        destroyed: list[KeyVersion] = []
        failure: KeyringUnavailable | None = None
        for member in self._members:
            try:
                destroyed += member.keyring.destroy_due()
            except KeyringUnavailable as error:
                failure = error
        if failure is not None:
            raise failure
        return destroyed

    def _brought(
        self, keyring: Keyring, items: Sequence[WrappedDataKey]
    ) -> list[WrappedDataKey | KeyringError]:
        """Each wrapper of another keyring, wrapped in the first; its commitment was checked on the way."""
        opened = keyring.unwrap(items)
        keys = [
            WrapItem(item.context, result)
            for item, result in zip(items, opened, strict=True)
            if isinstance(result, DataKey)
        ]
        try:
            wrapped = iter(self._first.wrap(keys) if keys else [])
        finally:
            for key in keys:
                key.data_key.wipe()
        return [next(wrapped) if isinstance(result, DataKey) else result for result in opened]

    def _shared(
        self,
        items: Sequence[WrappedDataKey],
        act: Callable[[Keyring, Sequence[WrappedDataKey]], list[_Result]],
    ) -> list[_Result | KeyringError]:
        """What `act` answers to each keyring's share of the items, in the order of the items."""
        shares: dict[int, list[int]] = {}
        for index, item in enumerate(items):
            shares.setdefault(self._member_of(item), []).append(index)
        results: dict[int, _Result | KeyringError] = {}
        for number, indexes in shares.items():
            try:
                outcomes = act(self._members[number].keyring, [items[index] for index in indexes])
            except KeyringError as error:
                if len(shares) == 1:
                    raise
                results.update((index, error) for index in indexes)
                continue
            results.update(zip(indexes, outcomes, strict=True))
        return [results[index] for index in range(len(items))]

    def _member_of(self, item: WrappedDataKey) -> int:
        """The place of the wrapper's keyring; the first one tells what is wrong with one that is nobody's."""
        try:
            ref = parse_wrapper(item.wrapped).ref
        except FormatError:
            return 0
        return next((i for i, member in enumerate(self._members) if ref.startswith(member.prefix)), 0)

    def _keyring_of(self, name: str) -> Keyring:
        """The keyring of a version; the first one tells that a version is nobody's."""
        ref = name.removeprefix(KEY_VERSION_PREFIX)
        return next((m.keyring for m in self._members if ref.startswith(m.prefix)), self._first)


def _joined(*messages: str) -> str:
    return "; ".join(message for message in messages if message)
