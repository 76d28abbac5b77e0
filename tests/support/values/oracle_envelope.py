"""A small decoder of format 1 for tests, written from docs/formats/envelope.md with hmac and the raw cipher.

Neither the registry's encoder nor the SDK's opener is imported: three programs have to agree.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def lp(*fields: bytes) -> bytes:
    """Length-prefixed fields."""
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def unlp(octets: bytes) -> list[bytes]:
    """The fields of an LP, all input consumed."""
    fields = []
    while octets:
        size = int.from_bytes(octets[:4], "big")
        assert len(octets) >= 4 + size
        fields.append(octets[4 : 4 + size])
        octets = octets[4 + size :]
    return fields


def expand(key: bytes, label: bytes, context: bytes) -> bytes:
    """HKDF-Expand, one block."""
    return hmac.digest(key, label + hashlib.sha256(context).digest() + b"\x01", "sha256")


def commitment(dek: bytes, context: bytes) -> bytes:
    """The key commitment."""
    return expand(dek, b"codevector/commit/1", context)


def open_envelope(
    envelope: bytes, *, dek: bytes, context: bytes, kind: int, credential_type: int, destinations: list[str]
) -> dict[str, str]:
    """The fields, or an exception of any type."""
    header, nonce, sealed = envelope[:56], envelope[56:68], envelope[68:]
    assert header[:8] == b"CVC1\x01\x01\x00\x00"
    assert header[8:24] == unlp(context)[4]
    assert header[24:] == commitment(dek, context)
    bound = lp(b"codevector/dest/1", *(item.encode() for item in destinations))
    label = b"codevector/cred/1"
    aad = header + lp(label, context, kind.to_bytes(4, "big"), credential_type.to_bytes(4, "big"), bound)
    plain = AESGCM(expand(dek, b"codevector/enc/1", context)).decrypt(nonce, sealed, aad)
    assert len(plain) % 256 == 0
    name, *parts = unlp(plain.rstrip(b"\x00")[:-1])
    assert name == b"codevector/fields/1"
    return {parts[i].decode(): parts[i + 1].decode() for i in range(0, len(parts), 2)}
