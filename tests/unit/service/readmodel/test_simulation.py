"""Seeded storms over the registry's read model on a virtual clock; `make torture` runs many more of them."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

import pytest

from service.readmodel.live import LiveTable
from service.readmodel.replicas import Replicas
from service.readmodel.routers import Routers
from service.readmodel.snapshot import SnapshotReason
from service.usecases.routers import RouterViews
from tests.support.histories import virtual_time
from tests.support.histories.simulation import LawBroken, simulate

SEEDS = 80
PART = 20


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_the_laws_hold_for_every_seed(first: int) -> None:
    for seed in range(first, first + PART):
        simulate(seed)


def test_a_seed_repeats() -> None:
    assert simulate(7) == simulate(7)


def run_seeds() -> None:
    for seed in range(SEEDS):
        simulate(seed)


class TestItFindsWhatIsBroken:
    def test_reached_is_told_too_early(self) -> None:
        broken = pytest.raises(LawBroken, match=r"^seed \d+: .* says that all routers have .*simulation \d+$")
        with (
            patch.object(Routers, "all_have", lambda *_: True),
            patch.object(RouterViews, "_counted", lambda _: []),
            broken,
        ):
            run_seeds()

    def test_the_view_is_older_than_the_call(self) -> None:
        broken = pytest.raises(LawBroken, match="says that all routers have")
        with patch.object(Replicas, "has_view", lambda *_: True), broken:
            run_seeds()

    def test_a_token_of_a_lost_history_is_called_old(self) -> None:
        async def not_asked(*_: object) -> SnapshotReason:
            return SnapshotReason.COMPACTED

        broken = pytest.raises(LawBroken, match="COMPACTED")
        with patch.object(LiveTable, "_too_old", not_asked), broken:
            run_seeds()


def test_virtual_time_goes_by_at_once() -> None:
    async def main() -> tuple[float, list[int]]:
        seen: list[int] = []

        async def after(seconds: int) -> None:
            await asyncio.sleep(seconds)
            seen.append(seconds)

        await asyncio.gather(after(3600), after(5), after(60))
        return asyncio.get_running_loop().time(), seen

    assert virtual_time.run(main()) == (3600.0, [5, 60, 3600])


def test_a_world_in_which_everybody_waits_is_no_hang() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(AssertionError, match="nothing will ever happen"):
        virtual_time.run(main())
