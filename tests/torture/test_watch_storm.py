"""Long storms: registries on SQLite and two replicas on PostgreSQL, killed while routers watch."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.support.servers.harness import running
from tests.support.servers.postgresql import PostgresServer
from tests.support.servers.registry_pairs import two_registries
from tests.support.storms.watch_storm import rage

STORMS = 2
KILLS = 32
WRITES = 500


@pytest.mark.parametrize("number", range(STORMS))
def test_one_registry(rounds: Callable[[int], int], tell: Callable[[str], None], number: int) -> None:
    with running() as made:
        tell(rage([made], seed=random.randrange(1 << 32), kills=rounds(KILLS), writes=WRITES))


@pytest.mark.parametrize("number", range(STORMS))
def test_two_replicas(
    postgres_server: PostgresServer,
    rounds: Callable[[int], int],
    tell: Callable[[str], None],
    number: int,
) -> None:
    with two_registries(postgres_server) as pair:
        tell(rage(pair, seed=random.randrange(1 << 32), kills=rounds(KILLS), writes=WRITES))
