"""Moving between a keyring file and Vault: both open, the first wraps; real keyrings, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

import pytest

from kms.clocks import Clocks
from kms.combined import combine
from kms.keyring import (
    CorruptDataKey,
    DataKey,
    KeyringError,
    KeyringUnavailable,
    KeyVersionNotPrimary,
    KeyVersionState,
    KeyVersionUnavailable,
    LatestVersionConflict,
    OpenKeyring,
    UnknownKeyVersion,
    VersionState,
    WrapItem,
    WrappedDataKey,
)
from tests.contract.kms.conftest import DEPLOYMENT_ID, Clock, local_keyring
from tests.support.servers.openbao import OpenBao
from tests.support.servers.vault_keyrings import vault_keyring

ContextOf = Callable[[int], bytes]
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Move:
    """The keyring to leave, the one to move to, and both as the sidecar holds them during the move."""

    old: OpenKeyring
    new: OpenKeyring
    both: OpenKeyring


@pytest.fixture(params=["local to Vault", "Vault to local"])
def move(request: pytest.FixtureRequest, openbao: OpenBao, clock: Clock) -> Iterator[Move]:
    with ExitStack() as stack:
        keyrings = [
            local_keyring(stack, clock),
            vault_keyring(stack, openbao, deployment_id=DEPLOYMENT_ID, clocks=Clocks(clock, clock.monotonic)),
        ]
        old, new = keyrings if request.param == "local to Vault" else keyrings[::-1]
        yield Move(old, new, combine([new, old]))


def key(number: int) -> bytes:
    return bytes([number]) * 32


def wrap(opened: OpenKeyring, context: ContextOf, *numbers: int) -> list[WrappedDataKey]:
    results = opened.keyring.wrap([WrapItem(context(number), DataKey(key(number))) for number in numbers])
    return [each for each in results if isinstance(each, WrappedDataKey)]


def opened(results: Iterable[DataKey | KeyringError]) -> list[bytes | str]:
    return [bytes(each.octets) if isinstance(each, DataKey) else type(each).__name__ for each in results]


class TestBothOpen:
    def test_wrappers_of_both_open_in_one_batch_and_in_order(self, move: Move, context: ContextOf) -> None:
        old, new = wrap(move.old, context, 1, 3), wrap(move.both, context, 2, 4)
        assert {row.key_version for row in new} == {move.new.keyring.status().primary}
        rows = [old[0], new[0], old[1], new[1]]
        assert opened(move.both.keyring.unwrap(rows)) == [key(number) for number in (1, 2, 3, 4)]
        assert move.both.keyring.verify(rows) == [None] * 4

    def test_the_status_is_the_first_one_s_and_both_are_accepted(self, move: Move) -> None:
        status, old, new = move.both.keyring.status(), move.old.keyring.status(), move.new.keyring.status()
        assert (status.primary, status.backend) == (new.primary, new.backend)
        assert status.seq == max(old.seq, new.seq), "the keyring file's: Vault has none"
        assert status.accepted == (*new.accepted, *old.accepted)
        assert (status.wrap_healthy, status.unwrap_healthy, status.message) == (True, True, "")

    def test_parts_of_the_one_and_the_other_open_nothing(self, move: Move, context: ContextOf) -> None:
        old, new = wrap(move.old, context, 1)[0], wrap(move.new, context, 1)[0]
        mixed = [
            replace(old, key_version=new.key_version),
            replace(new, key_version=old.key_version),
            replace(old, wrapped=old.wrapped[:4] + new.wrapped[4:5] + old.wrapped[5:]),
        ]
        assert [type(error) for error in move.both.keyring.verify(mixed)] == [
            CorruptDataKey,
            CorruptDataKey,
            KeyVersionUnavailable,
        ]

    def test_what_is_nobody_s_is_refused_by_the_first(self, move: Move, context: ContextOf) -> None:
        row = wrap(move.new, context, 1)[0]
        ref = b"local-ffffffff-v1-89abcdef01234567"
        foreign = replace(
            row,
            wrapped=b"CVW1\x01\x01" + len(ref).to_bytes(2, "big") + ref + bytes(60),
            key_version=f"keyVersions/{ref.decode()}",
        )
        errors = move.both.keyring.verify([foreign, replace(row, wrapped=b"x")])
        assert [type(error) for error in errors] == [KeyVersionUnavailable, CorruptDataKey]


class TestMoving:
    def test_everything_ends_in_the_new_one(self, move: Move, context: ContextOf) -> None:
        numbers = range(100)
        rows = wrap(move.old, context, *numbers)
        target = move.both.keyring.status().primary
        moved = [each for each in move.both.keyring.rewrap(rows, target) if isinstance(each, WrappedDataKey)]
        assert {row.key_version for row in moved} == {target}
        assert [row.commitment for row in moved] == [row.commitment for row in rows]
        assert opened(move.new.keyring.unwrap(moved)) == [key(number) for number in numbers], (
            "the old one is not needed"
        )
        assert move.both.keyring.rewrap(moved, target) == moved, "done is done"

    def test_and_back_again(self, move: Move, context: ContextOf) -> None:
        rows = wrap(move.old, context, 1, 2)
        there = [
            e
            for e in move.both.keyring.rewrap(rows, move.both.keyring.status().primary)
            if isinstance(e, WrappedDataKey)
        ]
        back = combine([move.old, move.new]).keyring
        here = [e for e in back.rewrap(there, back.status().primary) if isinstance(e, WrappedDataKey)]
        assert opened(move.old.keyring.unwrap(here)) == [key(1), key(2)]

    def test_commitments_are_checked_on_the_way(self, move: Move, context: ContextOf) -> None:
        rows = wrap(move.old, context, 1, 2, 3)
        rows[1] = replace(rows[1], commitment=rows[2].commitment)
        results = move.both.keyring.rewrap(rows, move.both.keyring.status().primary)
        assert [type(each) for each in results] == [WrappedDataKey, CorruptDataKey, WrappedDataKey]

    def test_only_to_the_primary_of_the_first(self, move: Move, context: ContextOf) -> None:
        rows = wrap(move.old, context, 1)
        with pytest.raises(KeyVersionNotPrimary) as refused:
            move.both.keyring.rewrap(rows, move.old.keyring.status().primary)
        assert refused.value.metadata == {"primary_key_version": move.new.keyring.status().primary}


class TestVersions:
    def test_those_of_the_old_one_come_first_and_are_not_primary(self, move: Move) -> None:
        listed = [(version.name, version.state) for version in move.both.versions.list_versions()]
        assert listed == [
            (move.old.keyring.status().primary, VersionState.DECRYPT_ONLY),
            (move.new.keyring.status().primary, VersionState.PRIMARY),
        ]

    def test_new_ones_are_made_in_the_first(self, move: Move) -> None:
        with pytest.raises(LatestVersionConflict):
            move.both.versions.create_version(uuid4(), move.old.keyring.status().primary)
        latest = move.both.versions.list_versions()[-1].name
        created = move.both.versions.activate_version(move.both.versions.create_version(uuid4(), latest).name)
        assert move.both.keyring.status().primary == created.name == move.new.keyring.status().primary

    def test_the_old_primary_does_not_come_back(self, move: Move) -> None:
        with pytest.raises(KeyVersionState, match="of a keyring that only opens"):
            move.both.versions.activate_version(move.old.keyring.status().primary)
        with pytest.raises(UnknownKeyVersion):
            move.both.versions.activate_version("keyVersions/other")

    def test_an_older_version_of_the_old_one_is_retired_where_it_is(
        self, move: Move, context: ContextOf, clock: Clock
    ) -> None:
        rows = wrap(move.old, context, 1)
        first = move.old.versions.list_versions()[-1].name
        move.old.versions.activate_version(move.old.versions.create_version(uuid4(), first).name)
        disabled = move.both.versions.disable_version(first, confirmed_unreferenced=True)
        assert disabled.state is VersionState.DISABLED
        assert opened(move.both.keyring.unwrap(rows)) == ["KeyVersionUnavailable"]
        assert move.both.versions.enable_version(first).state is VersionState.DECRYPT_ONLY
        assert opened(move.both.keyring.unwrap(rows)) == [key(1)]
        move.both.versions.disable_version(first, confirmed_unreferenced=True)
        clock.pass_by(WEEK)
        assert move.both.versions.schedule_destruction(first, WEEK).state is VersionState.DESTROY_SCHEDULED
        assert move.both.versions.cancel_destruction(first).state is VersionState.DISABLED
        move.both.versions.schedule_destruction(first, WEEK)
        clock.pass_by(WEEK)
        assert [version.name for version in move.both.versions.destroy_due()] == [first]


class TestOneAway:
    def test_the_local_one_goes_on_while_vault_is_away(
        self, move: Move, context: ContextOf, openbao: OpenBao
    ) -> None:
        old, new = wrap(move.old, context, 1)[0], wrap(move.new, context, 2)[0]
        away = [row.key_version.startswith("keyVersions/transit-") for row in (old, new)]
        with openbao.dead():
            results = move.both.keyring.unwrap([old, new])
            assert [isinstance(each, KeyringUnavailable) for each in results] == away
            assert [isinstance(each, DataKey) for each in results] == [not each for each in away]
            with pytest.raises(KeyringUnavailable):
                move.both.keyring.unwrap(
                    [row for row, is_away in zip((old, new), away, strict=True) if is_away]
                )
            status = move.both.keyring.status()
            assert status.wrap_healthy is not away[1]
            assert not status.unwrap_healthy
            assert "Vault cannot be reached" in status.message
        assert opened(move.both.keyring.unwrap([old, new])) == [key(1), key(2)]

    def test_nothing_is_lost_by_moving_while_one_is_away(
        self, move: Move, context: ContextOf, openbao: OpenBao
    ) -> None:
        rows = wrap(move.old, context, 1, 2)
        target = move.both.keyring.status().primary
        with openbao.dead(), pytest.raises(KeyringUnavailable):
            move.both.keyring.rewrap(rows, target)
        moved = [each for each in move.both.keyring.rewrap(rows, target) if isinstance(each, WrappedDataKey)]
        assert opened(move.new.keyring.unwrap(moved)) == [key(1), key(2)]
