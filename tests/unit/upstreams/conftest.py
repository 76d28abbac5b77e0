"""One server for all tests of the room; what it answers is each test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.doubles.upstream_accounts import GoogleKeys, google_keys
from tests.support.doubles.upstream_servers import World, running_world


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("upstreams")) as world:
        yield world


@pytest.fixture
def world(server: World) -> World:
    server.forget()
    return server


@pytest.fixture(scope="session")
def keys() -> GoogleKeys:
    return google_keys()
