"""Several keyrings as one: the first wraps, the others only open, so that data keys can move between them.

The beginning of its ref, ``<backend>-<keyring id>-``, says which keyring a wrapped key belongs to, even if
that keyring no longer has the version. A move opens in one keyring and wraps in another, inside the sidecar.
Sees DEKs during a move, and wipes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
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
    KeyVersions,
    KeyVersionState,
    OpenKeyring,
    VersionState,
    WrapItem,
    WrappedDataKey,
)

_Result = TypeVar("_Result")


def combine(members: Sequence[OpenKeyring]) -> OpenKeyring:
    """Return several keyrings of different prefixes as one; the first of them wraps."""
    return OpenKeyring(
        CombinedKeyring(members),
        CombinedVersions(members),
        prefix=members[0].prefix,
        refreshes=tuple(call for member in members for call in member.refreshes),
    )


class CombinedKeyring:
    """A ``Keyring`` over several others; one that is away fails its own items."""

    def __init__(self, members: Sequence[OpenKeyring]) -> None:
        self._members = tuple(members)
        self._first = members[0].keyring

    def status(self) -> KeyringStatus:
        """Return the first one's status; opening and the accepted versions are those of all.

        ``seq`` is the highest, so that a keyring file is watched wherever it is listed: Transit has none.
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
        return self._first.wrap(items)

    def unwrap(self, items: Sequence[WrappedDataKey]) -> list[DataKey | KeyringError]:
        return self._shared(items, lambda keyring, share: keyring.unwrap(share))

    def verify(self, items: Sequence[WrappedDataKey]) -> list[KeyringError | None]:
        return self._shared(items, lambda keyring, share: keyring.verify(share))

    def rewrap(self, items: Sequence[WrappedDataKey], target: str) -> list[WrappedDataKey | KeyringError]:
        self._first.rewrap((), target)  # refuses a target that is not the primary

        def move(keyring: Keyring, share: Sequence[WrappedDataKey]) -> list[WrappedDataKey | KeyringError]:
            return (
                keyring.rewrap(share, target) if keyring is self._first else self._transferred(keyring, share)
            )

        results = self._shared(items, move)
        # A rotation in between would have wrapped under a newer version than the target.
        if any(isinstance(each, WrappedDataKey) and each.key_version != target for each in results):
            raise KeyVersionNotPrimary(self._first.status().primary)
        return results

    def _transferred(
        self, keyring: Keyring, items: Sequence[WrappedDataKey]
    ) -> list[WrappedDataKey | KeyringError]:
        """Wrap in the first keyring what another one opens and checks."""
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
        """Call ``act`` with each keyring's share of the items; return the results in the items' order."""
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
        """Return the index of the wrapped key's keyring; 0, whose keyring refuses it, if none matches."""
        try:
            ref = parse_wrapper(item.wrapped).ref
        except FormatError:
            return 0
        return next((i for i, member in enumerate(self._members) if ref.startswith(member.prefix)), 0)


class CombinedVersions:
    """``KeyVersions`` over those of several keyrings: new ones in the first, acts where the version is."""

    def __init__(self, members: Sequence[OpenKeyring]) -> None:
        self._members = tuple(members)
        self._first = members[0].versions

    def list_versions(self) -> list[KeyVersion]:
        """Return those of the first keyring last; only its primary is PRIMARY."""
        versions = [
            replace(version, state=VersionState.DECRYPT_ONLY)
            if version.state is VersionState.PRIMARY
            else version
            for member in self._members[1:]
            for version in member.versions.list_versions()
        ]
        return versions + self._first.list_versions()

    def create_version(self, request_id: UUID, expected_latest: str) -> KeyVersion:
        return self._first.create_version(request_id, expected_latest)

    def activate_version(self, name: str) -> KeyVersion:
        if self._versions_of(name) is self._first:
            return self._first.activate_version(name)
        for version in self.list_versions():
            if version.name == name:
                raise KeyVersionState(name, version.state, "is of a keyring that only opens")
        return self._first.activate_version(name)

    def disable_version(self, name: str, *, confirmed_unreferenced: bool) -> KeyVersion:
        versions = self._versions_of(name)
        return versions.disable_version(name, confirmed_unreferenced=confirmed_unreferenced)

    def enable_version(self, name: str) -> KeyVersion:
        return self._versions_of(name).enable_version(name)

    def schedule_destruction(self, name: str, delay: timedelta) -> KeyVersion:
        return self._versions_of(name).schedule_destruction(name, delay)

    def cancel_destruction(self, name: str) -> KeyVersion:
        return self._versions_of(name).cancel_destruction(name)

    def destroy_due(self) -> list[KeyVersion]:
        destroyed: list[KeyVersion] = []
        failure: KeyringUnavailable | None = None
        for member in self._members:
            try:
                destroyed += member.versions.destroy_due()
            except KeyringUnavailable as error:
                failure = error
        if failure is not None:
            raise failure
        return destroyed

    def _versions_of(self, name: str) -> KeyVersions:
        """Return the versions among which ``name`` is; the first keyring's, which refuse an unknown name."""
        ref = name.removeprefix(KEY_VERSION_PREFIX)
        return next((m.versions for m in self._members if ref.startswith(m.prefix)), self._first)


def _joined(*messages: str) -> str:
    return "; ".join(message for message in messages if message)
