"""A short storm; `make torture` runs the long ones."""

from __future__ import annotations

import random

from tests.support.servers.harness import running
from tests.support.storms.watch_storm import rage

KILLS = 2
WRITES = 200


def test_routers_end_with_the_table_that_is_there() -> None:
    with running() as made:
        rage([made], seed=random.randrange(1 << 32), kills=KILLS, writes=WRITES)
