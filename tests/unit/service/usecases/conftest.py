from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers.rotating_registry import Rotating, rotating_registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Rotating]:
    """An empty registry with a sidecar of its own."""
    with rotating_registry(tmp_path) as made:
        yield made
