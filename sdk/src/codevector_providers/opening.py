"""Open sealed credentials of format 1, byte for byte as docs/formats/envelope.md defines them.

May see: one data key and the fields it opens, for the time of one call. Must never: keep or print either,
trust a column that the envelope does not bind, or say why an envelope does not open: every cause is one
error.

Written apart from the registry's encoder, on HMAC alone where that one uses a library's HKDF.

    bytes      envelope
    0..3       "CVC1"
    4, 5, 6..7 format 1, suite 1, flags 0
    8..23      dek_id
    24..55     commitment
    56..67     nonce
    68..       AES-256-GCM ciphertext, a multiple of 256 bytes, and its tag of 16
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from codevector_providers.errors import CredentialCorrupt
from codevector_providers.model import CredentialType, ProviderKind

_HEAD = struct.Struct(">4sBBH16s32s")
_NONCE_END = _HEAD.size + 12
_TAG_BYTES = 16
_BLOCK_BYTES = 256
_MAX_PLAIN_BYTES = 64 * 1024
_MAX_DESTINATIONS = 8
_DEPLOYMENT_ID_BYTES = 16
_DEK_BYTES = 32

_API_KEY = CredentialType.API_KEY
_AMBIENT = CredentialType.AMBIENT
_GCP = frozenset({CredentialType.GCP_SERVICE_ACCOUNT_KEY, _AMBIENT})
_TYPES_BY_KIND: Mapping[ProviderKind, frozenset[CredentialType]] = {
    **{kind: frozenset({_API_KEY}) for kind in ProviderKind if kind is not ProviderKind.UNSPECIFIED},
    ProviderKind.AZURE: frozenset({_API_KEY, CredentialType.AZURE_CLIENT_SECRET, _AMBIENT}),
    ProviderKind.BEDROCK: frozenset({_API_KEY, CredentialType.AWS_ACCESS_KEY, _AMBIENT}),
    ProviderKind.VERTEX: _GCP,
    ProviderKind.VERTEX_ANTHROPIC: _GCP,
}
# Required fields, then the optional ones.
_FIELDS_BY_TYPE: Mapping[CredentialType, tuple[frozenset[str], frozenset[str]]] = {
    CredentialType.API_KEY: (frozenset({"api_key"}), frozenset()),
    CredentialType.AWS_ACCESS_KEY: (
        frozenset({"access_key_id", "secret_access_key"}),
        frozenset({"session_token", "assume_role_arn"}),
    ),
    CredentialType.GCP_SERVICE_ACCOUNT_KEY: (
        frozenset({"client_email", "private_key", "private_key_id", "project_id"}),
        frozenset(),
    ),
    CredentialType.AZURE_CLIENT_SECRET: (
        frozenset({"tenant_id", "client_id", "client_secret"}),
        frozenset(),
    ),
    CredentialType.AMBIENT: (frozenset(), frozenset()),
}


@dataclass(frozen=True, slots=True)
class SealedCredential:
    """What the registry returns for one provider. Untrusted until ``check`` and ``open_sealed`` accept it."""

    provider_uid: str
    kind: int
    type: int
    credential_version: int
    envelope: bytes
    wrapped_data_key: bytes
    key_version: str
    commitment: bytes
    context: bytes
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """What the opener itself knows: its deployment, its routing table, the destinations it derived."""

    deployment_id: bytes
    provider_uid: UUID
    kind: ProviderKind
    type: CredentialType
    credential_version: int
    destinations: tuple[str, ...]


def check(sealed: SealedCredential, expected: Expected) -> None:
    """Check everything that needs no data key, so that a wrong wrapped key is never unwrapped.

    Raises:
        CredentialCorrupt: whatever is wrong.
    """
    plain_bytes = len(sealed.envelope) - _NONCE_END - _TAG_BYTES
    if not _BLOCK_BYTES <= plain_bytes <= _MAX_PLAIN_BYTES or plain_bytes % _BLOCK_BYTES:
        raise _corrupt()
    magic, format_, suite, flags, dek_id, commitment = _HEAD.unpack_from(sealed.envelope)
    if (magic, format_, suite, flags) != (b"CVC1", 1, 1, 0):
        raise _corrupt()
    claimed = (sealed.provider_uid, sealed.kind, sealed.type, sealed.credential_version)
    if claimed != (
        str(expected.provider_uid),
        expected.kind,
        expected.type,
        expected.credential_version,
    ):
        raise _corrupt()
    if expected.type not in _TYPES_BY_KIND.get(expected.kind, ()):
        raise _corrupt()
    if not hmac.compare_digest(sealed.context, _context(expected, dek_id)):
        raise _corrupt()
    if not hmac.compare_digest(sealed.commitment, commitment):
        raise _corrupt()
    if not expected.destinations or not set(expected.destinations) <= set(sealed.destinations):
        raise _corrupt()
    _encode_destinations(sealed.destinations)


def open_sealed(sealed: SealedCredential, expected: Expected, dek: bytes | bytearray) -> dict[str, str]:
    """Return the fields of the credential, in plain text.

    Raises:
        CredentialCorrupt: whatever is wrong. Nothing of a damaged envelope is ever returned.
    """
    check(sealed, expected)
    if len(dek) != _DEK_BYTES:
        raise _corrupt()
    envelope, context = sealed.envelope, sealed.context
    digest = sha256(context).digest()
    if not hmac.compare_digest(sealed.commitment, _expand(dek, b"codevector/commit/1" + digest)):
        raise _corrupt()
    aad = envelope[: _HEAD.size] + _length_prefixed(
        b"codevector/cred/1",
        context,
        struct.pack(">I", expected.kind),
        struct.pack(">I", expected.type),
        _encode_destinations(sealed.destinations),
    )
    key = _expand(dek, b"codevector/enc/1" + digest)
    plain = _decrypt(key, envelope[_HEAD.size : _NONCE_END], envelope[_NONCE_END:], aad)
    return _decode_fields(_unpad(plain), expected.type)


def _decrypt(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
    """AES-GCM with its tag of 16 bytes last. Source: NIST SP 800-38D."""
    try:
        return AESGCM(key).decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise _corrupt() from None


def _context(expected: Expected, dek_id: bytes) -> bytes:
    """CTX, recomputed from what this router knows; only the data key's id comes from the envelope."""
    if len(expected.deployment_id) != _DEPLOYMENT_ID_BYTES or not 1 <= expected.credential_version < 1 << 63:
        raise _corrupt()
    return _length_prefixed(
        b"codevector/dek/1",
        expected.deployment_id,
        b"default",
        expected.provider_uid.bytes,
        dek_id,
        struct.pack(">Q", expected.credential_version),
    )


