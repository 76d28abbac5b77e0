"""A Transit key as its metadata describes it: its versions, their names, whether to trust it.

    ref     transit-<first 8 hex digits of SHA-256(MOUNT/KEY)>-v<N>-<creation of version N, Unix seconds>
    body    ASCII "vault:v<N>:<base64 of nonce[12] || ciphertext[32] || tag[16]>"

The creation time gives the versions of a deleted and re-created key other names. Sees no key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kms.keyring import DATA_KEY_LENGTH, KEY_VERSION_PREFIX

_MINIMUMS = ("available", "decryption", "encryption")
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_REF = re.compile(r"transit-([0-9a-f]{8})-v([1-9][0-9]{0,8})-([0-9]{1,12})")
_CIPHERTEXT = re.compile(r"vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/]+={0,2})")
_SEALED_LENGTH = 12 + DATA_KEY_LENGTH + 16
# What a key must be, and the fault to report otherwise.
_REQUIRED: tuple[tuple[str, object, str], ...] = (
    ("type", "aes256-gcm96", "is not of the type aes256-gcm96"),
    ("derived", True, "does not derive a key per context (derived=true)"),
    ("exportable", False, "can be exported"),
    ("allow_plaintext_backup", False, "can be backed up in plaintext"),
    ("convergent_encryption", False, "encrypts convergently"),
    ("deletion_allowed", False, "can be deleted"),
)


@dataclass(frozen=True, slots=True)
class TransitAddress:
    """The address of a key in a server."""

    mount: str
    key: str

    @classmethod
    def parse(cls, text: str) -> TransitAddress:
        """Parse ``MOUNT/KEY``; the mount may have several segments. Raises ValueError."""
        *mount, key = text.split("/")
        if not mount or not all(_SEGMENT.fullmatch(segment) for segment in (*mount, key)):
            raise ValueError(
                "a keyring in Vault must be vault-transit:MOUNT/KEY, such as vault-transit:transit/codevector"
            )
        return cls("/".join(mount), key)

    def path(self, operation: str) -> str:
        """Return the path of an operation on this key, such as ``transit/encrypt/codevector``."""
        return f"{self.mount}/{operation}/{self.key}"

    @property
    def keyring_id(self) -> str:
        """8 hex digits that stand for this address in every ref."""
        return hashlib.sha256(f"{self.mount}/{self.key}".encode()).hexdigest()[:8]

    def __str__(self) -> str:
        return f"{self.mount}/{self.key}"


@dataclass(frozen=True, slots=True)
class TransitKey:
    """The metadata of one read. ``created`` maps each version that opens to its creation in Unix seconds.

    Versions below ``min_decryption_version`` are missing: the server reports nothing about them.
    """

    address: TransitAddress
    created: Mapping[int, int]
    latest: int
    min_available_version: int
    min_decryption_version: int
    min_encryption_version: int
    faults: tuple[str, ...]

    @classmethod
    def read(cls, address: TransitAddress, data: Mapping[str, Any]) -> TransitKey:
        """Parse the ``data`` of a key read. Raises ValueError unless it is that of a symmetric key."""
        try:
            created = {int(number): int(seconds) for number, seconds in data["keys"].items()}
            latest = int(data["latest_version"])
            available, decryption, encryption = (int(data[f"min_{use}_version"]) for use in _MINIMUMS)
        except (KeyError, TypeError, AttributeError, ValueError):
            created, latest, available, decryption, encryption = {}, 0, 0, 0, 0
        if latest not in created:
            raise ValueError("not the metadata of a symmetric key")
        faults = tuple(fault for name, wanted, fault in _REQUIRED if data.get(name) != wanted)
        # OpenBao only: a soft-deleted key serves nothing until it is restored.
        soft_deleted = ("is soft-deleted",) if data.get("soft_deleted") else ()
        return cls(address, created, latest, available, decryption, encryption, (*faults, *soft_deleted))

    def name(self, number: int) -> str:
        """Return ``keyVersions/{ref}`` of a version that opens."""
        ref = f"transit-{self.address.keyring_id}-v{number}-{self.created[number]}"
        return KEY_VERSION_PREFIX + ref

    @property
    def primary(self) -> str:
        """The name of the latest version."""
        return self.name(self.latest)

    def names(self) -> tuple[str, ...]:
        """Return the names of all versions that open, oldest first."""
        return tuple(self.name(number) for number in sorted(self.created))

    def number(self, name: str) -> int | None:
        """Return the number of a version that opens, None for any other name."""
        number = version_number(name)
        known = number is not None and number in self.created and self.name(number) == name
        return number if known else None

    def create_time(self, number: int) -> datetime:
        """Return when a version was created, to the second."""
        return datetime.fromtimestamp(self.created[number], UTC)


def version_number(name: str) -> int | None:
    """Return the N of a name or ref in the Transit form, of any key."""
    match = _REF.fullmatch(name.removeprefix(KEY_VERSION_PREFIX))
    return int(match[2]) if match else None


def ciphertext_version(ciphertext: str) -> int | None:
    """Return the N of a Transit ciphertext that can hold one DEK, None if it cannot.

    The server is laxer (it takes v0 and v01 for v1), so this is checked before the request.
    """
    match = _CIPHERTEXT.fullmatch(ciphertext)
    if match is None:
        return None
    try:
        sealed = base64.b64decode(match[2], validate=True)
    except binascii.Error:
        return None
    return int(match[1]) if len(sealed) == _SEALED_LENGTH else None
