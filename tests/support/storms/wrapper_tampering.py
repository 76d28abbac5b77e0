"""Wrappers that were tampered with, at random and systematically, put to everything that opens wrappers.

`tampered` changes bits, bytes and lengths of one of the four parts, or exchanges parts with another wrapper;
what comes out always differs from every honest item.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from kms.formats import DekContext
from kms.keyring import DataKey, Keyring, KeyringError, WrapItem, WrappedDataKey

PARTS = ("wrapped", "key_version", "commitment", "context")
BATCH = 64


def honest_items(
    keyring: Keyring, rotate: Callable[[], object], deployment_id: bytes
) -> list[WrappedDataKey]:
    """Twelve wrappers: of three key versions, two providers and two credential versions."""
    made: list[WrappedDataKey] = []
    for number in range(3):
        contexts = [
            DekContext(deployment_id, bytes([uid]) * 16, bytes([number, uid, version]) + bytes(13), version)
            for uid in (1, 2)
            for version in (1, 2)
        ]
        items = [WrapItem(context.encode(), DataKey(random.randbytes(32))) for context in contexts]
        made += [result for result in keyring.wrap(items) if isinstance(result, WrappedDataKey)]
        if number < 2:
            rotate()
    assert len(made) == 12
    return made


def every_bit(item: WrappedDataKey) -> Iterator[WrappedDataKey]:
    """One bit of one part flipped, each in turn."""
    for part in PARTS:
        octets = _octets(item, part)
        for bit in range(len(octets) * 8):
            changed = bytearray(octets)
            changed[bit // 8] ^= 1 << bit % 8
            yield _with(item, part, bytes(changed))


def every_exchange(items: Sequence[WrappedDataKey]) -> Iterator[WrappedDataKey]:
    """Each part from any of the items, all combinations but the honest ones."""
    for wrapped in items:
        for version in {item.key_version for item in items}:
            for commitment in items:
                for context in items:
                    item = WrappedDataKey(wrapped.wrapped, version, commitment.commitment, context.context)
                    if item not in items:
                        yield item


def tampered(chance: random.Random, items: Sequence[WrappedDataKey]) -> WrappedDataKey:
    """One of the items, changed at random."""
    while True:
        item, other = chance.choice(items), chance.choice(items)
        for _ in range(chance.choice((1, 1, 1, 2))):
            part = chance.choice((*PARTS, "wrapped", "wrapped"))
            act = chance.choice(_ACTS)
            item = _with(item, part, act(chance, _octets(item, part), _octets(other, part)))
        if item not in items:
            return item


def opened(keyring: Keyring, items: Sequence[WrappedDataKey]) -> int:
    """How many of the items anything opens: unwrapping, verifying, or moving to the primary version."""
    count = 0
    primary = keyring.status().primary
    for start in range(0, len(items), BATCH):
        some = items[start : start + BATCH]
        unwrapped, verified, moved = keyring.unwrap(some), keyring.verify(some), keyring.rewrap(some, primary)
        for results in (unwrapped, moved):
            count += sum(not isinstance(result, KeyringError) for result in results)
        count += sum(result is None for result in verified)
    return count


def _flip(chance: random.Random, octets: bytes, _: bytes) -> bytes:
    changed = bytearray(octets or b"\x00")
    for _number in range(chance.choice((1, 1, 2, 9))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _overwrite(chance: random.Random, octets: bytes, _: bytes) -> bytes:
    start = chance.randrange(len(octets) + 1)
    filler = chance.choice((bytes, lambda size: b"\xff" * size, chance.randbytes))(chance.randint(1, 20))
    return octets[:start] + filler + octets[start + len(filler) :]


def _cut(chance: random.Random, octets: bytes, _: bytes) -> bytes:
    start = chance.randrange(len(octets) + 1)
    return octets[:start] + octets[start + chance.choice((1, 2, 12, 16, 60)) :]


def _insert(chance: random.Random, octets: bytes, _: bytes) -> bytes:
    start = chance.randrange(len(octets) + 1)
    return octets[:start] + chance.randbytes(chance.choice((1, 2, 16))) + octets[start:]


def _splice(chance: random.Random, octets: bytes, other: bytes) -> bytes:
    start = chance.randrange(len(octets) + 1)
    return octets[:start] + other[start:]


def _exchange(_: random.Random, _octets_: bytes, other: bytes) -> bytes:
    return other


_ACTS = (_flip, _flip, _overwrite, _cut, _insert, _splice, _exchange)


def _octets(item: WrappedDataKey, part: str) -> bytes:
    value = getattr(item, part)
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


def _with(item: WrappedDataKey, part: str, octets: bytes) -> WrappedDataKey:
    if part == "key_version":
        return replace(item, key_version=octets.decode("utf-8", "surrogateescape"))
    changed: dict[str, Any] = {part: octets}
    return replace(item, **changed)
