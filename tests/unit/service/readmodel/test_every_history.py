"""Every small history with a fork: no table, credential or token of a lost one is ever taken for true."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from unittest.mock import patch

import pytest

from service.domain.routing import ChangeSet
from service.readmodel.live import LiveTable
from service.readmodel.snapshot import SnapshotReason
from tests.support.histories import world
from tests.support.histories.explorer import explore
from tests.support.histories.world import Bounds, LawBroken

ROUTER = Bounds(revisions=3, tells=False, quiet=False)
SMALL_RINGS = Bounds(revisions=2, tells=False, ring=1)
WRITERS = Bounds(revisions=2, router=False)


@pytest.mark.parametrize(
    ("bounds", "least"),
    [
        pytest.param(ROUTER, 9_000, id="two replicas and a router"),
        pytest.param(SMALL_RINGS, 9_000, id="rings of one message"),
        pytest.param(WRITERS, 9_000, id="a replica that hears of its commits"),
    ],
)
def test_the_laws_hold_in_every_state(bounds: Bounds, least: int) -> None:
    assert asyncio.run(explore(bounds)).states > least


class TestItFindsWhatIsBroken:
    """Each of these was taken out of the protocol once, and the search has to notice."""

    def test_numbers_are_compared_alone(self) -> None:
        with patch.object(world, "FORKED", "a"), pytest.raises(LawBroken, match="not that of its token"):
            asyncio.run(explore(ROUTER))

    def test_credentials_outlive_their_history(self) -> None:
        bounds = Bounds(revisions=2, tells=False, quiet=False, reasons=frozenset())
        with pytest.raises(LawBroken, match=r"credential .* is used where"):
            asyncio.run(explore(bounds))

    def test_a_router_from_further_back_than_the_ring_is_not_looked_for(self) -> None:
        async def not_asked(*_: object) -> SnapshotReason:
            return SnapshotReason.COMPACTED

        bounds = Bounds(revisions=3, tells=False, quiet=False, ring=1)
        broken = pytest.raises(LawBroken, match="another history is told COMPACTED")
        with patch.object(LiveTable, "_too_old", not_asked), broken:
            asyncio.run(explore(bounds))

    def test_a_told_commit_is_believed_whatever_it_follows(self) -> None:
        def next_pending(table: LiveTable) -> Sequence[ChangeSet]:
            found = table._pending.pop(table.current.revision + 1, None)
            return [] if found is None else [found]

        with patch.object(LiveTable, "_next_pending", next_pending), pytest.raises(LawBroken):
            asyncio.run(explore(WRITERS))

    def test_a_writer_is_answered_by_number_alone(self) -> None:
        broken = pytest.raises(LawBroken, match=r"the writer of .* is answered")
        with patch.object(LiveTable, "_has", lambda *_: True), broken:
            asyncio.run(explore(WRITERS))
