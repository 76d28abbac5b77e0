"""The sidecar's own Ed25519 key, which signs the audit's checkpoints and nothing else.

    audit.key   its seed, 32 bytes, mode 0600
    audit.pub   its public key, 64 hex digits and a line end: auditors keep a copy elsewhere

Sees the seed. Must never hand out more than signatures and the public key.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kms.errors import StartError
from kms.files.private import (
    create_private,
    make_private_directory,
    open_private_directory,
    read_private,
)

SEED_LENGTH = 32

_KEY_NAME = "audit.key"
_PUBLIC_NAME = "audit.pub"
_PUBLIC_KEY = re.compile(r"[0-9a-f]{64}\n?")


class AuditKeyError(StartError):
    """The audit's key is missing or damaged; one sentence."""


class AuditKey:
    """Signs checkpoints. Prints as its public key."""

    __slots__ = ("_key", "public_key")

    def __init__(self, seed: bytes) -> None:
        """Derive the key from a seed of 32 bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, statement: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self._key.sign(statement)

    def __repr__(self) -> str:
        return f"AuditKey({self.public_key.hex()})"


def make_audit_key(directory: Path, random: Callable[[int], bytes]) -> tuple[AuditKey, bool]:
    """Return the key in ``directory`` and whether it is new; write a missing public key beside it.

    Raises:
        StartError: it cannot be written, or an existing one is damaged or not private.
    """
    try:
        make_private_directory(directory)
        with _alone(directory):
            is_new = not (directory / _KEY_NAME).exists()
            if is_new:
                create_private(directory / _KEY_NAME, random(SEED_LENGTH))
            key = read_audit_key(directory)
            if not public_key_file(directory).exists():
                create_private(public_key_file(directory), key.public_key.hex().encode("ascii") + b"\n")
    except OSError as error:
        raise AuditKeyError(f"the audit key in {directory} cannot be made: {error.strerror}") from None
    return key, is_new


def read_audit_key(directory: Path) -> AuditKey:
    """Return the key that ``init`` made. Raises StartError if it is missing, damaged or not private."""
    path = directory / _KEY_NAME
    try:
        seed = read_private(path, limit=SEED_LENGTH)
    except FileNotFoundError:
        raise AuditKeyError(f"the audit key {path} is missing: `python -m kms init` makes it") from None
    if len(seed) != SEED_LENGTH:
        raise AuditKeyError(f"the audit key {path} must have {SEED_LENGTH} bytes")
    return AuditKey(seed)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Wait for another ``init``: of two keys made at once, the lost one's public key would be kept."""
    descriptor = open_private_directory(directory)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def public_key_file(directory: Path) -> Path:
    """Return the path of the public key."""
    return directory / _PUBLIC_NAME


def read_public_key(path: Path) -> bytes:
    """Return the 32 bytes in a file like audit.pub, of any owner. Raises AuditKeyError."""
    try:
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        raise AuditKeyError(f"the public key {path} cannot be read") from None
    if not _PUBLIC_KEY.fullmatch(text):
        raise AuditKeyError(f"{path} must hold a public key: 64 hex digits, as in audit.pub")
    return bytes.fromhex(text)
