"""What tests of several rooms share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.servers.openbao import OpenBao, running_openbao
from tests.support.servers.postgresql import PostgresServer, running_server


def pytest_configure() -> None:
    """Properties are about what is true, not how fast: on a busy machine any example may take its time.

    CI tries the same examples each time, so that a failure there is the change's. Elsewhere they are random.
    """
    settings.register_profile(
        "registry",
        deadline=None,
        derandomize=os.environ.get("CI") == "true",
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("registry")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL, started for this run. Tests that need it fail where it cannot start."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def openbao() -> Iterator[OpenBao]:
    """A real OpenBao with a Transit mount and AppRole. Tests that need it fail where it cannot start."""
    with running_openbao() as server:
        server.set_up()
        yield server
