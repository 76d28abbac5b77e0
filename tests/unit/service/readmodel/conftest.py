"""On a busy machine the event loop comes late: a writer that waits for its revision has a minute here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.readmodel import live


@pytest.fixture(scope="module", autouse=True)
def patience() -> Iterator[None]:
    """Writers wait for a minute at most, instead of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "REACH_SECONDS", 60.0)
        yield
