"""Encode and seal envelopes of format 1, byte for byte as docs/formats/envelope.md defines them.

May see: one data key and one credential's fields, for the time of one call. Must never: keep either, log
either, put either into an exception, or open an envelope. There is no decoder here on purpose: the registry
stores what it cannot read, and the readers are written independently of this file.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from service.domain.model import CredentialType, ProviderKind

DEK_BYTES = 32
NONCE_BYTES = 12
DEPLOYMENT_ID_BYTES = 16
BLOCK_BYTES = 256
MAX_PLAIN_BYTES = 64 * 1024
MAX_DESTINATIONS = 8
AUDIENCE = b"default"

_MAGIC_FORMAT_SUITE_FLAGS = b"CVC1" + struct.pack(">BBH", 1, 1, 0)

FIELDS_BY_TYPE: Mapping[CredentialType, frozenset[str]] = {
    CredentialType.API_KEY: frozenset({"api_key"}),
    CredentialType.AWS_ACCESS_KEY: frozenset(
        {"access_key_id", "secret_access_key", "session_token", "assume_role_arn"}
    ),
    CredentialType.GCP_SERVICE_ACCOUNT_KEY: frozenset(
        {"client_email", "private_key", "private_key_id", "project_id"}
    ),
    CredentialType.AZURE_CLIENT_SECRET: frozenset({"tenant_id", "client_id", "client_secret"}),
    CredentialType.AMBIENT: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Binding:
    """All that an envelope is bound to and none of what it holds. Nothing here is secret.

    ``destinations`` is stored and authenticated verbatim: use ``sorted_destinations`` first.
    """

    deployment_id: bytes
    provider_uid: UUID
    dek_id: UUID
    credential_version: int
    kind: ProviderKind
    type: CredentialType
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Envelope:
    """One sealed message with the two public values that the wrapper of its data key is checked against."""

    data: bytes
    commitment: bytes
    context: bytes


def length_prefixed(*fields: bytes) -> bytes:
    """LP: each field as a big-endian u32 length and its bytes, in order."""
    return b"".join(part for field in fields for part in (struct.pack(">I", len(field)), field))


def sorted_destinations(items: Sequence[str]) -> tuple[str, ...]:
    """Return the order in which destinations are stored and bound: by their bytes."""
    return tuple(sorted(items, key=lambda item: item.encode("ascii")))


def encode_context(binding: Binding) -> bytes:
    """CTX of a binding, as `context_of` its parts."""
    return context_of(binding.deployment_id, binding.provider_uid, binding.dek_id, binding.credential_version)


def context_of(deployment_id: bytes, provider_uid: UUID, dek_id: UUID, credential_version: int) -> bytes:
    """CTX: what a wrapped data key belongs to; 103 bytes. The sidecar parses it too.

    Raises:
        ValueError: the deployment id is not 16 bytes, or the version is not a positive 64-bit number.
    """
    if len(deployment_id) != DEPLOYMENT_ID_BYTES:
        raise ValueError(f"a deployment id is {DEPLOYMENT_ID_BYTES} bytes")
    if not 1 <= credential_version < 1 << 63:
        raise ValueError("a credential version is a positive int64")
    return length_prefixed(
        b"codevector/dek/1",
        deployment_id,
        AUDIENCE,
        provider_uid.bytes,
        dek_id.bytes,
        struct.pack(">Q", credential_version),
    )


def encode_destinations(items: Sequence[str]) -> bytes:
    """DST: where the credential may be sent.

    Raises:
        ValueError: not 1 to 8 items, or not sorted by their bytes, or one twice, or not ASCII.
    """
    encoded = [item.encode("ascii") for item in items]
    if not 1 <= len(encoded) <= MAX_DESTINATIONS:
        raise ValueError(f"an envelope names 1 to {MAX_DESTINATIONS} destinations")
    if any(left >= right for left, right in pairwise(encoded)):
        raise ValueError("destinations are sorted by their bytes, each once")
    return length_prefixed(b"codevector/dest/1", *encoded)


def encode_header(dek_id: UUID, commitment: bytes) -> bytes:
    """HEADER, 56 bytes: magic, format, suite, flags, data key id, commitment."""
    return _MAGIC_FORMAT_SUITE_FLAGS + dek_id.bytes + commitment


def encode_aad(binding: Binding, header: bytes, context: bytes) -> bytes:
    """AAD: the header and everything else that may not be exchanged under the ciphertext."""
    return header + length_prefixed(
        b"codevector/cred/1",
        context,
        struct.pack(">I", binding.kind),
        struct.pack(">I", binding.type),
        encode_destinations(binding.destinations),
    )


def encode_plain(credential_type: CredentialType, fields: Mapping[str, str]) -> bytearray:
    """PLAIN: the fields, sorted by name, then 0x80 and zeros up to a multiple of 256 bytes.

    The padding hides all but the size class of the secret. The caller wipes the answer.

    Raises:
        ValueError: a field the type does not have, a value that is not text, or more than 64 KiB.
    """
    if not fields.keys() <= FIELDS_BY_TYPE[credential_type]:
        raise ValueError(f"a credential of type {credential_type.name} has no such field")
    plain = bytearray(length_prefixed(b"codevector/fields/1"))
    for name in sorted(fields):
        plain += length_prefixed(name.encode("ascii"), _utf8(fields[name]))
    plain.append(0x80)
    plain += bytes(-len(plain) % BLOCK_BYTES)
    if len(plain) > MAX_PLAIN_BYTES:
        wipe(plain)
        raise ValueError(f"a credential's fields are at most {MAX_PLAIN_BYTES} bytes together")
    return plain


def commit_to(dek: bytes | bytearray, context: bytes) -> bytes:
    """Return the key commitment, 32 bytes: AES-GCM alone lets one ciphertext open under two keys."""
    return _expand(dek, b"codevector/commit/1" + sha256(context).digest())


def seal(binding: Binding, fields: Mapping[str, str], *, dek: bytes | bytearray, nonce: bytes) -> Envelope:
    """Seal the fields under a data key that has sealed nothing else and never will.

    Raises:
        ValueError: a key, nonce, binding or field outside the format.
    """
    if len(dek) != DEK_BYTES or len(nonce) != NONCE_BYTES:
        raise ValueError(f"a data key is {DEK_BYTES} bytes and a nonce {NONCE_BYTES}")
    context = encode_context(binding)
    commitment = commit_to(dek, context)
    header = encode_header(binding.dek_id, commitment)
    aad = encode_aad(binding, header, context)
    encryption_key = _expand(dek, b"codevector/enc/1" + sha256(context).digest())
    plain = encode_plain(binding.type, fields)
    try:
        sealed = _encrypt(encryption_key, nonce, plain, aad)
    finally:
        wipe(plain)
    return Envelope(data=header + nonce + sealed, commitment=commitment, context=context)


def wipe(buffer: bytearray) -> None:
    """Overwrite with zeros. Best effort: copies the interpreter made elsewhere stay until it reuses them."""
    buffer[:] = bytes(len(buffer))


def _utf8(value: str) -> bytes:
    """Encode one secret. A UnicodeEncodeError would carry the secret as an attribute: it is not passed on."""
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        pass
    raise ValueError("a credential's field is not well-formed text")


def _encrypt(key: bytes, nonce: bytes, plain: bytes | bytearray, aad: bytes) -> bytes:
    """AES-GCM with its tag of 16 bytes last. Source: NIST SP 800-38D."""
    return AESGCM(key).encrypt(nonce, plain, aad)


def _expand(key: bytes | bytearray, info: bytes) -> bytes:
    """HKDF-Expand with SHA-256, 32 bytes. Source: RFC 5869 section 2.3; the data key is uniform already."""
    return HKDFExpand(algorithm=SHA256(), length=32, info=info).derive(key)
