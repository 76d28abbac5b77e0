"""What every keyring guarantees about retiring versions; each test runs against every backend that can."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from kms.keyring import (
    DataKey,
    Keyring,
    KeyringError,
    KeyVersion,
    KeyVersions,
    KeyVersionState,
    KeyVersionUnavailable,
    OpenKeyring,
    UnknownKeyVersion,
    VersionState,
    WrapItem,
    WrappedDataKey,
)
from tests.contract.kms.conftest import Clock, Traits, build

ContextOf = Callable[[int], bytes]
WEEK = timedelta(days=7)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
KEY = bytes(range(32))

Act = Callable[[KeyVersions, str], KeyVersion]
ACTS: dict[str, Act] = {
    "activate": lambda versions, name: versions.activate_version(name),
    "disable": lambda versions, name: versions.disable_version(name, confirmed_unreferenced=True),
    "enable": lambda versions, name: versions.enable_version(name),
    "schedule": lambda versions, name: versions.schedule_destruction(name, WEEK),
    "cancel": lambda versions, name: versions.cancel_destruction(name),
}
# From each state: the result of each act; a missing act is refused.
OUTCOMES: dict[VersionState, dict[str, VersionState]] = {
    VersionState.PRIMARY: {"activate": VersionState.PRIMARY},
    VersionState.DECRYPT_ONLY: {
        "disable": VersionState.DISABLED,
        "enable": VersionState.DECRYPT_ONLY,
    },
    VersionState.DISABLED: {
        "disable": VersionState.DISABLED,
        "enable": VersionState.DECRYPT_ONLY,
        "schedule": VersionState.DESTROY_SCHEDULED,
        "cancel": VersionState.DISABLED,
    },
    VersionState.DESTROY_SCHEDULED: {
        "schedule": VersionState.DESTROY_SCHEDULED,
        "cancel": VersionState.DISABLED,
    },
    VersionState.DESTROYED: {},
}


def create(versions: KeyVersions) -> KeyVersion:
    return versions.create_version(uuid4(), versions.list_versions()[-1].name)


def rotate(versions: KeyVersions) -> KeyVersion:
    return versions.activate_version(create(versions).name)


def disable(versions: KeyVersions, name: str) -> KeyVersion:
    return versions.disable_version(name, confirmed_unreferenced=True)


def wrap_one(keyring: Keyring, context: ContextOf) -> WrappedDataKey:
    result = keyring.wrap([WrapItem(context(1), DataKey(KEY))])[0]
    assert isinstance(result, WrappedDataKey)
    return result


def opened(results: Iterable[DataKey | KeyringError]) -> list[bytes | str]:
    return [bytes(each.octets) if isinstance(each, DataKey) else type(each).__name__ for each in results]


def state_of(versions: KeyVersions, name: str) -> VersionState:
    return next(version.state for version in versions.list_versions() if version.name == name)


@pytest.fixture(params=["local", "grpc in front of local"])
def implementation(request: pytest.FixtureRequest, clock: Clock) -> Iterator[tuple[OpenKeyring, Traits]]:
    """The backends that retire versions one by one, by a clock that is passed in."""
    with ExitStack() as stack:
        yield build(stack, request, clock)


@pytest.fixture
def retired(keyring: Keyring, versions: KeyVersions, context: ContextOf) -> WrappedDataKey:
    """A data key wrapped under a version that is DECRYPT_ONLY now."""
    wrapped = wrap_one(keyring, context)
    rotate(versions)
    return wrapped


def bring_to(state: VersionState, versions: KeyVersions, name: str, clock: Clock) -> str:
    """Bring the DECRYPT_ONLY version ``name`` to ``state``; return the name of the version in that state."""
    if state is VersionState.PRIMARY:
        return next(each.name for each in versions.list_versions() if each.state is state)
    if state is not VersionState.DECRYPT_ONLY:
        disable(versions, name)
        clock.pass_by(WEEK)
    if state in (VersionState.DESTROY_SCHEDULED, VersionState.DESTROYED):
        versions.schedule_destruction(name, WEEK)
    if state is VersionState.DESTROYED:
        clock.pass_by(WEEK)
        versions.destroy_due()
    assert state_of(versions, name) is state
    return name


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("state", OUTCOMES, ids=lambda state: state.value)
def test_every_act_in_every_state(
    keyring: Keyring,
    versions: KeyVersions,
    retired: WrappedDataKey,
    clock: Clock,
    state: VersionState,
    act: str,
) -> None:
    name = bring_to(state, versions, retired.key_version, clock)
    before = versions.list_versions(), keyring.status()
    expected = OUTCOMES[state].get(act)
    if expected is None:
        with pytest.raises(KeyVersionState) as refused:
            ACTS[act](versions, name)
        assert refused.value.metadata == {"key_version": name, "state": state.value}
        assert (versions.list_versions(), keyring.status()) == before
        return
    answered = ACTS[act](versions, name)
    assert answered.state is expected
    assert answered in versions.list_versions()
    if expected is state:
        assert (versions.list_versions(), keyring.status()) == before, "a repeated act changes nothing"


@pytest.mark.parametrize("act", ACTS)
def test_an_unknown_version_is_not_found(versions: KeyVersions, act: str) -> None:
    with pytest.raises(UnknownKeyVersion):
        ACTS[act](versions, "keyVersions/other")


class TestDisabled:
    def test_opens_nothing_and_is_not_accepted(
        self, keyring: Keyring, versions: KeyVersions, retired: WrappedDataKey
    ) -> None:
        disable(versions, retired.key_version)
        error = keyring.unwrap([retired])[0]
        assert isinstance(error, KeyVersionUnavailable)
        assert error.metadata == {"key_version": retired.key_version}
        assert isinstance(keyring.verify([retired])[0], KeyVersionUnavailable)
        assert isinstance(keyring.rewrap([retired], keyring.status().primary)[0], KeyVersionUnavailable)
        assert keyring.status().accepted == (keyring.status().primary,)

    def test_enabled_opens_again(
        self, keyring: Keyring, versions: KeyVersions, retired: WrappedDataKey
    ) -> None:
        disable(versions, retired.key_version)
        assert versions.enable_version(retired.key_version).state is VersionState.DECRYPT_ONLY
        assert opened(keyring.unwrap([retired])) == [KEY]
        assert retired.key_version in keyring.status().accepted

    def test_without_a_confirmation(
        self, keyring: Keyring, versions: KeyVersions, retired: WrappedDataKey
    ) -> None:
        with pytest.raises(KeyVersionState, match="confirmed"):
            versions.disable_version(retired.key_version, confirmed_unreferenced=False)
        assert opened(keyring.unwrap([retired])) == [KEY]

    def test_the_primary_goes_on_meanwhile(
        self, keyring: Keyring, versions: KeyVersions, retired: WrappedDataKey, context: ContextOf
    ) -> None:
        disable(versions, retired.key_version)
        assert opened(keyring.unwrap([wrap_one(keyring, context)])) == [KEY]


class TestDestruction:
    def test_takes_seven_days_of_being_disabled(
        self, versions: KeyVersions, retired: WrappedDataKey, clock: Clock
    ) -> None:
        disable(versions, retired.key_version)
        clock.pass_by(WEEK - SECOND)
        with pytest.raises(KeyVersionState, match="7 days"):
            versions.schedule_destruction(retired.key_version, WEEK)
        clock.pass_by(SECOND)
        assert versions.schedule_destruction(retired.key_version, WEEK).destroy_time == clock.now + WEEK

    def test_being_enabled_in_between_starts_the_days_anew(
        self, versions: KeyVersions, retired: WrappedDataKey, clock: Clock
    ) -> None:
        disable(versions, retired.key_version)
        clock.pass_by(WEEK)
        versions.enable_version(retired.key_version)
        disable(versions, retired.key_version)
        with pytest.raises(KeyVersionState):
            versions.schedule_destruction(retired.key_version, WEEK)

    def test_happens_when_due_and_not_before(
        self, keyring: Keyring, versions: KeyVersions, retired: WrappedDataKey, clock: Clock
    ) -> None:
        bring_to(VersionState.DESTROY_SCHEDULED, versions, retired.key_version, clock)
        clock.pass_by(WEEK - SECOND)
        assert versions.destroy_due() == []
        clock.pass_by(SECOND)
        destroyed = versions.destroy_due()
        assert [(each.name, each.state) for each in destroyed] == [
            (retired.key_version, VersionState.DESTROYED)
        ]
        assert destroyed[0].destroy_time == clock.now
        assert versions.destroy_due() == []

    def test_repeating_it_does_not_move_the_time(
        self, versions: KeyVersions, retired: WrappedDataKey, clock: Clock
    ) -> None:
        disable(versions, retired.key_version)
        clock.pass_by(WEEK)
        first = versions.schedule_destruction(retired.key_version, WEEK)
        clock.pass_by(DAY)
        assert versions.schedule_destruction(retired.key_version, 2 * WEEK) == first

    def test_cancelled_it_never_happens(
        self, keyring: Keyring, versions: KeyVersions, retired: WrappedDataKey, clock: Clock
    ) -> None:
        name = bring_to(VersionState.DESTROY_SCHEDULED, versions, retired.key_version, clock)
        cancelled = versions.cancel_destruction(name)
        assert (cancelled.state, cancelled.destroy_time) == (VersionState.DISABLED, None)
        clock.pass_by(100 * WEEK)
        assert versions.destroy_due() == []
        versions.enable_version(name)
        assert opened(keyring.unwrap([retired])) == [KEY]

    def test_leaves_the_name_as_a_tombstone(
        self,
        keyring: Keyring,
        versions: KeyVersions,
        retired: WrappedDataKey,
        clock: Clock,
        context: ContextOf,
    ) -> None:
        name = bring_to(VersionState.DESTROYED, versions, retired.key_version, clock)
        names = [version.name for version in versions.list_versions()]
        assert names[0] == name
        assert isinstance(keyring.unwrap([retired])[0], KeyVersionUnavailable)
        later = rotate(versions)
        assert later.name not in names
        assert [version.name for version in versions.list_versions()] == [*names, later.name]
        assert opened(keyring.unwrap([wrap_one(keyring, context)])) == [KEY]


class TestManyVersions:
    def test_a_middle_one_is_disabled_by_itself(
        self, keyring: Keyring, versions: KeyVersions, context: ContextOf
    ) -> None:
        rows = []
        for _ in range(3):
            rows.append(wrap_one(keyring, context))
            rotate(versions)
        disable(versions, rows[1].key_version)
        assert opened(keyring.unwrap(rows)) == [KEY, "KeyVersionUnavailable", KEY]

    def test_one_that_was_never_activated_can_be_retired(self, versions: KeyVersions) -> None:
        created = versions.create_version(uuid4(), versions.list_versions()[-1].name)
        assert disable(versions, created.name) == replace(created, state=VersionState.DISABLED)
        with pytest.raises(KeyVersionState):
            versions.activate_version(created.name)
