"""One registry in this process for all tests of the API. Each makes what it needs under names of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers.api import Api
from tests.support.servers.wired import wired


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    """A registry and its sidecar, with default settings."""
    with wired() as made:
        yield Api(made)
