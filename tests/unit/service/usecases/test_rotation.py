"""Rotation: all is moved, nothing else is touched, and nothing that stays behind passes for success."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from kms.keyring import KeyringUnavailable, KeyVersionUnavailable, WrappedDataKey
from service.domain.errors import Unavailable
from service.usecases import rotation
from service.usecases.data_key_verification import Verified, verify_data_keys
from service.usecases.encryption_status import SweepState, encryption_status, providers_digest
from service.usecases.kms_state import refresh_kms_state
from service.usecases.rotation import Rewrapped, Step, Sweeping
from tests.support.servers.key_sidecar import Rewrapped as Results
from tests.support.servers.rotating_registry import Rotating, a_call


def names(count: int, beginning: str = "p") -> list[str]:
    return [f"{beginning}{number:04}" for number in range(count)]


def sql(registry: Rotating, statement: str, *values: object) -> None:
    """One statement past the store, as somebody with a shell would."""
    with closing(sqlite3.connect(registry.database)) as connection:
        connection.execute(statement, values)
        connection.commit()


def corrupt_wrapper(registry: Rotating, provider_id: str) -> None:
    """Flip the last bit of the wrapper of this provider's data key."""
    sealed = registry.sealed()[provider_id]
    wrapped = bytearray(sealed.wrapped_data_key)
    wrapped[-1] ^= 1
    sql(registry, "UPDATE data_keys SET wrapped = ? WHERE dek_id = ?", bytes(wrapped), str(sealed.dek_id))


def drive(registry: Rotating, *, batch_size: int = 0, release_quarantined: bool = False) -> Rewrapped:
    return rotation.rewrap_data_keys(
        registry.ctx,
        a_call(),
        batch_size=batch_size,
        release_quarantined=release_quarantined,
    )


def with_first(results: Results, **changes: Any) -> Results:
    """The results, the first of them changed."""
    first = results[0]
    assert isinstance(first, WrappedDataKey)
    return [replace(first, **changes), *results[1:]]


def verify(registry: Rotating) -> Verified:
    return verify_data_keys(registry.ctx, a_call(), page_size=0, page_token="")


class TestSweep:
    def test_moves_everything_and_touches_nothing_else(self, registry: Rotating) -> None:
        registry.add(*names(700))
        before = providers_digest(registry.ctx)
        entries = registry.store.read(lambda unit: unit.routing_entries())
        envelopes = {name: sealed.envelope for name, sealed in registry.sealed().items()}
        for _ in range(5):
            version = registry.sidecar.rotate()
            refresh_kms_state(registry.ctx)
            assert registry.sweep() == 700
            assert registry.versions() == {version}
        assert providers_digest(registry.ctx) == before
        assert registry.store.read(lambda unit: unit.routing_entries()) == entries
        assert {name: sealed.envelope for name, sealed in registry.sealed().items()} == envelopes
        assert verify(registry).failures == []
        assert registry.all_open()

    def test_asks_the_sidecar_for_256_at_a_time(self, registry: Rotating) -> None:
        registry.add(*names(300))
        registry.sidecar.rotate()
        refresh_kms_state(registry.ctx)
        registry.sweep()
        assert registry.sidecar.keyring.rewrapped == [256, 44]

    def test_of_what_is_done_does_nothing(self, registry: Rotating) -> None:
        registry.add(*names(3))
        assert registry.sweep() == 0
        assert registry.sidecar.keyring.rewrapped == []

    def test_begun_anew_after_a_crash_goes_on_where_it_was(self, registry: Rotating) -> None:
        registry.add(*names(1100))
        registry.sidecar.rotate()
        refresh_kms_state(registry.ctx)

        def crash() -> None:
            if len(registry.sidecar.keyring.rewrapped) == 4:
                raise KeyringUnavailable

        registry.sidecar.keyring.before_rewrap = crash
        with pytest.raises(Unavailable):
            registry.sweep()
        registry.sidecar.keyring.before_rewrap = lambda: None
        assert rotation.backlog(registry.ctx).remaining == 1100 - 1024
        assert registry.all_open()
        assert registry.sweep() == 1100 - 1024
        assert len(registry.versions()) == 1

    def test_what_was_rotated_meanwhile_goes_to_the_newest(self, registry: Rotating) -> None:
        registry.add(*names(600))
        registry.sidecar.rotate()
        refresh_kms_state(registry.ctx)
        rotations = iter([False, True, False, False, False, False])

        def rotate() -> None:
            if next(rotations):
                registry.sidecar.rotate()

        registry.sidecar.keyring.before_rewrap = rotate
        registry.sweep()
        registry.sidecar.keyring.before_rewrap = lambda: None
        registry.sweep()
        assert registry.versions() == {registry.sidecar.primary}

    def test_leaves_a_credential_alone_that_was_replaced_meanwhile(self, registry: Rotating) -> None:
        registry.add("kept", "gone")
        version = registry.sidecar.rotate()
        refresh_kms_state(registry.ctx)

        def replace_one() -> None:
            registry.sidecar.keyring.before_rewrap = lambda: None
            provider = registry.store.read(lambda unit: unit.providers.get("gone"))
            assert provider is not None
            registry.store.write(lambda unit: unit.providers.delete(provider))
            registry.add("new")

        registry.sidecar.keyring.before_rewrap = replace_one
        assert registry.sweep() == 1
        assert sorted(registry.sealed()) == ["kept", "new"]
        assert registry.versions() == {version}
        assert registry.all_open()


