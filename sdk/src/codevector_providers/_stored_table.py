"""A table on disk, for a router that starts while the registry is unavailable.

    bytes      file
    0..3       "CVT1"
    4..15      nonce
    16..       AES-256-GCM of the time it was last known to be current (u64be, Unix seconds) and the
               registry's RoutingSnapshot message, its tag of 16 bytes last; additional data: bytes 0..3

There is no credential in it, sealed or not. The key is 32 random bytes in a file beside it. It detects torn
and foreign files, and protects a copy of the table alone. Anyone who can read both files can read the table.

Must never: trust a file that does not open, that another account or a link brought there, or whose key others
could have read.
"""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from codevector.providers.v1 import routing_service_pb2 as pb
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError

from codevector_providers import _wire
from codevector_providers.table import RoutingTable

_MAGIC = b"CVT1"
_NONCE_BYTES = 12
_KEY_BYTES = 32
_TIME = struct.Struct(">Q")


class StoredTableRefused(Exception):
    """No stored table is usable; the message says why, for a log."""


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table, and when it was last known to be current, in Unix seconds."""

    table: RoutingTable
    current_time: float


class TableFile:
    """Where a router stores its table: ``path``, and the key in ``path`` with ``.key`` after it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key_path = path.with_name(f"{path.name}.key")

    def load(self) -> StoredTable:
        """Return the table that was stored last.

        Raises:
            StoredTableRefused: none is stored, or it was changed since.
        """
        try:
            octets = _read(self._path)
            key = self._read_key()
        except OSError as error:
            raise StoredTableRefused(f"{error.filename}: {error.strerror}") from None
        start = len(_MAGIC) + _NONCE_BYTES
        try:
            plain = AESGCM(key).decrypt(octets[len(_MAGIC) : start], octets[start:], octets[: len(_MAGIC)])
            (seconds,) = _TIME.unpack_from(plain)
            message = pb.RoutingSnapshot.FromString(plain[_TIME.size :])
        except (InvalidTag, ValueError, struct.error, DecodeError):
            raise StoredTableRefused(f"{self._path}: not a table that this router stored") from None
        reader = _wire.TableReader()
        reader.add(message)
        return StoredTable(
            reader.table(store_id=message.store_id, revision=message.revision, token=""), seconds
        )

    def save(self, table: RoutingTable, *, current_time: float) -> None:
        """Put the table in the place of the one stored before, at once or not at all. Raises OSError."""
        key = self._key()
        nonce = os.urandom(_NONCE_BYTES)
        plain = _TIME.pack(int(current_time)) + _wire.snapshot_message(table).SerializeToString()
        _write(self._path, _MAGIC + nonce + AESGCM(key).encrypt(nonce, plain, _MAGIC))

    def _key(self) -> bytes:
        """The key; a fresh one where there is none that could be used."""
        try:
            return self._read_key()
        except (OSError, StoredTableRefused):
            key = os.urandom(_KEY_BYTES)
            _write(self._key_path, key)
            return key

    def _read_key(self) -> bytes:
        key = _read(self._key_path, private=True)
        if len(key) != _KEY_BYTES:
            raise StoredTableRefused(f"{self._key_path}: not a key")
        return key


def _read(path: Path, *, private: bool = False) -> bytes:
    """Return a file's content.

    Raises:
        OSError: it cannot be opened, or is a link, which somebody else may have put there.
        StoredTableRefused: it is another account's, or no plain file; with ``private``, others may read it.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise StoredTableRefused(f"{path}: not a plain file")
        if status.st_uid != os.geteuid():
            raise StoredTableRefused(f"{path}: another account's")
        if private and stat.S_IMODE(status.st_mode) & 0o077:
            raise StoredTableRefused(f"{path}: others may read it")
        return file.read()


def _write(path: Path, octets: bytes) -> None:
    """Write a file of mode 0600 beside ``path`` and move it there, all of it on disk."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