def _encode_destinations(items: Sequence[str]) -> bytes:
    """DST of the stored list, verbatim; it must be in the one form that is ever sealed."""
    if not 1 <= len(items) <= _MAX_DESTINATIONS or not all(item.isascii() for item in items):
        raise _corrupt()
    if list(items) != sorted(set(items)):
        raise _corrupt()
    return _length_prefixed(b"codevector/dest/1", *(item.encode("ascii") for item in items))


def _unpad(plain: bytes) -> bytes:
    """Cut 0x80 and zeros. Only the shortest padding that fills a block: one plaintext has one encoding."""
    end = plain.rfind(b"\x80")
    if end < 0 or any(plain[end + 1 :]) or len(plain) - end > _BLOCK_BYTES:
        raise _corrupt()
    return plain[:end]


def _decode_fields(octets: bytes, credential_type: CredentialType) -> dict[str, str]:
    """The named fields: sorted, each once, exactly those of the type."""
    label, *parts = _split(octets) or [b""]
    if label != b"codevector/fields/1" or len(parts) % 2:
        raise _corrupt()
    names, values = _texts(parts[::2]), _texts(parts[1::2])
    required, optional = _FIELDS_BY_TYPE[credential_type]
    if names != sorted(set(names)) or not required <= set(names) <= required | optional:
        raise _corrupt()
    return dict(zip(names, values, strict=True))


def _texts(parts: Sequence[bytes]) -> list[str]:
    """The parts as UTF-8 text. A UnicodeDecodeError would carry the bytes as an attribute: it is dropped."""
    try:
        return [part.decode("utf-8") for part in parts]
    except UnicodeDecodeError:
        pass
    raise _corrupt()


def _split(octets: bytes) -> list[bytes]:
    """The fields of an LP, which must consume all input."""
    fields: list[bytes] = []
    start = 0
    while start < len(octets):
        if len(octets) - start < 4:
            raise _corrupt()
        (size,) = struct.unpack_from(">I", octets, start)
        start += 4
        if size > len(octets) - start:
            raise _corrupt()
        fields.append(octets[start : start + size])
        start += size
    return fields


def _length_prefixed(*fields: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(field)) + field for field in fields)


def _expand(key: bytes | bytearray, info: bytes) -> bytes:
    """HKDF-Expand with SHA-256, one block of 32 bytes. Source: RFC 5869 section 2.3."""
    return hmac.digest(key, info + b"\x01", "sha256")


def _corrupt() -> CredentialCorrupt:
    return CredentialCorrupt(
        "The sealed credential does not open for this provider as it is configured: set its credential again."
    )
