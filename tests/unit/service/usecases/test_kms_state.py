"""Noticing: a new primary is recorded, and a sidecar that must not be sealed with is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from kms.keyring import KeyringStatus
from service.domain.errors import Unavailable
from service.usecases.encryption_status import encryption_status
from service.usecases.kms_state import record_kms_status, refresh_kms_state
from tests.support.servers.rotating_registry import Rotating, a_call

LOCAL = "keyVersions/local-0a1b2c3d"
TRANSIT = "keyVersions/transit-4e5f6a7b"


def with_status(registry: Rotating, **changes: object) -> None:
    """Have the sidecar say something else of itself."""

    def change(status: KeyringStatus) -> KeyringStatus:
        return replace(status, **changes)  # type: ignore[arg-type]

    registry.sidecar.keyring.change_status = change


def say(registry: Rotating, *names: str, seq: int = 0) -> None:
    """Have the sidecar name these versions, the last of them its primary."""
    with_status(registry, primary=names[-1], accepted=names, seq=seq)


class TestRecord:
    def test_of_the_first_status(self, registry: Rotating) -> None:
        _, row = refresh_kms_state(registry.ctx)
        assert row.primary_key_version == registry.sidecar.primary
        assert row.deployment_id is not None
        assert row.key_names_seen == (registry.sidecar.primary,)
        assert row.keyring_seq == 1
        assert row.notice_time == registry.clock.now
        assert registry.store.read(lambda unit: unit.kms.get()) == row
        assert registry.woken == [None]

    def test_stays_as_it_is_when_nothing_is_new(self, registry: Rotating) -> None:
        _, first = refresh_kms_state(registry.ctx)
        registry.later(minutes=1)
        _, second = refresh_kms_state(registry.ctx)
        assert second == first
        assert registry.woken == [None]

    def test_takes_no_revision(self, registry: Rotating) -> None:
        refresh_kms_state(registry.ctx)
        registry.sidecar.rotate()
        refresh_kms_state(registry.ctx)
        assert registry.store.read(lambda unit: unit.log.head().revision) == 0

    def test_of_a_new_primary_wakes_the_sweep(self, registry: Rotating) -> None:
        refresh_kms_state(registry.ctx)
        old = registry.sidecar.primary
        new = registry.sidecar.rotate()
        _, row = refresh_kms_state(registry.ctx)
        assert row.primary_key_version == new
        assert row.key_names_seen == (old, new)
        assert row.keyring_seq > 1
        assert registry.woken == [None, None]


class TestAudit:
    """The growth of the sidecar's audit, so that a tail that is cut off shows."""

    @staticmethod
    def of(registry: Rotating) -> int:
        refresh_kms_state(registry.ctx)
        (audit,) = registry.store.read(lambda unit: unit.kms.audits()).values()
        assert (len(audit.public_key), len(audit.head)) == (32, 32)
        return audit.seq

    def test_is_recorded_every_ten_seconds(self, registry: Rotating) -> None:
        first = self.of(registry)
        registry.add("a")
        assert registry.all_open()
        assert self.of(registry) == first
        registry.later(seconds=10)
        assert self.of(registry) > first

    def test_each_sidecar_has_its_own(self, registry: Rotating) -> None:
        """Several sidecars on one Transit key: the shorter audit of another one is no cut audit."""
        status = registry.ctx.kms.status()
        others = [(b"a" * 32, 900), (b"b" * 32, 7), (b"a" * 32, 400), (b"b" * 32, 8)]
        for public_key, seq in others:
            registry.later(seconds=10)
            told = replace(status, audit_public_key=public_key, audit_seq=seq, audit_head=b"h" * 32)
            record_kms_status(registry.ctx, told)
        audits = registry.store.read(lambda unit: unit.kms.audits())
        assert {key: audit.seq for key, audit in audits.items()} == {b"a" * 32: 900, b"b" * 32: 8}
        shown = encryption_status(registry.ctx, a_call()).audit
        assert shown is not None
        assert shown.public_key == status.audit_public_key, "that of the sidecar that answers"


