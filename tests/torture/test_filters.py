"""The parser of filters, fed at random for as long as it takes."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.unit.service.domain.test_filter_parser import accepted_and_refused

INPUTS = 1_000_000
AT_ONCE = 1000


def test_nothing_breaks_it_and_nothing_malformed_passes(
    rounds: Callable[[int], int], tell: Callable[[str], None]
) -> None:
    accepted = refused = 0
    while accepted + refused < rounds(INPUTS):
        more = accepted_and_refused(random.randrange(1 << 32), AT_ONCE)
        accepted, refused = accepted + more[0], refused + more[1]
    tell(f"{accepted} filters accepted, {refused} refused, each in the form that it must have")
