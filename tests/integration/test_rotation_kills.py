"""A short storm; `make torture` runs the long ones."""

from __future__ import annotations

import random

from tests.support.servers.postgresql import PostgresServer
from tests.support.storms.rotation_storm import rage

KILLS = 12
CREDENTIALS = 50


def test_kills_in_the_middle_of_rotations_lose_nothing(postgres_server: PostgresServer) -> None:
    rage(postgres_server, seed=random.randrange(1 << 32), kills=KILLS, credentials=CREDENTIALS)