class TestLease:
    def test_one_replica_at_a_time(self, registry: Rotating) -> None:
        registry.add(*names(3))
        registry.sidecar.rotate()
        refresh_kms_state(registry.ctx)
        registry.store.rewrap(lambda unit: unit.take_lease("there", seconds=10))
        assert rotation.sweep_step(registry.ctx, "here", "") == Step(Sweeping.HELD, 0, "")
        registry.later(seconds=10)
        assert registry.sweep() == 3

    def test_a_batch_that_is_driven_needs_none(self, registry: Rotating) -> None:
        registry.add(*names(3))
        registry.sidecar.rotate()
        registry.store.rewrap(lambda unit: unit.take_lease("there", seconds=10))
        assert drive(registry).moved == 3

    def test_two_that_meet_move_each_wrapper_once(self, registry: Rotating) -> None:
        registry.add(*names(100))
        registry.sidecar.rotate()
        refresh_kms_state(registry.ctx)
        driven: list[Rewrapped] = []

        def meet() -> None:
            registry.sidecar.keyring.before_rewrap = lambda: None
            driven.append(drive(registry))

        registry.sidecar.keyring.before_rewrap = meet
        assert registry.sweep() + driven[0].moved == 100
        assert registry.all_open()
        assert verify(registry).sound == 100


class TestDriven:
    def test_notices_and_moves_a_bounded_batch(self, registry: Rotating) -> None:
        registry.add(*names(20))
        version = registry.sidecar.rotate()
        first = drive(registry, batch_size=15)
        assert (first.moved, first.backlog.remaining, first.primary_key_version) == (15, 5, version)
        second = drive(registry, batch_size=15)
        assert (second.moved, second.backlog.remaining, second.failures) == (5, 0, [])
        assert drive(registry).moved == 0

    @pytest.mark.parametrize("position", [0, 10, 19])
    def test_goes_round_wherever_it_begins(self, registry: Rotating, position: int) -> None:
        registry.add(*names(20))
        registry.sidecar.rotate()
        start = sorted(sealed.dek_id for sealed in registry.sealed().values())[position]
        ctx = replace(registry.ctx, new_uuid=lambda: UUID(str(start)))
        done = rotation.rewrap_data_keys(ctx, a_call(), batch_size=20, release_quarantined=False)
        assert (done.moved, done.backlog.stale) == (20, 0)

    def test_validate_only_moves_nothing(self, registry: Rotating) -> None:
        registry.add(*names(3))
        registry.sidecar.rotate()
        preview = rotation.rewrap_data_keys(
            registry.ctx, a_call(validate_only=True), batch_size=0, release_quarantined=True
        )
        assert (preview.moved, preview.backlog.remaining) == (0, 3)
        assert registry.sidecar.keyring.rewrapped == []

    def test_ends_before_its_caller_stops_waiting(self, registry: Rotating) -> None:
        registry.add(*names(600))
        registry.sidecar.rotate()
        refresh_kms_state(registry.ctx)
        done = rotation.rewrap_data_keys(
            registry.ctx,
            a_call(seconds=1.9),
            batch_size=600,
            release_quarantined=False,
        )
        assert 0 < done.moved < 600
        assert done.backlog.remaining == 600 - done.moved


