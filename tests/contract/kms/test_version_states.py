"""What every keyring promises about retiring versions; each test runs against every backend that can."""

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
    KeyVersionState,
    KeyVersionUnavailable,
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

Act = Callable[[Keyring, str], KeyVersion]
ACTS: dict[str, Act] = {
    "activate": lambda keyring, name: keyring.activate_version(name),
    "disable": lambda keyring, name: keyring.disable_version(name, confirmed_unreferenced=True),
    "enable": lambda keyring, name: keyring.enable_version(name),
    "schedule": lambda keyring, name: keyring.schedule_destruction(name, WEEK),
    "cancel": lambda keyring, name: keyring.cancel_destruction(name),
}
# From each state: what each act leads to; what is missing is refused.
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


def create(keyring: Keyring) -> KeyVersion:
    return keyring.create_version(uuid4(), keyring.list_versions()[-1].name)


def rotate(keyring: Keyring) -> KeyVersion:
    return keyring.activate_version(create(keyring).name)


def disable(keyring: Keyring, name: str) -> KeyVersion:
    return keyring.disable_version(name, confirmed_unreferenced=True)


def wrap_one(keyring: Keyring, context: ContextOf) -> WrappedDataKey:
    result = keyring.wrap([WrapItem(context(1), DataKey(KEY))])[0]
    assert isinstance(result, WrappedDataKey)
    return result


def opened(results: Iterable[DataKey | KeyringError]) -> list[bytes | str]:
    return [bytes(each.octets) if isinstance(each, DataKey) else type(each).__name__ for each in results]


def state_of(keyring: Keyring, name: str) -> VersionState:
    return next(version.state for version in keyring.list_versions() if version.name == name)


@pytest.fixture(params=["local", "grpc in front of local"])
def implementation(request: pytest.FixtureRequest, clock: Clock) -> Iterator[tuple[Keyring, Traits]]:
    """The backends that retire versions one by one, by a clock that is handed in."""
    with ExitStack() as stack:
        yield build(stack, request, clock)


@pytest.fixture
def retired(keyring: Keyring, context: ContextOf) -> WrappedDataKey:
    """A wrapper under a version that is DECRYPT_ONLY now."""
    wrapped = wrap_one(keyring, context)
    rotate(keyring)
    return wrapped


def bring_to(state: VersionState, keyring: Keyring, name: str, clock: Clock) -> str:
    """Brings the version `name`, which is DECRYPT_ONLY, to `state`; answers the version to look at."""
    if state is VersionState.PRIMARY:
        return keyring.status().primary
    if state is not VersionState.DECRYPT_ONLY:
        disable(keyring, name)
        clock.pass_by(WEEK)
    if state in (VersionState.DESTROY_SCHEDULED, VersionState.DESTROYED):
        keyring.schedule_destruction(name, WEEK)
    if state is VersionState.DESTROYED:
        clock.pass_by(WEEK)
        keyring.destroy_due()
    assert state_of(keyring, name) is state
    return name


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("state", OUTCOMES, ids=lambda state: state.value)
def test_every_act_in_every_state(
    keyring: Keyring, retired: WrappedDataKey, clock: Clock, state: VersionState, act: str
) -> None:
    name = bring_to(state, keyring, retired.key_version, clock)
    before = keyring.list_versions(), keyring.status()
    expected = OUTCOMES[state].get(act)
    if expected is None:
        with pytest.raises(KeyVersionState) as refused:
            ACTS[act](keyring, name)
        assert refused.value.metadata == {"key_version": name, "state": state.value}
        assert (keyring.list_versions(), keyring.status()) == before
        return
    answered = ACTS[act](keyring, name)
    assert answered.state is expected
    assert answered in keyring.list_versions()
    if expected is state:
        assert (keyring.list_versions(), keyring.status()) == before, "a repeated act changes nothing"


@pytest.mark.parametrize("act", ACTS)
def test_an_unknown_version_is_not_found(keyring: Keyring, act: str) -> None:
    with pytest.raises(UnknownKeyVersion):
        ACTS[act](keyring, "keyVersions/other")


