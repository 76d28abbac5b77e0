"""The keyring as it is in memory and in its file: loaded, tested, changed, stored.

A ring is never changed. A change builds the next ring, writes it, reads it back, tests it, and only then
swaps one reference, so that using the ring takes no lock. Sees KEKs, which it uses for self-tests alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from kms.files.generations import KeyringFile
from kms.files.private import FileError
from kms.formats import DekContext
from kms.keyring import DATA_KEY_LENGTH, DataKey, KeyringUnavailable, UnknownKeyVersion, VersionState
from kms.local.document import DocumentCodec, DocumentError, KeyringDocument, LocalVersion, read_preamble
from kms.local.kek import NONCE_LENGTH, open_data_key, seal_data_key
from kms.local.unlock import UnlockMethod, UnlockRoot

LOST = (
    "the keyring file was deleted, moved or replaced under the running sidecar: put back the file that was "
    "there, or restart the sidecar on the one that is right"
)


@dataclass(frozen=True, slots=True)
class Ring:
    """One state of the keyring: the document, the bytes it is stored as, its versions by ref."""

    document: KeyringDocument
    stored: bytes
    by_ref: dict[str, LocalVersion]
    primary: LocalVersion

    def named(self, name: str) -> LocalVersion:
        """Return the version of that name. Raises UnknownKeyVersion."""
        for version in self.document.versions:
            if version.record.name == name:
                return version
        raise UnknownKeyVersion(name)


class RingFile:
    """The current ring and the locked file that holds it."""

    def __init__(
        self,
        file: KeyringFile,
        *,
        unlock: Callable[[UnlockMethod], UnlockRoot],
        deployment_id: bytes,
        random: Callable[[int], bytes],
    ) -> None:
        """Read, verify and test the keyring.

        Raises:
            FileNotFoundError, FileError: the file is missing or not private.
            DocumentError: it is damaged, does not open, or belongs to another deployment.
            UnlockError: the unlock secret cannot be read.
        """
        self.deployment_id = deployment_id
        self._file = file
        self._random = random
        self._changing = threading.Lock()
        mark = file.mark()
        stored = file.read()
        keyring_id, method = read_preamble(stored)
        self.codec = DocumentCodec(unlock(method), keyring_id)
        self._ring = self._load(stored)
        file.accept(mark)

    @property
    def ring(self) -> Ring:
        """The current ring, whatever has become of its file."""
        return self._ring

    def ring_in_use(self) -> Ring:
        """Return the current ring.

        Raises:
            KeyringUnavailable: another hand deleted, moved or replaced its file.
        """
        if self._file.is_as_left():
            return self._ring
        with self.changing() as ring:  # after a change of our own, or on the same content
            return ring

    @contextmanager
    def changing(self) -> Iterator[Ring]:
        """Keep other changes out, and yield the ring as it is on disk.

        It takes up a change whose end this process did not see, such as one whose sync failed.

        Raises:
            KeyringUnavailable: the file cannot be read, or is older than what is in memory.
        """
        with self._changing:
            try:
                mark = self._file.mark()
                stored = self._file.read()
                if stored != self._ring.stored:
                    ring = self._load(stored)
                    self._file.sync_directory()
                    if ring.document.seq <= self._ring.document.seq:
                        raise KeyringUnavailable(LOST)
                    self._ring = ring
                self._file.accept(mark)
            except (OSError, FileError, DocumentError):
                raise KeyringUnavailable if self._file.is_as_left() else KeyringUnavailable(LOST) from None
            yield self._ring

    def add(self, version: LocalVersion) -> None:
        """Store the ring with one more version. Raises KeyringUnavailable."""
        document = self._ring.document
        self._store(replace(document, versions=(*document.versions, version)))

    def change(self, *changed: LocalVersion) -> None:
        """Store the ring with these versions changed. Raises KeyringUnavailable."""
        document = self._ring.document
        by_ref = {version.record.ref: version for version in changed}
        versions = tuple(by_ref.get(each.record.ref, each) for each in document.versions)
        self._store(replace(document, versions=versions))

    def finish_destruction(self) -> None:
        """Rewrite the older generations if one may hold a key that was destroyed. Raises KeyringUnavailable.

        A destruction that was cut off leaves such a generation.
        """
        gone = _destroyed(self._ring.document)
        if gone and any(self._may_hold(content, gone) for content in self._file.older()):
            self._write(self._ring.stored, self._file.replace_all)

    def _may_hold(self, content: bytes | None, gone: set[str]) -> bool:
        if content is None:
            return True  # missing or unreadable: writing it anew settles it
        try:
            versions = self.codec.decode(content).versions
        except DocumentError:
            return True
        return any(version.record.ref in gone and version.sealed for version in versions)

    def _store(self, document: KeyringDocument) -> None:
        """Write ``document`` under the next seq, read it back, test it, and only then use it.

        Where a version has been destroyed no older generation is kept: it would hold the key.
        """
        stored = self.codec.encode(replace(document, seq=document.seq + 1))
        has_new_tombstone = bool(_destroyed(document) - _destroyed(self._ring.document))
        self._write(stored, self._file.replace_all if has_new_tombstone else self._file.replace)

    def _write(self, stored: bytes, write: Callable[[bytes], None]) -> None:
        try:
            self._load(stored)
            write(stored)
            self._ring = self._load(self._file.read())
        except (OSError, FileError, DocumentError):
            raise KeyringUnavailable from None

    def _load(self, stored: bytes) -> Ring:
        document = self.codec.decode(stored)
        if document.deployment_id != self.deployment_id:
            raise DocumentError("the keyring belongs to another deployment id")
        self_test(document, self._random)
        by_ref = {version.record.ref: version for version in document.versions}
        return Ring(document, stored, by_ref, document.primary)


def self_test(document: KeyringDocument, random: Callable[[int], bytes]) -> None:
    """Wrap and open a throw-away key with every version that has a KEK. Raises DocumentError."""
    context = DekContext(document.deployment_id, bytes(16), bytes(16), 0).encode()
    for version in document.versions:
        if version.kek is None:
            continue
        data_key = DataKey(random(DATA_KEY_LENGTH))
        body = seal_data_key(version.kek, context, data_key, random(NONCE_LENGTH))
        opened = open_data_key(version.kek, context, body)
        if opened is None or opened.octets != data_key.octets:
            raise DocumentError(f"{version.record.name} fails its self-test")


def _destroyed(document: KeyringDocument) -> set[str]:
    return {each.record.ref for each in document.versions if each.record.state is VersionState.DESTROYED}
