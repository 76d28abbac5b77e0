"""One running installation for all tests of the API: they make what they need under names of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers.api import Api
from tests.support.servers.harness import running


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    """A registry and its sidecar, with default settings."""
    with running() as instance:
        yield Api(instance)