class TestDisabled:
    def test_opens_nothing_and_is_not_accepted(self, keyring: Keyring, retired: WrappedDataKey) -> None:
        disable(keyring, retired.key_version)
        error = keyring.unwrap([retired])[0]
        assert isinstance(error, KeyVersionUnavailable)
        assert error.metadata == {"key_version": retired.key_version}
        assert isinstance(keyring.verify([retired])[0], KeyVersionUnavailable)
        assert isinstance(keyring.rewrap([retired], keyring.status().primary)[0], KeyVersionUnavailable)
        assert keyring.status().accepted == (keyring.status().primary,)

    def test_enabled_opens_again(self, keyring: Keyring, retired: WrappedDataKey) -> None:
        disable(keyring, retired.key_version)
        assert keyring.enable_version(retired.key_version).state is VersionState.DECRYPT_ONLY
        assert opened(keyring.unwrap([retired])) == [KEY]
        assert retired.key_version in keyring.status().accepted

    def test_nobody_confirmed(self, keyring: Keyring, retired: WrappedDataKey) -> None:
        with pytest.raises(KeyVersionState, match="confirmed"):
            keyring.disable_version(retired.key_version, confirmed_unreferenced=False)
        assert opened(keyring.unwrap([retired])) == [KEY]

    def test_the_primary_goes_on_meanwhile(
        self, keyring: Keyring, retired: WrappedDataKey, context: ContextOf
    ) -> None:
        disable(keyring, retired.key_version)
        assert opened(keyring.unwrap([wrap_one(keyring, context)])) == [KEY]


class TestDestruction:
    def test_takes_seven_days_of_being_disabled(
        self, keyring: Keyring, retired: WrappedDataKey, clock: Clock
    ) -> None:
        disable(keyring, retired.key_version)
        clock.pass_by(WEEK - SECOND)
        with pytest.raises(KeyVersionState, match="7 days"):
            keyring.schedule_destruction(retired.key_version, WEEK)
        clock.pass_by(SECOND)
        assert keyring.schedule_destruction(retired.key_version, WEEK).destroy_time == clock.now + WEEK

    def test_being_enabled_in_between_starts_the_days_anew(
        self, keyring: Keyring, retired: WrappedDataKey, clock: Clock
    ) -> None:
        disable(keyring, retired.key_version)
        clock.pass_by(WEEK)
        keyring.enable_version(retired.key_version)
        disable(keyring, retired.key_version)
        with pytest.raises(KeyVersionState):
            keyring.schedule_destruction(retired.key_version, WEEK)

    def test_happens_when_due_and_not_before(
        self, keyring: Keyring, retired: WrappedDataKey, clock: Clock
    ) -> None:
        bring_to(VersionState.DESTROY_SCHEDULED, keyring, retired.key_version, clock)
        clock.pass_by(WEEK - SECOND)
        assert keyring.destroy_due() == []
        clock.pass_by(SECOND)
        destroyed = keyring.destroy_due()
        assert [(each.name, each.state) for each in destroyed] == [
            (retired.key_version, VersionState.DESTROYED)
        ]
        assert destroyed[0].destroy_time == clock.now
        assert keyring.destroy_due() == []

    def test_repeating_it_does_not_move_the_time(
        self, keyring: Keyring, retired: WrappedDataKey, clock: Clock
    ) -> None:
        disable(keyring, retired.key_version)
        clock.pass_by(WEEK)
        first = keyring.schedule_destruction(retired.key_version, WEEK)
        clock.pass_by(DAY)
        assert keyring.schedule_destruction(retired.key_version, 2 * WEEK) == first

    def test_cancelled_it_never_happens(
        self, keyring: Keyring, retired: WrappedDataKey, clock: Clock
    ) -> None:
        name = bring_to(VersionState.DESTROY_SCHEDULED, keyring, retired.key_version, clock)
        cancelled = keyring.cancel_destruction(name)
        assert (cancelled.state, cancelled.destroy_time) == (VersionState.DISABLED, None)
        clock.pass_by(100 * WEEK)
        assert keyring.destroy_due() == []
        keyring.enable_version(name)
        assert opened(keyring.unwrap([retired])) == [KEY]

    def test_leaves_the_name_as_a_tombstone(
        self, keyring: Keyring, retired: WrappedDataKey, clock: Clock, context: ContextOf
    ) -> None:
        name = bring_to(VersionState.DESTROYED, keyring, retired.key_version, clock)
        names = [version.name for version in keyring.list_versions()]
        assert names[0] == name
        assert isinstance(keyring.unwrap([retired])[0], KeyVersionUnavailable)
        later = rotate(keyring)
        assert later.name not in names
        assert [version.name for version in keyring.list_versions()] == [*names, later.name]
        assert opened(keyring.unwrap([wrap_one(keyring, context)])) == [KEY]


class TestManyVersions:
    def test_a_middle_one_is_disabled_by_itself(self, keyring: Keyring, context: ContextOf) -> None:
        rows = []
        for _ in range(3):
            rows.append(wrap_one(keyring, context))
            rotate(keyring)
        disable(keyring, rows[1].key_version)
        assert opened(keyring.unwrap(rows)) == [KEY, "KeyVersionUnavailable", KEY]

    def test_one_that_was_never_activated_can_be_retired(self, keyring: Keyring) -> None:
        created = keyring.create_version(uuid4(), keyring.list_versions()[-1].name)
        assert disable(keyring, created.name) == replace(created, state=VersionState.DISABLED)
        with pytest.raises(KeyVersionState):
            keyring.activate_version(created.name)
