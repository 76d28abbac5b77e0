"""The local keyring: KEKs in memory, wrapping with AES-256-GCM, versions kept in the keyring file.

    body = nonce[12] || AES-256-GCM(HKDF(KEK, info=CTX), nonce, DEK[32], AAD empty)      60 bytes

Sees KEKs and DEKs; never logs, never puts either into an error, and wipes the DEKs it opened for itself.
Using the ring takes no lock: a change builds a new ring, writes and tests it, then swaps one reference.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kms.checks import checked_context, checked_wrapper
from kms.files.generations import KeyringFile
from kms.files.private import FileError
from kms.formats import BACKEND_LOCAL, DekContext, Wrapper, commitment
from kms.keyring import (
    DATA_KEY_LENGTH,
    KEY_VERSION_PREFIX,
    Backend,
    CorruptDataKey,
    DataKey,
    KeyringError,
    KeyringStatus,
    KeyringUnavailable,
    KeyVersion,
    KeyVersionNotPrimary,
    KeyVersionUnavailable,
    LatestVersionConflict,
    RequestIdReused,
    UnknownKeyVersion,
    VersionState,
    WrapItem,
    WrappedDataKey,
)
from kms.local.document import (
    ALGORITHM,
    DocumentCodec,
    DocumentError,
    Kek,
    KeyringDocument,
    VersionRecord,
    read_preamble,
)
from kms.local.unlock import UnlockMethod, UnlockRoot
from kms.versions import OPENING, activated, cancelled, disabled, enabled, is_due, scheduled

_NONCE_LENGTH = 12
_BODY_LENGTH = _NONCE_LENGTH + DATA_KEY_LENGTH + 16
_INITIAL_REQUEST_ID = ""


@dataclass(frozen=True, slots=True)
class _Ring:
    """One state of the keyring: the document, the bytes it is stored as, its versions by ref."""

    document: KeyringDocument
    stored: bytes
    by_ref: dict[str, VersionRecord]
    primary: VersionRecord


def create_keyring(
    file: KeyringFile,
    *,
    deployment_id: bytes,
    method: UnlockMethod,
    root: UnlockRoot,
    clock: Callable[[], datetime],
    random: Callable[[int], bytes],
) -> None:
    """Writes a new keyring with one PRIMARY version and reads it back.

    Raises:
        FileExistsError: there is one.
        KeyringUnavailable: what was read back does not open.
    """
    empty = KeyringDocument(random(4), deployment_id, 1, method, ())
    codec = DocumentCodec(root, empty.keyring_id)
    version = codec.new_version(
        empty,
        state=VersionState.PRIMARY,
        create_time=clock(),
        request_id=_INITIAL_REQUEST_ID,
        expected_latest="",
        random=random,
    )
    stored = codec.encode(replace(empty, versions=(version,)))
    _self_test(codec.decode(stored), random)
    file.create(stored)
    if file.read() != stored:
        raise KeyringUnavailable


class LocalKeyring:
    """A `Keyring` over one locked file."""

    def __init__(
        self,
        file: KeyringFile,
        *,
        unlock: Callable[[UnlockMethod], UnlockRoot],
        deployment_id: bytes,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        """Reads, verifies and tests the keyring.

        Raises:
            FileNotFoundError, FileError: the file is missing or not private.
            DocumentError: it is damaged, does not open, or belongs to another deployment.
            UnlockError: the unlock secret cannot be had.
        """
        self._file = file
        self._clock = clock
        self._random = random
        self._deployment_id = deployment_id
        self._changing = threading.Lock()
        stored = file.read()
        keyring_id, method = read_preamble(stored)
        self._codec = DocumentCodec(unlock(method), keyring_id)
        self._ring = self._load(stored)

    def status(self) -> KeyringStatus:
        """See `Keyring.status`."""
        ring = self._ring
        return KeyringStatus(
            backend=Backend.LOCAL_KEYRING,
            deployment_id=self._deployment_id,
            primary=_name(ring.primary),
            accepted=tuple(_name(v) for v in ring.document.versions if v.state in OPENING),
            wrap_healthy=True,
            unwrap_healthy=True,
            message="",
            seq=ring.document.seq,
        )

    def wrap(self, items: Sequence[WrapItem]) -> list[WrappedDataKey | KeyringError]:
        """See `Keyring.wrap`."""
        version = self._ring.primary
        nonces = self._random(_NONCE_LENGTH * len(items))
        results: list[WrappedDataKey | KeyringError] = []
        for index, item in enumerate(items):
            nonce = nonces[index * _NONCE_LENGTH : (index + 1) * _NONCE_LENGTH]
            try:
                checked_context(item.context, self._deployment_id)
                results.append(_wrapped(version, item.context, item.data_key, nonce))
            except KeyringError as error:
                results.append(error)
        return results

    def unwrap(self, items: Sequence[WrappedDataKey]) -> list[DataKey | KeyringError]:
        """See `Keyring.unwrap`."""
        ring = self._ring
        results: list[DataKey | KeyringError] = []
        for item in items:
            try:
                results.append(self._open(ring, item)[1])
            except KeyringError as error:
                results.append(error)
        return results

    def rewrap(self, items: Sequence[WrappedDataKey], target: str) -> list[WrappedDataKey | KeyringError]:
        """See `Keyring.rewrap`."""
        ring = self._ring
        if target != _name(ring.primary):
            raise KeyVersionNotPrimary(_name(ring.primary))
        results: list[WrappedDataKey | KeyringError] = []
        for item in items:
            try:
                version, data_key = self._open(ring, item)
                if version is ring.primary:
                    results.append(item)
                else:
                    nonce = self._random(_NONCE_LENGTH)
                    results.append(_wrapped(ring.primary, item.context, data_key, nonce))
                data_key.wipe()
            except KeyringError as error:
                results.append(error)
        return results

    def verify(self, items: Sequence[WrappedDataKey]) -> list[KeyringError | None]:
        """See `Keyring.verify`."""
        ring = self._ring
        results: list[KeyringError | None] = []
        for item in items:
            try:
                self._open(ring, item)[1].wipe()
                results.append(None)
            except KeyringError as error:
                results.append(error)
        return results

    def list_versions(self) -> list[KeyVersion]:
        """See `Keyring.list_versions`."""
        return [_public(version) for version in self._ring.document.versions]

    def create_version(self, request_id: UUID, expected_latest: str) -> KeyVersion:
        """See `Keyring.create_version`."""
        with self._changing:
            document = self._current().document
            for version in document.versions:
                if version.request_id == str(request_id):
                    if version.expected_latest != expected_latest:
                        raise RequestIdReused(request_id)
                    return _public(version)
            if expected_latest != _name(document.latest):
                raise LatestVersionConflict(_name(document.latest))
            version = self._codec.new_version(
                document,
                state=VersionState.PENDING,
                create_time=self._clock(),
                request_id=str(request_id),
                expected_latest=expected_latest,
                random=self._random,
            )
            self._store(replace(document, versions=(*document.versions, version)))
            return _public(version)

    def activate_version(self, name: str) -> KeyVersion:
        """See `Keyring.activate_version`."""
        with self._changing:
            ring = self._current()
            version = _named(ring, name)
            if version is not ring.primary:
                self._change(ring, *activated(version, ring.primary))
            return _public(self._ring.primary)

    def disable_version(self, name: str, *, confirmed_unreferenced: bool) -> KeyVersion:
        """See `Keyring.disable_version`."""
        now = self._clock()
        return self._turn(name, lambda v: disabled(v, now, confirmed_unreferenced=confirmed_unreferenced))

    def enable_version(self, name: str) -> KeyVersion:
        """See `Keyring.enable_version`."""
        return self._turn(name, enabled)

    def schedule_destruction(self, name: str, delay: timedelta) -> KeyVersion:
        """See `Keyring.schedule_destruction`."""
        now = self._clock()
        return self._turn(name, lambda version: scheduled(version, now, delay))

    def cancel_destruction(self, name: str) -> KeyVersion:
        """See `Keyring.cancel_destruction`."""
        return self._turn(name, cancelled)

    def destroy_due(self) -> list[KeyVersion]:
        """See `Keyring.destroy_due`."""
        with self._changing:
            ring = self._current()
            now = self._clock()
            due = [version for version in ring.document.versions if is_due(version, now)]
            if due:
                self._change(ring, *(version.destroyed(now) for version in due))
            elif self._remains(ring):
                self._write(ring.stored, self._file.replace_all)
            return [_public(self._ring.by_ref[version.ref]) for version in due]

    def _open(self, ring: _Ring, item: WrappedDataKey) -> tuple[VersionRecord, DataKey]:
        """The DEK of one wrapper and the version it is under, after every check."""
        context = checked_context(item.context, self._deployment_id)
        wrapper = checked_wrapper(item, context)
        version = ring.by_ref.get(wrapper.ref)
        if version is None or wrapper.backend != BACKEND_LOCAL:
            raise KeyVersionUnavailable(item.key_version)
        if version.kek is None or version.state not in OPENING:
            raise KeyVersionUnavailable(item.key_version)
        data_key = _decrypt(version.kek, item.context, wrapper.body)
        if data_key is None:
            raise CorruptDataKey(context.dek_id)
        if not hmac.compare_digest(commitment(data_key.octets, item.context), item.commitment):
            data_key.wipe()
            raise CorruptDataKey(context.dek_id)
        return version, data_key

    def _load(self, stored: bytes) -> _Ring:
        document = self._codec.decode(stored)
        if document.deployment_id != self._deployment_id:
            raise DocumentError("the keyring belongs to another deployment id")
        _self_test(document, self._random)
        by_ref = {version.ref: version for version in document.versions}
        return _Ring(document, stored, by_ref, document.primary)

    def _current(self) -> _Ring:
        """The ring as it is on disk, taking up a change whose end this process did not see (a failed sync).

        Raises:
            KeyringUnavailable: what is on disk is unreadable, or older than what is in memory.
        """
        try:
            stored = self._file.read()
            if stored != self._ring.stored:
                ring = self._load(stored)
                self._file.sync_directory()
                if ring.document.seq <= self._ring.document.seq:
                    raise KeyringUnavailable
                self._ring = ring
        except (OSError, FileError, DocumentError):
            raise KeyringUnavailable from None
        return self._ring

    def _turn(self, name: str, act: Callable[[VersionRecord], VersionRecord]) -> KeyVersion:
        """Stores what `act` makes of one version, if it makes another; answers it as it is then."""
        with self._changing:
            ring = self._current()
            version = _named(ring, name)
            changed = act(version)
            return _public(version) if changed is version else self._change(ring, changed)

    def _change(self, ring: _Ring, *changed: VersionRecord) -> KeyVersion:
        """Stores the ring with these versions changed; answers the last of them as it is then."""
        by_ref = {version.ref: version for version in changed}
        versions = tuple(by_ref.get(each.ref, each) for each in ring.document.versions)
        self._store(replace(ring.document, versions=versions))
        return _public(self._ring.by_ref[changed[-1].ref])

    def _store(self, document: KeyringDocument) -> None:
        """Writes `document` under the next seq, reads it back, tests it, and only then uses it.

        Where a version has been destroyed no older generation is kept: it would hold the key.
        """
        stored = self._codec.encode(replace(document, seq=document.seq + 1))
        known = {v.ref for v in self._ring.document.versions if v.state is VersionState.DESTROYED}
        destroyed = {v.ref for v in document.versions if v.state is VersionState.DESTROYED}
        self._write(stored, self._file.replace_all if destroyed - known else self._file.replace)

    def _write(self, stored: bytes, write: Callable[[bytes], None]) -> None:
        try:
            self._load(stored)
            write(stored)
            self._ring = self._load(self._file.read())
        except (OSError, FileError, DocumentError):
            raise KeyringUnavailable from None

    def _remains(self, ring: _Ring) -> bool:
        """Whether an older generation may hold a key that was destroyed: the destruction was cut off."""
        destroyed = {v.ref for v in ring.document.versions if v.state is VersionState.DESTROYED}
        return bool(destroyed) and any(self._holds(content, destroyed) for content in self._file.older())

    def _holds(self, content: bytes | None, destroyed: set[str]) -> bool:
        if content is None:
            return True  # missing or unreadable: writing it anew settles it
        try:
            versions = self._codec.decode(content).versions
        except DocumentError:
            return True
        return any(version.ref in destroyed and version.sealed for version in versions)


def seal_data_key(kek: Kek, context: bytes, data_key: DataKey, nonce: bytes) -> bytes:
    """The body of a local wrapper, 60 bytes; `nonce` is 12 bytes, random, one per wrapper."""
    return nonce + AESGCM(kek.derive(context)).encrypt(nonce, data_key.octets, None)


def _wrapped(version: VersionRecord, context: bytes, data_key: DataKey, nonce: bytes) -> WrappedDataKey:
    if version.kek is None:
        raise KeyVersionUnavailable(_name(version))
    body = seal_data_key(version.kek, context, data_key, nonce)
    return WrappedDataKey(
        wrapped=Wrapper(BACKEND_LOCAL, version.ref, body).encode(),
        key_version=_name(version),
        commitment=commitment(data_key.octets, context),
        context=context,
    )


def _decrypt(kek: Kek, context: bytes, body: bytes) -> DataKey | None:
    """The DEK, or None if the body is not of this KEK and context."""
    if len(body) != _BODY_LENGTH:
        return None
    octets = bytearray(DATA_KEY_LENGTH)
    try:
        AESGCM(kek.derive(context)).decrypt_into(body[:_NONCE_LENGTH], body[_NONCE_LENGTH:], None, octets)
    except InvalidTag:
        octets[:] = bytes(DATA_KEY_LENGTH)  # decrypt_into leaves unauthenticated plaintext behind
        return None
    return DataKey(octets)


def _self_test(document: KeyringDocument, random: Callable[[int], bytes]) -> None:
    """Every version that has a key wraps and opens a throw-away one, else DocumentError."""
    context = DekContext(document.deployment_id, bytes(16), bytes(16), 0).encode()
    for version in document.versions:
        if version.kek is None:
            continue
        data_key = DataKey(random(DATA_KEY_LENGTH))
        body = seal_data_key(version.kek, context, data_key, random(_NONCE_LENGTH))
        opened = _decrypt(version.kek, context, body)
        if opened is None or opened.octets != data_key.octets:
            raise DocumentError(f"{_name(version)} fails its self-test")


def _name(version: VersionRecord) -> str:
    return KEY_VERSION_PREFIX + version.ref


def _named(ring: _Ring, name: str) -> VersionRecord:
    version = ring.by_ref.get(name.removeprefix(KEY_VERSION_PREFIX))
    if version is None or _name(version) != name:
        raise UnknownKeyVersion(name)
    return version


def _public(version: VersionRecord) -> KeyVersion:
    return KeyVersion(_name(version), version.state, ALGORITHM, version.create_time, version.destroy_time)
