"""No tampered wrapped key is opened, verified or moved; ``make torture`` tries many more at random."""

from __future__ import annotations

import random
from uuid import uuid4

import pytest

from kms.keyring import Keyring, KeyVersions, WrappedDataKey
from tests.support.storms.wrapper_tampering import every_bit, every_exchange, honest_items, opened, tampered
from tests.unit.kms.conftest import DEPLOYMENT_ID

AT_RANDOM = 10_000


@pytest.fixture
def items(keyring: Keyring, versions: KeyVersions) -> list[WrappedDataKey]:
    def rotate() -> None:
        latest = versions.list_versions()[-1].name
        versions.activate_version(versions.create_version(uuid4(), latest).name)

    return honest_items(keyring, rotate, DEPLOYMENT_ID)


def test_the_honest_ones_open(keyring: Keyring, items: list[WrappedDataKey]) -> None:
    """In each of the three ways; otherwise the tests below would prove nothing."""
    assert opened(keyring, items) == 3 * len(items)


def test_every_bit_of_every_part(keyring: Keyring, items: list[WrappedDataKey]) -> None:
    changed = [each for item in items for each in every_bit(item)]
    assert len(changed) > 12 * 2000
    assert opened(keyring, changed) == 0


def test_every_exchange_of_parts(keyring: Keyring, items: list[WrappedDataKey]) -> None:
    changed = list(every_exchange(items))
    assert len(changed) == 12 * 3 * 12 * 12 - 12
    assert opened(keyring, changed) == 0


def test_at_random(keyring: Keyring, items: list[WrappedDataKey]) -> None:
    chance = random.Random(20261123)
    assert opened(keyring, [tampered(chance, items) for _ in range(AT_RANDOM)]) == 0
