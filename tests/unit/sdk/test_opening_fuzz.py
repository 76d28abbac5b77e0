"""More than 100,000 tampered and made-up envelopes: one type of error, and nothing accepted."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from codevector_providers.errors import CredentialCorrupt
from codevector_providers.opening import SealedCredential, open_sealed
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.domain.model import CredentialType
from service.sealing.envelope import encode_plain
from tests.support.values import oracle_envelope as oracle
from tests.support.values.envelope_vectors import load, load_all
from tests.support.values.sealed import expected, sealed_credential

SEED = 20260415
VECTORS = [vector for vector in load_all(opens=True) if len(vector.envelope) < 2000]
FROZEN = load("openai-api-key")


def flip_bits(rng: random.Random, octets: bytes) -> bytes:
    changed = bytearray(octets)
    for _ in range(rng.choice((1, 1, 2, 3, 17))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite(rng: random.Random, octets: bytes) -> bytes:
    start = rng.randrange(len(octets))
    filler = rng.choice((bytes, lambda size: b"\xff" * size, rng.randbytes))(rng.randint(1, 40))
    return octets[:start] + filler + octets[start + len(filler) :]


def cut(rng: random.Random, octets: bytes) -> bytes:
    start, size = rng.randrange(len(octets)), rng.choice((1, 2, 16, 255, 256, 257))
    return octets[:start] + octets[start + size :]


def insert(rng: random.Random, octets: bytes) -> bytes:
    start = rng.randrange(len(octets) + 1)
    return octets[:start] + rng.randbytes(rng.choice((1, 2, 16, 255, 256, 257))) + octets[start:]


def splice(rng: random.Random, octets: bytes) -> bytes:
    other = rng.choice(VECTORS).envelope
    start = rng.randrange(1, min(len(octets), len(other)))
    return octets[:start] + other[start:]


def repeat(rng: random.Random, octets: bytes) -> bytes:
    return octets + octets[-rng.choice((16, 256, 272)) :]


TAMPERS = (flip_bits, flip_bits, overwrite, cut, insert, splice, repeat)


def refused(sealed: SealedCredential, index: int, dek: bytes) -> bool:
    try:
        open_sealed(sealed, expected(VECTORS[index]), dek)
    except CredentialCorrupt:
        return True
    return False


def test_70000_tampered_envelopes() -> None:
    rng = random.Random(SEED)
    for _ in range(70_000):
        index = rng.randrange(len(VECTORS))
        vector = VECTORS[index]
        tampered = rng.choice(TAMPERS)(rng, vector.envelope)
        if tampered != vector.envelope:
            sealed = replace(sealed_credential(vector), envelope=tampered, commitment=tampered[24:56])
            assert refused(sealed, index, vector.dek), tampered.hex()


def test_30000_random_envelopes() -> None:
    """Also with a right header, so that they get as far as the cipher."""
    rng = random.Random(SEED + 1)
    for number in range(30_000):
        index = rng.randrange(len(VECTORS))
        vector = VECTORS[index]
        head = vector.envelope[: rng.choice((0, 4, 8, 24, 56, 68))] if number % 2 else b""
        size = rng.choice((0, 1, 55, 84, 340, 596, rng.randrange(700)))
        octets = head + rng.randbytes(max(0, size - len(head)))
        assert refused(replace(sealed_credential(vector), envelope=octets), index, vector.dek), octets.hex()


def test_20000_malformed_plaintexts_under_the_right_key() -> None:
    """The parser behind the cipher: what it accepts is exactly what the encoder writes."""
    rng = random.Random(SEED + 2)
    cipher = AESGCM(oracle.expand(FROZEN.dek, b"codevector/enc/1", FROZEN.context))
    right = cipher.decrypt(FROZEN.nonce, FROZEN.envelope[68:], FROZEN.aad)
    sealed, known = sealed_credential(FROZEN), expected(FROZEN)
    makers: tuple[Callable[[], bytes], ...] = (
        lambda: flip_bits(rng, right),
        lambda: overwrite(rng, right)[:256].ljust(256, b"\x00"),
        lambda: rng.randbytes(256),
        lambda: right[: rng.randrange(60)] + rng.randbytes(40) + b"\x80" + bytes(256),
    )
    accepted = 0
    for _ in range(20_000):
        plain = rng.choice(makers)()
        plain = plain[: len(plain) // 256 * 256]
        body = cipher.encrypt(FROZEN.nonce, plain, FROZEN.aad)
        try:
            fields = open_sealed(replace(sealed, envelope=FROZEN.envelope[:68] + body), known, FROZEN.dek)
        except CredentialCorrupt:
            continue
        accepted += 1
        assert encode_plain(CredentialType.API_KEY, fields) == plain
    assert accepted > 0


@pytest.mark.parametrize("index", range(len(VECTORS)), ids=[vector.name for vector in VECTORS])
def test_the_untampered_ones_open(index: int) -> None:
    """Else the tests above would show nothing."""
    assert not refused(sealed_credential(VECTORS[index]), index, VECTORS[index].dek)