class TestFailures:
    def test_the_third_is_quarantine_which_is_shown_and_never_success(self, registry: Rotating) -> None:
        registry.add(*names(5))
        corrupt_wrapper(registry, "p0002")
        old = registry.sidecar.primary
        registry.sidecar.rotate()
        for count in (1, 2):
            done = drive(registry)
            assert [(one.provider_id, one.fault, one.failed_count) for one in done.failures] == [
                ("p0002", "CREDENTIAL_CORRUPT", count)
            ]
            assert (done.backlog.remaining, done.backlog.quarantined) == (1, 0)
        assert (drive(registry).backlog.remaining, drive(registry).failures) == (0, [])
        status = encryption_status(registry.ctx, a_call())
        assert status.sweep_state is SweepState.BLOCKED
        assert (status.backlog.stale, status.backlog.quarantined) == (1, 1)
        assert [(one.provider_id, one.fault) for one in status.quarantined] == [
            ("p0002", "CREDENTIAL_CORRUPT")
        ]
        [unsound] = verify(registry).failures
        assert (unsound.resource, unsound.reason, unsound.key_version) == (
            "providers/p0002",
            "CREDENTIAL_CORRUPT",
            old,
        )

    def test_do_not_stop_the_others(self, registry: Rotating) -> None:
        registry.add(*names(300))
        for name in ("p0000", "p0100", "p0299"):
            corrupt_wrapper(registry, name)
        registry.sidecar.rotate()
        refresh_kms_state(registry.ctx)
        assert registry.sweep() == 297

    def test_released_ones_are_tried_again(self, registry: Rotating) -> None:
        registry.add("sick")
        good = registry.sealed()["sick"]
        corrupt_wrapper(registry, "sick")
        registry.sidecar.rotate()
        for _ in range(3):
            drive(registry)
        sql(
            registry,
            "UPDATE data_keys SET wrapped = ? WHERE dek_id = ?",
            good.wrapped_data_key,
            str(good.dek_id),
        )
        assert drive(registry).moved == 0
        assert drive(registry, release_quarantined=True).moved == 1
        assert verify(registry).failures == []

    def test_that_pass_are_no_reason_for_quarantine(self, registry: Rotating) -> None:
        registry.add(*names(3))
        registry.sidecar.rotate()
        registry.sidecar.keyring.spoil_rewrap = lambda results: [KeyringUnavailable(), *results[1:]]
        for _ in range(5):
            done = drive(registry)
        assert [(one.fault, one.failed_count) for one in done.failures] == [("KMS_UNAVAILABLE", 0)]
        assert done.backlog.remaining == 1
        registry.sidecar.keyring.spoil_rewrap = lambda results: results
        assert drive(registry).backlog.stale == 0

    def test_for_want_of_a_version_end_when_it_is_back(self, registry: Rotating) -> None:
        registry.add(*names(3))
        old = registry.sidecar.primary
        registry.sidecar.rotate()
        registry.sidecar.keyring.spoil_rewrap = lambda results: [KeyVersionUnavailable(old)] * len(results)
        for _ in range(3):
            drive(registry)
        assert rotation.backlog(registry.ctx).quarantined == 3
        registry.sidecar.keyring.spoil_rewrap = lambda results: results
        assert not rotation.begin_sweep(registry.ctx, [registry.sidecar.primary])
        assert rotation.begin_sweep(registry.ctx, [old, registry.sidecar.primary])
        assert registry.sweep() == 3

    @pytest.mark.parametrize(
        "spoil",
        [
            pytest.param(lambda results: [results[1], results[0], *results[2:]], id="reordered"),
            pytest.param(lambda results: [results[0], results[0], *results[2:]], id="one twice"),
            pytest.param(lambda results: with_first(results, context=b"x" * 103), id="context"),
            pytest.param(lambda results: with_first(results, commitment=bytes(32)), id="commitment"),
            pytest.param(lambda results: with_first(results, key_version="keyVersions/x"), id="version"),
            pytest.param(lambda results: with_first(results, wrapped=b"CVW1"), id="no wrapper"),
        ],
    )
    def test_a_wrong_answer_is_not_stored(
        self, registry: Rotating, spoil: Callable[[Results], Results]
    ) -> None:
        registry.add(*names(10))
        registry.sidecar.rotate()
        registry.sidecar.keyring.spoil_rewrap = spoil
        done = drive(registry)
        assert {one.fault for one in done.failures} == {"WRONG_ANSWER"}
        assert done.backlog.remaining == len(done.failures) == 10 - done.moved
        assert registry.all_open()
        registry.sidecar.keyring.spoil_rewrap = lambda results: results
        assert drive(registry).backlog.stale == 0
        assert registry.all_open()

    @pytest.mark.parametrize("count", [-1, 1])
    def test_an_answer_of_another_length_stores_nothing(self, registry: Rotating, count: int) -> None:
        registry.add(*names(10))
        registry.sidecar.rotate()

        def spoil(results: Results) -> Results:
            return results[:-1] if count < 0 else [*results, results[0]]

        registry.sidecar.keyring.spoil_rewrap = spoil
        with pytest.raises(Unavailable):
            drive(registry)
        assert rotation.backlog(registry.ctx).remaining == 10

    def test_the_old_wrapper_sent_back_is_not_taken_for_a_move(self, registry: Rotating) -> None:
        registry.add("one")
        old = registry.sealed()["one"]
        registry.sidecar.rotate()
        sent_back = WrappedDataKey(old.wrapped_data_key, old.key_version, old.commitment, old.context)
        registry.sidecar.keyring.spoil_rewrap = lambda results: [sent_back]
        assert [one.fault for one in drive(registry).failures] == ["WRONG_ANSWER"]

    @pytest.mark.parametrize(
        ("column", "value", "fault"),
        [
            ("wrapped", b"", "WRAPPER_MALFORMED"),
            ("wrapped", b"x" * 20000, "WRAPPER_MALFORMED"),
            ("wrapped", "text, which SQLite takes", "WRAPPER_MALFORMED"),
            ("key_version", "keyVersions/local-00000000-v9-0000000000000000", "KEY_VERSION_MISMATCH"),
            ("context", b"", "WRAPPER_MALFORMED"),
            ("context", b"x" * 103, "INVALID_FIELD"),
            ("commitment", b"short", "WRAPPER_MALFORMED"),
            ("commitment", bytes(32), "CREDENTIAL_CORRUPT"),
        ],
    )
    def test_a_row_out_of_shape_fails_alone(
        self, registry: Rotating, column: str, value: bytes | str, fault: str
    ) -> None:
        registry.add(*names(5))
        dek_id = str(registry.sealed()["p0001"].dek_id)
        sql(registry, f"UPDATE data_keys SET {column} = ? WHERE dek_id = ?", value, dek_id)  # noqa: S608
        registry.sidecar.rotate()
        done = drive(registry)
        assert done.moved == 4
        assert [(one.provider_id, one.fault) for one in done.failures] == [("p0001", fault)]


class TestStatus:
    def test_before_the_first_credential(self, registry: Rotating) -> None:
        status = encryption_status(registry.ctx, a_call())
        assert status.kms_healthy
        assert status.sweep_state is SweepState.DONE
        assert status.registry.primary_key_version == registry.sidecar.primary
        assert status.backlog.total == 0

    def test_notices_a_rotation_rather_than_say_done(self, registry: Rotating) -> None:
        registry.add(*names(3))
        del registry.woken[:]
        version = registry.sidecar.rotate()
        status = encryption_status(registry.ctx, a_call())
        assert status.registry.primary_key_version == version
        assert (status.sweep_state, status.backlog.stale) == (SweepState.WAITING, 3)
        assert registry.woken == [None]

    def test_tells_of_a_sweep_of_any_replica(self, registry: Rotating) -> None:
        registry.add(*names(3))
        registry.sidecar.rotate()
        registry.store.rewrap(lambda unit: unit.take_lease("there", seconds=10))
        assert encryption_status(registry.ctx, a_call()).sweep_state is SweepState.RUNNING
        registry.later(seconds=11)
        assert encryption_status(registry.ctx, a_call()).sweep_state is SweepState.WAITING
