"""More than 500 kills of registries, sidecar and driver in the middle of rotations and writes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.servers.postgresql import PostgresServer
from tests.support.storms.rotation_storm import rage

STORMS = 4
KILLS = 128
CREDENTIALS = 150


@pytest.mark.parametrize("seed", range(1, STORMS + 1))
def test_512_kills(
    postgres_server: PostgresServer, rounds: Callable[[int], int], tell: Callable[[str], None], seed: int
) -> None:
    tell(rage(postgres_server, seed=seed, kills=rounds(KILLS), credentials=CREDENTIALS))
