from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.domain.catalog import Catalogs
from service.usecases.context import Context
from tests.support.servers.contexts import a_context
from tests.support.servers.key_sidecar import KeySidecar, key_sidecar
from tests.support.servers.migrated import copy_migrated
from tests.support.servers.rotating_registry import Rotating, rotating_registry
from tests.support.values.drafts import a_catalog
from tests.support.values.registry_values import ManualClock


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Rotating]:
    """An empty registry with a sidecar of its own."""
    with rotating_registry(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def sidecar() -> Iterator[KeySidecar]:
    """Keys for the tests of a file: each registry among them has a database of its own."""
    with key_sidecar() as made:
        yield made


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ctx(tmp_path: Path, clock: ManualClock) -> Iterator[Context]:
    """An empty registry whose sidecar is away: what takes no credential does not need it."""
    database = copy_migrated(tmp_path / "registry.db")
    catalogs = Catalogs((a_catalog("2026.04.15", "wide-1", "narrow-1"), a_catalog("2026.01.15", "wide-1")))
    with a_context(database, tmp_path / "nobody.sock", clock=clock, catalogs=catalogs) as made:
        yield made


@pytest.fixture
def sealing(tmp_path: Path, clock: ManualClock, sidecar: KeySidecar) -> Iterator[Context]:
    """An empty registry with a sidecar that serves."""
    database = copy_migrated(tmp_path / "sealing.db")
    with a_context(database, sidecar.registry_socket, clock=clock) as made:
        yield made
