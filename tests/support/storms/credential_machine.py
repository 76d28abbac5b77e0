"""A state machine: an installation on disk against a plain dict of secrets.

Credentials are created, replaced, renamed, disabled and deleted; keys are rotated step by step, retired and
destroyed; the installation moves between two keyrings, loses its memory at any moment, and is put back from
backups. After each step every provider is there, in its state, with its own secret, and nothing else is.
"""

from __future__ import annotations

import itertools
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from kms.keyring import VersionState
from service.domain.errors import Unavailable
from service.domain.model import State
from tests.support.doubles.power_cuts import MovableDatabase
from tests.support.storms.disk_installation import FILE, RINGS, Backup, Installation

MOST_PROVIDERS = 5
STEPS = 25
_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
NUMBERS = st.integers(0, MOST_PROVIDERS - 1)
OF_THE_DATABASE = st.sampled_from(["wrap", "wrapped", "rewrap", "rewrapped", "commit", "committed"])
OF_A_KEYRING = st.sampled_from(["open", "write", "sync", "rename", "unlink"])
Secrets = dict[str, tuple[str, State]]


class CredentialMachine(RuleBasedStateMachine):
    """``secrets`` is the dict. A subclass has the ``template`` to begin from, and the engine to use."""

    template: Path
    database: MovableDatabase

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        place = _MEMORY if _MEMORY.is_dir() else None
        root = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="cvm-", dir=place)))
        self.there = Installation.of(self.template, root, self.database)
        self.secrets: Secrets = {}
        self.numbers = itertools.count(1)
        self.kept: tuple[Backup, Secrets] | None = None

    def teardown(self) -> None:
        self.there.stop()
        self.stack.close()

    @initialize(count=st.integers(0, 3))
    def begin(self, count: int) -> None:
        for number in range(count):
            self.create(number)

    # Providers and credentials.

    @rule(number=NUMBERS)
    def create(self, number: int) -> None:
        name = f"providers/p{number}"
        if name not in self.secrets:
            key = self.new_key()
            self.there.create(name, key)
            self.secrets[name] = (key, State.ACTIVE)

    @precondition(lambda self: self.secrets)
    @rule(number=NUMBERS, how=st.sampled_from(["replace", "update"]))
    def replace(self, number: int, how: str) -> None:
        name, key = self.one_of(number), self.new_key()
        if how == "replace":
            self.there.replace(name, key)
        else:
            self.there.update(name, f"Name {next(self.numbers)}", key)
        self.secrets[name] = (key, self.secrets[name][1])

    @precondition(lambda self: self.secrets)
    @rule(number=NUMBERS)
    def rename(self, number: int) -> None:
        self.there.update(self.one_of(number), f"Name {next(self.numbers)}", None)

    @precondition(lambda self: self.secrets)
    @rule(number=NUMBERS, state=st.sampled_from([State.ACTIVE, State.DISABLED]))
    def set_state(self, number: int, state: State) -> None:
        name = self.one_of(number)
        self.there.set_state(name, state)
        self.secrets[name] = (self.secrets[name][0], state)

    @precondition(lambda self: self.secrets)
    @rule(number=NUMBERS)
    def delete(self, number: int) -> None:
        name = self.one_of(number)
        self.there.delete(name)
        del self.secrets[name]

    # Rotation, step by step.

    @rule()
    def create_version(self) -> None:
        self.there.create_version()

    @rule()
    def activate(self) -> None:
        self.there.activate()

    @rule()
    def notice(self) -> None:
        self.there.notice()

    @rule(count=st.integers(1, 3))
    def rewrap(self, count: int) -> None:
        self.there.rewrap(count)

    @rule()
    def sweep(self) -> None:
        self.there.sweep()

    @rule()
    def finish_rotation(self) -> None:
        """At its end there is one version."""
        while self.there.rewrap(256):
            pass
        assert set(self.there.usage()) <= {self.there.keyring.status().primary}

    @rule()
    def retire(self) -> None:
        self.there.retire()

    @rule()
    def destroy(self) -> None:
        """A backup whose keys are destroyed is none any more, unless the keyring comes back with it."""
        self.there.destroy()

    # Migration.

    @rule(both=st.booleans())
    def migrate(self, both: bool) -> None:
        """Another keyring wraps from now on; the former one may go when nothing is under it."""
        other = next(ring for ring in RINGS if ring != self.there.order[0])
        if both:
            self.there.restart((other, self.there.order[0]))
        elif len(self.there.order) == 2:
            self.finish_rotation()
            self.there.restart(self.there.order[:1])

    # Loss of memory.

    @rule()
    def crash(self) -> None:
        self.there.cut()

    @rule(number=NUMBERS, moment=OF_THE_DATABASE, act=st.sampled_from(["create", "replace", "delete"]))
    def crash_in_a_write(self, number: int, moment: str, act: str) -> None:
        """Either outcome is right, as long as it is one of the two."""
        name, key = f"providers/p{number}", self.new_key()
        after = dict(self.secrets)
        if name not in self.secrets:
            act, after[name] = "create", (key, State.ACTIVE)
        elif act == "delete":
            del after[name]
        else:
            act, after[name] = "replace", (key, self.secrets[name][1])
        with self.there.power_cut(moment):
            if act == "delete":
                self.there.delete(name)
            else:
                getattr(self.there, act)(name, key)
            self.secrets = after
        found = self.there.open_all()
        assert found in (self.secrets, after)
        self.secrets = found

    @rule(moment=OF_THE_DATABASE, count=st.integers(1, 3))
    def crash_in_a_sweep(self, moment: str, count: int) -> None:
        with self.there.power_cut(moment, count):
            self.there.notice()
            self.there.rewrap(1)
            self.there.sweep()

    @rule(
        moment=OF_A_KEYRING,
        count=st.integers(1, 6),
        act=st.sampled_from(["create_version", "activate", "retire", "destroy"]),
    )
    def crash_in_the_keyring(self, moment: str, count: int, act: str) -> None:
        with self.there.power_cut(moment, count):
            getattr(self.there, act)()

    # Backups.

    @rule()
    def back_up(self) -> None:
        self.kept = (self.there.backup(0), dict(self.secrets))

    @precondition(lambda self: self.kept is not None)
    @rule()
    def restore(self) -> None:
        """The whole set, so that its keyring opens what its database holds."""
        assert self.kept is not None
        backup, secrets = self.kept
        self.there.restore(backup)
        self.secrets = dict(secrets)

    @precondition(lambda self: self.kept is not None and FILE in self.there.order)
    @rule()
    def restore_the_keyring_alone(self) -> None:
        """An older keyring than the registry has seen is refused, and the newer one put back helps."""
        assert self.kept is not None
        self.there.notice()
        now = self.there.rings[FILE].keyring.status().seq
        newest = self.there.backup(1)
        self.there.stop()
        self.there.put_ring(FILE, self.kept[0].directory)
        self.there.start()
        if self.there.rings[FILE].keyring.status().seq < now:
            with pytest.raises(Unavailable):
                self.there.notice()
        self.there.restore(newest)
        self.there.notice()

    @invariant()
    def every_secret_opens(self) -> None:
        assert self.there.open_all() == self.secrets

    @invariant()
    def one_version_is_primary(self) -> None:
        for ring in self.there.rings.values():
            states = [version.state for version in ring.versions.list_versions()]
            assert states.count(VersionState.PRIMARY) == 1

    def new_key(self) -> str:
        return f"sk-proj-{next(self.numbers):032d}"

    def one_of(self, number: int) -> str:
        return sorted(self.secrets)[number % len(self.secrets)]


def run(template: Path, *, runs: int) -> None:
    """Run the machine so many times from the template."""
    database = MovableDatabase(template / "registry.db")
    machine = type("FromTemplate", (CredentialMachine,), {"template": template, "database": database})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
