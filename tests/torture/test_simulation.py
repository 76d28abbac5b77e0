"""Many seeds of the simulated store, replicas and routers. One that fails says how to run it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.support.histories.simulation import simulate

PARTS = 8
SEEDS = 10_000


@pytest.mark.parametrize("part", range(PARTS))
def test_the_laws_hold_for_every_seed(
    rounds: Callable[[int], int], tell: Callable[[str], None], part: int
) -> None:
    seeds = range(part, rounds(SEEDS), PARTS)
    met: Counter[str] = sum((simulate(seed) for seed in seeds), Counter())
    tell(f"{len(seeds)} seeds: {', '.join(f'{count} {what}' for what, count in sorted(met.items()))}")
