"""A key-encryption key in memory, and the body of a local wrapped key.

    body = nonce[12] || AES-256-GCM(HKDF(KEK, info=CTX), nonce, DEK[32], AAD empty)      60 bytes

Sees KEKs and DEKs. Must never log or print one, nor put one into an error.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kms.formats import hkdf_expand, hkdf_extract
from kms.keyring import DATA_KEY_LENGTH, DataKey

KEK_LENGTH = 32
NONCE_LENGTH = 12

_BODY_LENGTH = NONCE_LENGTH + DATA_KEY_LENGTH + 16
_CHECK_LABEL = b"codevector/kek-id/1"


class Kek:
    """A KEK as the pseudorandom key that HKDF extracts from it; never printed.

    Extraction is the same for every wrapped key, so it is done once and the raw KEK is not kept.
    """

    __slots__ = ("_prk", "check")

    def __init__(self, octets: bytes | bytearray) -> None:
        self._prk = hkdf_extract(octets)
        self.check = self.derive(_CHECK_LABEL)[:8].hex()

    def derive(self, info: bytes) -> bytes:
        """Return HKDF(KEK, info), 32 bytes."""
        return hkdf_expand(self._prk, info)

    def __repr__(self) -> str:
        return "Kek(<redacted>)"


def seal_data_key(kek: Kek, context: bytes, data_key: DataKey, nonce: bytes) -> bytes:
    """Return the body of a wrapped key, 60 bytes. ``nonce`` is 12 random bytes, never used twice."""
    return nonce + AESGCM(kek.derive(context)).encrypt(nonce, data_key.octets, None)


def open_data_key(kek: Kek, context: bytes, body: bytes) -> DataKey | None:
    """Return the DEK, or None if the body does not belong to this KEK and context."""
    if len(body) != _BODY_LENGTH:
        return None
    octets = bytearray(DATA_KEY_LENGTH)
    try:
        AESGCM(kek.derive(context)).decrypt_into(body[:NONCE_LENGTH], body[NONCE_LENGTH:], None, octets)
    except InvalidTag:
        octets[:] = bytes(DATA_KEY_LENGTH)  # decrypt_into leaves unauthenticated plaintext in the buffer
        return None
    return DataKey(octets)
