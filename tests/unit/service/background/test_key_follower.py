"""What is reported of the sidecar while the database is away: how the sidecar is, and nothing else."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import StringIO
from pathlib import Path

import pytest

from runtime.logs import build_logger
from service.background.key_follower import KeyFollower
from service.background.tasks import Nudge
from service.usecases.context import Context
from tests.support.servers.contexts import a_context
from tests.support.servers.key_sidecar import KeySidecar, key_sidecar
from tests.support.servers.migrated import copy_migrated
from tests.support.values.registry_values import ManualClock

Reports = list[tuple[bool, bool]]


@pytest.fixture(scope="module")
def sidecar() -> Iterator[KeySidecar]:
    with key_sidecar() as made:
        yield made


@pytest.fixture
def database(tmp_path: Path) -> Path:
    copy_migrated(tmp_path / "registry.db")
    return tmp_path / "registry.db"


@contextmanager
def without_its_table(database: Path) -> Iterator[None]:
    """Nothing that the registry knows of its sidecar can be read."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE registry RENAME TO elsewhere")
        yield
        connection.execute("ALTER TABLE elsewhere RENAME TO registry")


def first_report(ctx: Context, log: StringIO) -> tuple[bool, bool]:
    async def scene() -> tuple[bool, bool]:
        reported: asyncio.Future[tuple[bool, bool]] = asyncio.get_running_loop().create_future()

        async def report(wraps: bool, unwraps: bool) -> None:
            reported.set_result((wraps, unwraps))

        follower = KeyFollower(
            ctx, asyncio.to_thread, report, Nudge(), build_logger(log, 10), holder="this one"
        )
        following = asyncio.create_task(follower.follow())
        found = await reported
        following.cancel()
        await asyncio.wait([following])
        return found

    return asyncio.run(scene())


def test_a_sidecar_is_well_without_the_database(sidecar: KeySidecar, database: Path) -> None:
    log = StringIO()
    with a_context(database, sidecar.registry_socket, clock=ManualClock()) as ctx:
        usual = first_report(ctx, log)
        with without_its_table(database):
            assert first_report(ctx, log) == usual
    assert usual[0]
    assert "kms_away" not in log.getvalue()


def test_a_sidecar_that_is_gone_is_away_without_the_database_too(database: Path, tmp_path: Path) -> None:
    log = StringIO()
    with (
        a_context(database, tmp_path / "nobody.sock", clock=ManualClock()) as ctx,
        without_its_table(database),
    ):
        assert first_report(ctx, log) == (False, False)
    assert '"reason": "KMS_UNAVAILABLE"' in log.getvalue()
