"""No reading of a wall clock alone takes a key version past its days; against every backend."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from kms.clocks import TOLERANCE, Clocks
from kms.files.generations import KeyringFile
from kms.installation import initialise
from kms.keyring import KeyVersions, KeyVersionState, VersionState
from kms.local.document import DOCUMENT_LIMIT
from kms.local.opening import open_local
from kms.local.unlock import UnlockKind, UnlockSource, unlock
from tests.contract.kms.conftest import DEPLOYMENT_ID, Clock
from tests.support.servers.vault_keyrings import vault_keyring

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
YEARS = timedelta(days=3650)

Opener = Callable[[ExitStack], KeyVersions]


def local(home: Path, clock: Clock) -> Opener:
    source = UnlockSource(UnlockKind.KEY_FILE, home / "unlock.key")
    initialise(
        keyring=home / "keyring.json",
        deployment_id_file=home / "deployment-id",
        declared_deployment_id=DEPLOYMENT_ID,
        unlock_source=source,
        clock=clock,
        random=os.urandom,
    )

    def opened(stack: ExitStack) -> KeyVersions:
        file = stack.enter_context(closing(KeyringFile(home / "keyring.json", limit=DOCUMENT_LIMIT)))
        return open_local(
            file,
            unlock=partial(unlock, source),
            deployment_id=DEPLOYMENT_ID,
            clock=clock,
            monotonic=clock.monotonic,
            random=os.urandom,
        ).versions

    return opened


def transit(home: Path, clock: Clock, request: pytest.FixtureRequest) -> Opener:
    server = request.getfixturevalue("openbao")
    address = server.transit_key()
    home.mkdir(mode=0o700)

    def opened(stack: ExitStack) -> KeyVersions:
        return vault_keyring(
            stack,
            server,
            deployment_id=DEPLOYMENT_ID,
            address=address,
            ledger=home / "ledger.json",
            clocks=Clocks(clock, clock.monotonic),
        ).versions

    return opened


class Process:
    """A sidecar's key versions, which a restart opens anew; an old version and a primary one."""

    def __init__(self, opener: Opener, stack: ExitStack) -> None:
        self._opener = opener
        self._stack = stack
        self._own = stack.enter_context(ExitStack())
        self.versions = opener(self._own)
        self.old = self.versions.list_versions()[0].name
        created = self.versions.create_version(uuid4(), self.old)
        self.versions.activate_version(created.name)

    def restart(self) -> None:
        self._own.close()
        self._own = self._stack.enter_context(ExitStack())
        self.versions = self._opener(self._own)

    def look(self) -> bool:
        """A round of upkeep; whether the old version was destroyed by it."""
        return [version.name for version in self.versions.destroy_due()] == [self.old]

    def disable(self) -> None:
        self.versions.disable_version(self.old, confirmed_unreferenced=True)

    def schedule(self) -> None:
        scheduled = self.versions.schedule_destruction(self.old, WEEK)
        assert scheduled.state is VersionState.DESTROY_SCHEDULED

    @property
    def state(self) -> VersionState:
        return self.versions.list_versions()[0].state


@pytest.fixture(params=["local", "transit"])
def process(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> Iterator[Process]:
    home = tmp_path / "kms"
    opener = local(home, clock) if request.param == "local" else transit(home, clock, request)
    with ExitStack() as stack:
        yield Process(opener, stack)


class TestDestruction:
    @pytest.fixture(autouse=True)
    def scheduled(self, process: Process, clock: Clock) -> None:
        process.disable()
        clock.pass_by(WEEK)
        process.schedule()

    def test_seconds_in_a_wrong_year_destroy_nothing(self, process: Process, clock: Clock) -> None:
        clock.jump(YEARS)
        assert not process.look()
        clock.pass_by(13 * SECOND)
        assert not process.look()
        clock.jump(-YEARS)
        assert not process.look()
        clock.pass_by(WEEK - 13 * SECOND)
        assert process.look(), "when it is due"

    def test_after_a_jump_a_second_look_a_day_later(self, process: Process, clock: Clock) -> None:
        clock.jump(WEEK)
        assert not process.look()
        clock.pass_by(DAY - SECOND)
        assert not process.look()
        clock.pass_by(SECOND)
        assert process.look()

    def test_a_second_jump_is_no_second_look(self, process: Process, clock: Clock) -> None:
        clock.jump(WEEK)
        assert not process.look()
        clock.jump(DAY)
        assert not process.look()
        clock.pass_by(DAY - SECOND)
        assert not process.look()
        clock.pass_by(SECOND)
        assert process.look()

    def test_a_look_under_a_wrong_clock_is_forgotten(self, process: Process, clock: Clock) -> None:
        for _ in range(2):
            clock.jump(YEARS)
            assert not process.look()
            process.restart()
            clock.jump(-YEARS)
            assert not process.look()
            clock.pass_by(DAY)

    def test_after_a_restart_the_first_look_is_remembered(self, process: Process, clock: Clock) -> None:
        clock.pass_by(WEEK)
        process.restart()
        assert not process.look()
        clock.pass_by(DAY - SECOND)
        process.restart()
        assert not process.look()
        clock.pass_by(SECOND)
        process.restart()
        assert process.look()

    def test_a_restart_ahead_of_the_time_delays_nothing(self, process: Process, clock: Clock) -> None:
        clock.pass_by(WEEK - SECOND)
        process.restart()
        assert not process.look()
        clock.pass_by(SECOND)
        assert process.look()

    def test_a_corrected_clock_delays_nothing(self, process: Process, clock: Clock) -> None:
        clock.pass_by(WEEK - TOLERANCE)
        clock.jump(TOLERANCE)
        assert process.look()


class TestSoak:
    def test_one_jump_does_not_pass_the_seven_days(self, process: Process, clock: Clock) -> None:
        process.disable()
        clock.jump(WEEK)
        for wait in (0 * DAY, DAY - SECOND):
            clock.pass_by(wait)
            with pytest.raises(KeyVersionState, match="a day apart"):
                process.schedule()
            assert not process.look()
        clock.jump(-WEEK)
        assert not process.look()
        with pytest.raises(KeyVersionState, match="7 days first"):
            process.schedule()
        clock.pass_by(6 * DAY + SECOND)
        process.schedule()

    def test_a_second_look_passes_them(self, process: Process, clock: Clock) -> None:
        process.disable()
        clock.jump(WEEK)
        assert not process.look()
        clock.pass_by(DAY)
        process.schedule()

    def test_that_passed_while_it_was_off(self, process: Process, clock: Clock) -> None:
        process.disable()
        clock.pass_by(WEEK)
        process.restart()
        assert not process.look()
        with pytest.raises(KeyVersionState, match="a day apart"):
            process.schedule()
        clock.pass_by(DAY)
        process.restart()
        process.schedule()
        assert process.state is VersionState.DESTROY_SCHEDULED