class TestRefused:
    def refuses(self, registry: Rotating, match: str) -> None:
        before = registry.store.read(lambda unit: unit.kms.get())
        with pytest.raises(Unavailable, match=match):
            refresh_kms_state(registry.ctx)
        assert registry.store.read(lambda unit: unit.kms.get()) == before
        status = encryption_status(registry.ctx, a_call())
        assert not status.kms_healthy
        assert match in status.kms_message

    def test_another_deployment(self, registry: Rotating) -> None:
        refresh_kms_state(registry.ctx)
        with_status(registry, deployment_id=bytes(16))
        self.refuses(registry, "another deployment")

    def test_an_older_keyring(self, registry: Rotating) -> None:
        say(registry, f"{LOCAL}-v1-aa", f"{LOCAL}-v2-bb", seq=5)
        refresh_kms_state(registry.ctx)
        say(registry, f"{LOCAL}-v1-aa", seq=4)
        self.refuses(registry, "older keyring")

    def test_a_transit_primary_that_another_sidecar_has_left_already(self, registry: Rotating) -> None:
        say(registry, f"{TRANSIT}-v9-1764000000", f"{TRANSIT}-v10-1764000100")
        refresh_kms_state(registry.ctx)
        say(registry, f"{TRANSIT}-v9-1764000000")
        self.refuses(registry, "does not know the newest version of its Transit key yet")
        say(registry, f"{TRANSIT}-v10-1764000100", f"{TRANSIT}-v11-1764000200")
        _, row = refresh_kms_state(registry.ctx)
        assert row.primary_key_version == f"{TRANSIT}-v11-1764000200"

    def test_another_key_under_an_old_name(self, registry: Rotating) -> None:
        say(registry, f"{LOCAL}-v1-aa", f"{LOCAL}-v2-bb", seq=5)
        refresh_kms_state(registry.ctx)
        say(registry, f"{LOCAL}-v1-aa", f"{LOCAL}-v2-cc", seq=6)
        self.refuses(registry, "another key under a name")

    def test_a_transit_key_made_anew(self, registry: Rotating) -> None:
        say(registry, f"{TRANSIT}-v1-1764000000")
        refresh_kms_state(registry.ctx)
        say(registry, f"{TRANSIT}-v1-1764000001")
        self.refuses(registry, "another key under a name")


class TestAccepted:
    @pytest.mark.parametrize(
        ("then", "seq"),
        [
            pytest.param((f"{LOCAL}-v1-aa", f"{TRANSIT}-v1-1764000000"), 5, id="to Transit, both at hand"),
            pytest.param((f"{TRANSIT}-v1-1764000000",), 0, id="to Transit, the file gone"),
            pytest.param(("keyVersions/local-ffffffff-v1-dd",), 1, id="to another local keyring"),
        ],
    )
    def test_a_migration(self, registry: Rotating, then: tuple[str, ...], seq: int) -> None:
        say(registry, f"{LOCAL}-v1-aa", seq=5)
        refresh_kms_state(registry.ctx)
        say(registry, *then, seq=seq)
        assert refresh_kms_state(registry.ctx)[1].primary_key_version == then[-1]

    def test_and_back(self, registry: Rotating) -> None:
        names = (f"{LOCAL}-v1-aa", f"{TRANSIT}-v1-1764000000")
        for primary in (*names, names[0]):
            say(registry, *(name for name in names if name != primary), primary, seq=5)
            assert refresh_kms_state(registry.ctx)[1].primary_key_version == primary

    def test_an_answer_that_was_overtaken(self, registry: Rotating) -> None:
        """Two ask at once; the slower one must not take the faster one's newer record for a rollback."""
        say(registry, f"{LOCAL}-v1-aa", seq=5)
        refresh_kms_state(registry.ctx)
        answers = iter(
            [(f"{LOCAL}-v1-aa", 4), (f"{LOCAL}-v1-aa", 5)],
        )
        change: Callable[[KeyringStatus], KeyringStatus] = registry.sidecar.keyring.change_status

        def overtaken(status: KeyringStatus) -> KeyringStatus:
            name, seq = next(answers)
            return replace(change(status), primary=name, accepted=(name,), seq=seq)

        registry.sidecar.keyring.change_status = overtaken
        assert refresh_kms_state(registry.ctx)[1].keyring_seq == 5
