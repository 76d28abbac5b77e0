"""The local keyring: wraps and opens data keys with KEKs that are in memory.

Sees KEKs and DEKs. Must never log one nor put one into an error; wipes the DEKs that it opened for itself.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence

from kms.checks import checked_context, checked_wrapper
from kms.formats import BACKEND_LOCAL, Wrapper, commitment
from kms.keyring import (
    Backend,
    CorruptDataKey,
    DataKey,
    KeyringError,
    KeyringStatus,
    KeyringUnavailable,
    KeyVersionNotPrimary,
    KeyVersionUnavailable,
    WrapItem,
    WrappedDataKey,
)
from kms.local.document import LocalVersion
from kms.local.kek import NONCE_LENGTH, open_data_key, seal_data_key
from kms.local.ring import Ring, RingFile
from kms.versions import OPENING


class LocalKeyring:
    """A ``Keyring`` over the current ring of a file."""

    def __init__(self, file: RingFile, *, random: Callable[[int], bytes]) -> None:
        self._file = file
        self._random = random

    def status(self) -> KeyringStatus:
        trouble = ""
        try:
            ring = self._file.ring_in_use()
        except KeyringUnavailable as error:
            ring, trouble = self._file.ring, error.message
        return KeyringStatus(
            backend=Backend.LOCAL_KEYRING,
            deployment_id=self._file.deployment_id,
            primary=ring.primary.record.name,
            accepted=tuple(v.record.name for v in ring.document.versions if v.record.state in OPENING),
            wrap_healthy=not trouble,
            unwrap_healthy=not trouble,
            message=trouble,
            seq=ring.document.seq,
        )

    def wrap(self, items: Sequence[WrapItem]) -> list[WrappedDataKey | KeyringError]:
        version = self._file.ring_in_use().primary
        nonces = self._random(NONCE_LENGTH * len(items))
        results: list[WrappedDataKey | KeyringError] = []
        for index, item in enumerate(items):
            nonce = nonces[index * NONCE_LENGTH : (index + 1) * NONCE_LENGTH]
            try:
                checked_context(item.context, self._file.deployment_id)
                results.append(_wrapped(version, item.context, item.data_key, nonce))
            except KeyringError as error:
                results.append(error)
        return results

    def unwrap(self, items: Sequence[WrappedDataKey]) -> list[DataKey | KeyringError]:
        ring = self._file.ring_in_use()
        results: list[DataKey | KeyringError] = []
        for item in items:
            try:
                results.append(self._open(ring, item)[1])
            except KeyringError as error:
                results.append(error)
        return results

    def rewrap(self, items: Sequence[WrappedDataKey], target: str) -> list[WrappedDataKey | KeyringError]:
        ring = self._file.ring_in_use()
        if target != ring.primary.record.name:
            raise KeyVersionNotPrimary(ring.primary.record.name)
        results: list[WrappedDataKey | KeyringError] = []
        for item in items:
            try:
                version, data_key = self._open(ring, item)
                if version is ring.primary:
                    results.append(item)
                else:
                    nonce = self._random(NONCE_LENGTH)
                    results.append(_wrapped(ring.primary, item.context, data_key, nonce))
                data_key.wipe()
            except KeyringError as error:
                results.append(error)
        return results

    def verify(self, items: Sequence[WrappedDataKey]) -> list[KeyringError | None]:
        ring = self._file.ring_in_use()
        results: list[KeyringError | None] = []
        for item in items:
            try:
                self._open(ring, item)[1].wipe()
                results.append(None)
            except KeyringError as error:
                results.append(error)
        return results

    def _open(self, ring: Ring, item: WrappedDataKey) -> tuple[LocalVersion, DataKey]:
        """Return the DEK of one wrapped key and the version it is under, after every check."""
        context = checked_context(item.context, self._file.deployment_id)
        wrapper = checked_wrapper(item, context)
        version = ring.by_ref.get(wrapper.ref)
        if version is None or wrapper.backend != BACKEND_LOCAL:
            raise KeyVersionUnavailable(item.key_version)
        if version.kek is None or version.record.state not in OPENING:
            raise KeyVersionUnavailable(item.key_version)
        data_key = open_data_key(version.kek, item.context, wrapper.body)
        if data_key is None:
            raise CorruptDataKey(context.dek_id)
        if not hmac.compare_digest(commitment(data_key.octets, item.context), item.commitment):
            data_key.wipe()
            raise CorruptDataKey(context.dek_id)
        return version, data_key


def _wrapped(version: LocalVersion, context: bytes, data_key: DataKey, nonce: bytes) -> WrappedDataKey:
    if version.kek is None:
        raise KeyVersionUnavailable(version.record.name)
    body = seal_data_key(version.kek, context, data_key, nonce)
    return WrappedDataKey(
        wrapped=Wrapper(BACKEND_LOCAL, version.record.ref, body).encode(),
        key_version=version.record.name,
        commitment=commitment(data_key.octets, context),
        context=context,
    )
