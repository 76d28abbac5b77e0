"""What every keyring guarantees; each test runs against every implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from kms.formats import DekContext, commitment, length_prefixed
from kms.keyring import (
    CorruptDataKey,
    DataKey,
    InvalidContext,
    Keyring,
    KeyringError,
    KeyVersion,
    KeyVersionNotPrimary,
    KeyVersions,
    KeyVersionState,
    KeyVersionUnavailable,
    LatestVersionConflict,
    RequestIdReused,
    UnknownKeyVersion,
    VersionState,
    WrapItem,
    WrappedDataKey,
)
from tests.contract.kms.conftest import Traits

ContextOf = Callable[[int], bytes]
CORRUPT = "the wrapped data key cannot be opened"


def key(number: int) -> bytes:
    return bytes([number]) * 32


def wrap(keyring: Keyring, context: ContextOf, numbers: Iterable[int]) -> list[WrappedDataKey]:
    results = keyring.wrap([WrapItem(context(number), DataKey(key(number))) for number in numbers])
    wrapped = [each for each in results if isinstance(each, WrappedDataKey)]
    assert len(wrapped) == len(results)
    return wrapped


def opened(results: Iterable[DataKey | KeyringError]) -> list[bytes | str]:
    """Keys as bytes, errors as their class name."""
    return [bytes(each.octets) if isinstance(each, DataKey) else type(each).__name__ for each in results]


def create(versions: KeyVersions) -> KeyVersion:
    return versions.create_version(uuid4(), versions.list_versions()[-1].name)


def rotate(versions: KeyVersions) -> KeyVersion:
    return versions.activate_version(create(versions).name)


def states(versions: KeyVersions) -> list[str]:
    return [version.state.value for version in versions.list_versions()]


class TestWrap:
    def test_echoes_context_and_commits_to_the_key(self, keyring: Keyring, context: ContextOf) -> None:
        wrapped = wrap(keyring, context, range(5))
        assert [each.context for each in wrapped] == [context(number) for number in range(5)]
        assert [each.commitment for each in wrapped] == [commitment(key(n), context(n)) for n in range(5)]
        assert {each.key_version for each in wrapped} == {keyring.status().primary}

    def test_the_largest_batch_opens_in_order(self, keyring: Keyring, context: ContextOf) -> None:
        wrapped = wrap(keyring, context, range(256))
        assert keyring.verify(wrapped * 4) == [None] * 1024
        assert opened(keyring.unwrap(wrapped[:64])) == [key(number) for number in range(64)]

    def test_the_same_key_never_gives_the_same_wrapper(self, keyring: Keyring, context: ContextOf) -> None:
        assert len({each.wrapped for each in wrap(keyring, context, [7] * 50)}) == 50

    def test_the_wrapper_names_its_version(
        self, keyring: Keyring, traits: Traits, context: ContextOf
    ) -> None:
        wrapped = wrap(keyring, context, [1])[0]
        ref = wrapped.key_version.removeprefix("keyVersions/").encode()
        assert wrapped.wrapped.startswith(traits.wrapper_head + len(ref).to_bytes(2, "big") + ref)
        assert len(wrapped.wrapped) == 8 + len(ref) + traits.body_length

    @pytest.mark.parametrize(
        "octets",
        [
            pytest.param(b"x", id="no context"),
            pytest.param(DekContext(bytes(16), bytes(16), bytes(16), 1).encode(), id="another deployment"),
            pytest.param(
                DekContext(bytes.fromhex("0123456789abcdef0123456789abcdef"), bytes(16), bytes(16), 1)
                .encode()
                .replace(b"default", b"another"),
                id="another audience",
            ),
            pytest.param(length_prefixed(b"codevector/dek/2", bytes(79)), id="another label"),
        ],
    )
    def test_a_wrong_context_fails_its_item_only(
        self, keyring: Keyring, context: ContextOf, octets: bytes
    ) -> None:
        items = [
            WrapItem(context(1), DataKey(key(1))),
            WrapItem(octets, DataKey(key(2))),
            WrapItem(context(3), DataKey(key(3))),
        ]
        results = keyring.wrap(items)
        assert [type(each) for each in results] == [WrappedDataKey, InvalidContext, WrappedDataKey]


class TestUnwrap:
    def test_opens_what_was_wrapped(self, keyring: Keyring, context: ContextOf) -> None:
        wrapped = wrap(keyring, context, range(10))
        assert opened(keyring.unwrap(wrapped)) == [key(number) for number in range(10)]

    def test_all_pairs_of_wrapper_commitment_and_context(self, keyring: Keyring, context: ContextOf) -> None:
        """Swapping any part with another row's, or the whole pair, opens nothing."""
        rows = wrap(keyring, context, range(3))
        mixed = [
            replace(rows[a], commitment=rows[b].commitment, context=rows[c].context)
            for a in range(3)
            for b in range(3)
            for c in range(3)
            if not a == b == c
        ]
        assert opened(keyring.unwrap(mixed)) == ["CorruptDataKey"] * len(mixed)

    def test_every_bit_of_the_wrapper(self, keyring: Keyring, context: ContextOf) -> None:
        row = wrap(keyring, context, [1])[0]
        tampered = []
        for bit in range(len(row.wrapped) * 8):
            octets = bytearray(row.wrapped)
            octets[bit // 8] ^= 1 << bit % 8
            tampered.append(replace(row, wrapped=bytes(octets)))
        failures = [
            error
            for start in range(0, len(tampered), 512)
            for error in keyring.verify(tampered[start:][:512])
        ]
        assert {type(error) for error in failures} == {CorruptDataKey}

    def test_every_bit_of_the_commitment(self, keyring: Keyring, context: ContextOf) -> None:
        row = wrap(keyring, context, [1])[0]
        tampered = []
        for bit in range(256):
            octets = bytearray(row.commitment)
            octets[bit // 8] ^= 1 << bit % 8
            tampered.append(replace(row, commitment=bytes(octets)))
        assert {type(error) for error in keyring.verify(tampered)} == {CorruptDataKey}

    def test_every_bit_of_the_context(self, keyring: Keyring, context: ContextOf) -> None:
        row = wrap(keyring, context, [1])[0]
        tampered = []
        for bit in range(len(row.context) * 8):
            octets = bytearray(row.context)
            octets[bit // 8] ^= 1 << bit % 8
            tampered.append(replace(row, context=bytes(octets)))
        assert {type(error) for error in keyring.verify(tampered)} == {CorruptDataKey, InvalidContext}

    def test_a_version_that_is_not_the_wrapper_s(
        self, keyring: Keyring, versions: KeyVersions, context: ContextOf
    ) -> None:
        row = wrap(keyring, context, [1])[0]
        newer = rotate(versions)
        claimed = [newer.name, row.key_version + "0", row.key_version.removeprefix("keyVersions/"), "x"]
        results = keyring.unwrap([replace(row, key_version=name) for name in claimed])
        assert opened(results) == ["CorruptDataKey"] * len(claimed)

    def test_a_version_that_is_not_here(self, keyring: Keyring, context: ContextOf) -> None:
        row = wrap(keyring, context, [1])[0]
        ref = row.key_version.removeprefix("keyVersions/")
        other = ref[:-1] + ("0" if ref[-1] != "0" else "1")
        foreign = replace(
            row,
            wrapped=row.wrapped.replace(ref.encode(), other.encode()),
            key_version=f"keyVersions/{other}",
        )
        error = keyring.unwrap([foreign])[0]
        assert isinstance(error, KeyVersionUnavailable)
        assert error.metadata == {"key_version": f"keyVersions/{other}"}

    def test_a_wrapper_of_another_backend(self, keyring: Keyring, traits: Traits, context: ContextOf) -> None:
        row = wrap(keyring, context, [1])[0]
        ref, backend, body = traits.foreign
        foreign = replace(
            row,
            wrapped=b"CVW1" + backend + b"\x01" + len(ref).to_bytes(2, "big") + ref.encode() + body,
            key_version=f"keyVersions/{ref}",
        )
        assert opened(keyring.unwrap([foreign])) == ["KeyVersionUnavailable"]

    def test_a_body_under_the_head_of_another_backend(
        self, keyring: Keyring, traits: Traits, context: ContextOf
    ) -> None:
        row = wrap(keyring, context, [1])[0]
        foreign = replace(row, wrapped=b"CVW1" + traits.foreign[1] + row.wrapped[5:])
        assert opened(keyring.unwrap([foreign])) == ["KeyVersionUnavailable"]

    def test_one_text_for_whatever_is_corrupt(self, keyring: Keyring, context: ContextOf) -> None:
        row = wrap(keyring, context, [1])[0]
        broken = [
            replace(row, wrapped=b"x"),
            replace(row, wrapped=row.wrapped[:-1]),
            replace(row, wrapped=row.wrapped + b"\0"),
            replace(row, wrapped=row.wrapped[:-1] + bytes([row.wrapped[-1] ^ 1])),
            replace(row, commitment=bytes(32)),
            replace(row, key_version="keyVersions/other"),
        ]
        told = {(each.message, *each.metadata.items()) for each in keyring.verify(broken) if each is not None}
        assert told == {(CORRUPT, ("data_key_id", (1).to_bytes(16, "big").hex()))}

    def test_failures_stand_where_their_items_do(self, keyring: Keyring, context: ContextOf) -> None:
        rows = wrap(keyring, context, range(6))
        rows[1] = replace(rows[1], commitment=bytes(32))
        rows[4] = replace(rows[4], context=b"x")
        assert opened(keyring.unwrap(rows)) == [
            key(0),
            "CorruptDataKey",
            key(2),
            key(3),
            "InvalidContext",
            key(5),
        ]


class TestRewrap:
    def test_keeps_key_context_and_commitment(
        self, keyring: Keyring, versions: KeyVersions, context: ContextOf
    ) -> None:
        old = wrap(keyring, context, range(64))
        target = rotate(versions).name
        new = [each for each in keyring.rewrap(old, target) if isinstance(each, WrappedDataKey)]
        assert [(each.context, each.commitment) for each in new] == [(e.context, e.commitment) for e in old]
        assert {each.key_version for each in new} == {target}
        assert not {each.wrapped for each in new} & {each.wrapped for each in old}
        assert opened(keyring.unwrap(new)) == [key(number) for number in range(64)]
        assert opened(keyring.unwrap(old)) == [key(number) for number in range(64)]

    def test_is_a_no_op_where_it_was_done(self, keyring: Keyring, context: ContextOf) -> None:
        rows = wrap(keyring, context, range(3))
        assert keyring.rewrap(rows, keyring.status().primary) == rows

    def test_a_no_op_still_checks(self, keyring: Keyring, traits: Traits, context: ContextOf) -> None:
        row = replace(wrap(keyring, context, [1])[0], commitment=bytes(32))
        result = keyring.rewrap([row], keyring.status().primary)[0]
        assert isinstance(result, CorruptDataKey) if traits.rewrap_sees_keys else result == row

    def test_a_wrong_commitment_never_gets_past_verify(
        self, keyring: Keyring, versions: KeyVersions, traits: Traits, context: ContextOf
    ) -> None:
        """A backend that rewraps without seeing the key keeps the given commitment; opening then fails."""
        rows = wrap(keyring, context, range(3))
        rows[1] = replace(rows[1], commitment=rows[2].commitment)
        results = keyring.rewrap(rows, rotate(versions).name)
        moved = [each for each in results if isinstance(each, WrappedDataKey)]
        if traits.rewrap_sees_keys:
            assert [type(each) for each in results] == [WrappedDataKey, CorruptDataKey, WrappedDataKey]
        else:
            assert [each.commitment for each in moved] == [row.commitment for row in rows]
            assert [type(each) for each in keyring.verify(moved)] == [type(None), CorruptDataKey, type(None)]

    def test_what_does_not_open_is_not_moved(
        self, keyring: Keyring, versions: KeyVersions, context: ContextOf
    ) -> None:
        rows = wrap(keyring, context, range(4))
        rows[1] = replace(rows[1], context=rows[2].context)
        rows[3] = replace(rows[3], wrapped=rows[3].wrapped[:-1])
        results = keyring.rewrap(rows, rotate(versions).name)
        assert [type(each) for each in results] == [
            WrappedDataKey,
            CorruptDataKey,
            WrappedDataKey,
            CorruptDataKey,
        ]

    def test_goes_to_the_primary_only(
        self, keyring: Keyring, versions: KeyVersions, traits: Traits, context: ContextOf
    ) -> None:
        rows = wrap(keyring, context, range(2))
        old = keyring.status().primary
        primary = rotate(versions).name
        others = [old, create(versions).name] if traits.has_pending else [old]
        for target in (*others, "keyVersions/other", primary.removeprefix("keyVersions/")):
            with pytest.raises(KeyVersionNotPrimary) as refused:
                keyring.rewrap(rows, target)
            assert refused.value.metadata == {"primary_key_version": primary}


class TestVersions:
    def test_a_new_keyring_has_one_primary(
        self, keyring: Keyring, versions: KeyVersions, traits: Traits
    ) -> None:
        listed = versions.list_versions()
        assert states(versions) == ["PRIMARY"]
        assert listed[0].algorithm == "AES_256_GCM"
        if traits.keeps_given_time:
            expected, tolerance = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC), timedelta(seconds=1)
        else:
            expected, tolerance = datetime.now(UTC), timedelta(minutes=1, seconds=1)
        assert abs(listed[0].create_time - expected) < tolerance
        status = keyring.status()
        assert status.backend is traits.backend
        assert (status.primary, status.accepted) == (listed[0].name, (listed[0].name,))
        assert (status.wrap_healthy, status.unwrap_healthy, status.message) == (True, True, "")

    def test_created_then_activated(
        self, keyring: Keyring, versions: KeyVersions, traits: Traits, context: ContextOf
    ) -> None:
        first = keyring.status()
        created = create(versions)
        assert created.state is (VersionState.PENDING if traits.has_pending else VersionState.PRIMARY)
        primary = first.primary if traits.has_pending else created.name
        assert keyring.status().primary == primary
        assert created.name in keyring.status().accepted
        assert wrap(keyring, context, [1])[0].key_version == primary
        activated = versions.activate_version(created.name)
        assert activated == replace(created, state=VersionState.PRIMARY)
        assert states(versions) == ["DECRYPT_ONLY", "PRIMARY"]
        assert wrap(keyring, context, [1])[0].key_version == created.name
        assert keyring.status().seq == first.seq + (2 if traits.has_pending else 0)

    def test_old_wrappers_open_after_many_rotations(
        self, keyring: Keyring, versions: KeyVersions, context: ContextOf
    ) -> None:
        rows = []
        for number in range(5):
            rows += wrap(keyring, context, [number])
            rotate(versions)
        assert opened(keyring.unwrap(rows)) == [key(number) for number in range(5)]
        assert len({row.key_version for row in rows}) == 5

    def test_a_repeated_create_answers_the_first(
        self, keyring: Keyring, versions: KeyVersions, traits: Traits
    ) -> None:
        request_id, latest = uuid4(), versions.list_versions()[-1].name
        created = versions.create_version(request_id, latest)
        seq = keyring.status().seq
        assert versions.create_version(request_id, latest) == created
        activated = versions.activate_version(created.name)
        assert versions.create_version(request_id, latest) == activated, "as it is now"
        assert keyring.status().seq == (seq + 1 if traits.has_pending else seq)

    def test_a_request_id_is_for_one_request(self, versions: KeyVersions) -> None:
        request_id = UUID("0b9f5a3e-52a8-4f0c-9f43-9a8f5a1b7c11")
        created = versions.create_version(request_id, versions.list_versions()[-1].name)
        with pytest.raises(RequestIdReused) as refused:
            versions.create_version(request_id, created.name)
        assert refused.value.metadata == {"request_id": str(request_id)}
        assert len(versions.list_versions()) == 2

    @pytest.mark.parametrize("expected", ["", "keyVersions/other"])
    def test_create_compares_the_newest(self, versions: KeyVersions, expected: str) -> None:
        latest = versions.list_versions()[-1].name
        with pytest.raises(LatestVersionConflict) as refused:
            versions.create_version(uuid4(), expected)
        assert refused.value.metadata == {"current_latest": latest}
        assert len(versions.list_versions()) == 1

    def test_of_two_racing_creates_one_wins(self, versions: KeyVersions) -> None:
        latest = versions.list_versions()[-1].name
        versions.create_version(uuid4(), latest)
        with pytest.raises(LatestVersionConflict):
            versions.create_version(uuid4(), latest)
        assert len(versions.list_versions()) == 2

    def test_activating_the_primary_changes_nothing(self, keyring: Keyring, versions: KeyVersions) -> None:
        before = keyring.status()
        assert versions.activate_version(before.primary).state is VersionState.PRIMARY
        assert keyring.status() == before

    def test_a_former_primary_does_not_come_back(self, keyring: Keyring, versions: KeyVersions) -> None:
        old = keyring.status().primary
        rotate(versions)
        before = keyring.status()
        with pytest.raises(KeyVersionState) as refused:
            versions.activate_version(old)
        assert refused.value.metadata == {"key_version": old, "state": "DECRYPT_ONLY"}
        assert keyring.status() == before

    def test_a_version_older_than_the_primary_stays_what_it_is(
        self, versions: KeyVersions, traits: Traits
    ) -> None:
        passed_over = create(versions)
        rotate(versions)
        with pytest.raises(KeyVersionState):
            versions.activate_version(passed_over.name)
        kept = "PENDING" if traits.has_pending else "DECRYPT_ONLY"
        assert states(versions) == ["DECRYPT_ONLY", kept, "PRIMARY"]

    def test_an_unknown_version_is_not_found(self, keyring: Keyring, versions: KeyVersions) -> None:
        ref = keyring.status().primary.removeprefix("keyVersions/")
        for name in ("keyVersions/other", ref, f"keyVersions/keyVersions/{ref}", "x"):
            with pytest.raises(UnknownKeyVersion) as refused:
                versions.activate_version(name)
            assert refused.value.metadata == {"key_version": name}
