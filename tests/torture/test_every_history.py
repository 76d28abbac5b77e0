"""The explorer of histories, further than CI has time for: a few minutes and some hundred thousand states."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.support.histories.explorer import explore
from tests.support.histories.world import Bounds


@pytest.mark.parametrize(
    "bounds",
    [
        pytest.param(Bounds(revisions=1), id="all of it, one revision"),
        pytest.param(Bounds(revisions=2, tells=False, compacts=True), id="compaction"),
        pytest.param(Bounds(revisions=3, tells=False, quiet=False, ring=1, compacts=True), id="tiny rings"),
        pytest.param(Bounds(revisions=3, tells=False), id="three revisions, some of them quiet"),
    ],
)
def test_the_laws_hold_in_every_state(bounds: Bounds, tell: Callable[[str], None]) -> None:
    found = asyncio.run(explore(bounds))
    tell(f"{found.states} states, {found.steps} steps, up to {found.longest} one after the other")
