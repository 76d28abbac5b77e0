"""One running installation for all tests of the API: they make what they need under names of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers.api import Api
from tests.support.servers.harness import Instance, running


@pytest.fixture(scope="session")
def installation() -> Iterator[Instance]:
    """A registry and its sidecar, with default settings. Nobody stops them."""
    with running() as instance:
        yield instance


@pytest.fixture(scope="session")
def api(installation: Instance) -> Api:
    """The API of that installation."""
    return Api(installation)
