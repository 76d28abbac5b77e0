"""A rotation ends with everything under one version and a proof, whatever happened on the way."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from codevector.kms.v1.key_management_service_pb2 import KeyVersion
from google.rpc import code_pb2

from tests.support.doubles.cli_doubles import AWAY, Bench, Installation, Refused, Wrapper

V1, V2, V3 = (f"keyVersions/local-v{number}" for number in (1, 2, 3))
CALLS = 14
"""Of one undisturbed rotation."""


def under(made: Installation) -> set[str]:
    return {each.inner for each in made.wrappers.values()}


class TestUndisturbed:
    def test_moves_everything_and_writes_a_receipt(self, bench: Bench) -> None:
        made = bench.made
        told = bench.run("key", "rotate")
        assert told.code == 0, told.err
        assert under(made) == {V2}
        assert made.primary.name == V2
        (path,) = bench.receipts()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        receipt = json.loads(path.read_bytes())
        assert (receipt["previous_primary_key_version"], receipt["new_key_version"]) == (V1, V2)
        assert receipt["data_keys"] == {
            "count_before": 100,
            "usage_before": {V1: 100},
            "count_after": 100,
            "usage_after": {V2: 100},
            "verified_count": 100,
            "failed_count": 0,
            "left_behind_count": 0,
            "quarantined_count": 0,
        }
        assert receipt["provider_rows"]["comparison"] == "EQUAL"
        assert "not moved: 0" in told.out
        assert sorted(os.listdir(bench.home / "receipts")) == [".rotation.lock", path.name]

    def test_prints_the_receipt_itself_as_json(self, bench: Bench, tmp_path: Path) -> None:
        told = bench.run("key", "rotate", "-o", "json", "--receipt", str(tmp_path / "mine.json"))
        assert told.data == json.loads((tmp_path / "mine.json").read_bytes())
        assert bench.receipts() == []

    def test_twice_is_two_rotations(self, bench: Bench) -> None:
        assert bench.run("key", "rotate").code == 0
        bench.made.clock.elapsed += 5
        assert bench.run("key", "rotate").code == 0
        assert under(bench.made) == {V3}
        assert len(bench.receipts()) == 2

    def test_works_before_the_first_credential(self, bench: Bench) -> None:
        bench.made.wrappers.clear()
        bench.made.recorded = bench.made.deployment_id = ""
        told = bench.run("key", "rotate")
        assert told.code == 0, told.err
        assert bench.made.primary.name == V2


@pytest.mark.parametrize("number", range(1, CALLS + 1))
@pytest.mark.parametrize("moment", ["before", "after"])
class TestCutOff:
    """From the n-th call on nobody answers any more, before or after that call had its effect."""

    def test_the_next_run_finishes_it(self, bench: Bench, number: int, moment: str) -> None:
        made = bench.made

        def away(at: int, _: str) -> None:
            if at >= number:
                raise AWAY

        setattr(made, moment, away)
        first = bench.run("key", "rotate")
        assert first.code == 6
        setattr(made, moment, lambda at, name: None)
        told = bench.run("key", "rotate")
        assert told.code == 0, told.err
        assert [each.name for each in made.versions] == [V1, V2], "another rotation was begun"
        assert under(made) == {V2}
        (path,) = bench.receipts()
        assert json.loads(path.read_bytes())["data_keys"]["left_behind_count"] == 0
        assert not (bench.home / "receipts" / "rotation-under-way.json").exists()


class TestAway:
    def test_a_moment_is_waited_out(self, bench: Bench) -> None:
        seen: list[str] = []

        def once_each(_: int, name: str) -> None:
            if name not in seen and name not in ("ListKeyVersions", "GetEncryptionStatus"):
                seen.append(name)
                raise AWAY

        bench.made.before = once_each
        told = bench.run("key", "rotate")
        assert told.code == 0, told.err
        assert seen == [
            "DigestProviders",
            "CreateKeyVersion",
            "ActivateKeyVersion",
            "RewrapDataKeys",
            "VerifyDataKeys",
        ]

    def test_nobody_there_at_all_is_told_at_once(self, bench: Bench) -> None:
        def away(_: int, __: str) -> None:
            raise AWAY

        bench.made.before = away
        assert bench.run("key", "rotate").code == 6
        assert bench.made.clock.slept == []

    def test_a_registry_that_follows_another_primary(self, bench: Bench) -> None:
        bench.made.notices = False
        told = bench.run("key", "rotate")
        assert told.code == 5
        assert "its primary version is local-v1" in told.err
        bench.made.notices = True
        assert bench.run("key", "rotate").code == 0
        assert len(bench.made.versions) == 2


class TestNeverSuccessWithAnythingLeft:
    def test_quarantined(self, bench: Bench) -> None:
        made = bench.made
        made.wrappers["providers/p0003"].sick = "CREDENTIAL_CORRUPT"
        told = bench.run("key", "rotate")
        assert told.code == 1
        assert "1 data keys could not be moved in three attempts" in told.err
        assert "providers/p0003: CREDENTIAL_CORRUPT" in told.err
        assert bench.receipts() == []
        assert bench.run("key", "rotate").code == 1, "a second run must not begin another rotation"
        made.wrappers["providers/p0003"].sick = ""
        assert bench.run("key", "rotate").code == 1
        told = bench.run("key", "rotate", "--release-quarantined")
        assert told.code == 0, told.err
        assert under(made) == {V2}
        assert len(made.versions) == 2

    def test_a_row_that_lies_about_its_wrapper(self, bench: Bench) -> None:
        def lies(_: int, name: str) -> None:
            if name == "VerifyDataKeys":
                bench.made.wrappers["providers/p0050"].inner = V1

        bench.made.before = lies
        told = bench.run("key", "rotate")
        assert told.code == 1
        assert "1 wrapped keys name another key version than local-v2" in told.err
        assert bench.receipts() == []

    def test_a_data_key_that_does_not_open(self, bench: Bench) -> None:
        def breaks(_: int, name: str) -> None:
            if name == "VerifyDataKeys":
                bench.made.wrappers["providers/p0050"].sick = "ENVELOPE_MISMATCH"

        bench.made.before = breaks
        told = bench.run("key", "rotate")
        assert told.code == 1
        assert "providers/p0050: ENVELOPE_MISMATCH" in told.err
        assert bench.receipts() == []

    def test_provider_rows_that_changed_without_a_revision(self, bench: Bench) -> None:
        def edits(_: int, name: str) -> None:
            if name == "RewrapDataKeys":
                bench.made.rows = b"edited by hand"

        bench.made.before = edits
        told = bench.run("key", "rotate")
        assert told.code == 1
        assert "somebody changed the database itself" in told.err
        (path,) = bench.receipts()
        assert bench.run("key", "receipt", "check", str(path), "--offline").code == 1

    def test_provider_rows_that_others_changed_meanwhile_are_no_fault(self, bench: Bench) -> None:
        def writes(_: int, name: str) -> None:
            if name == "RewrapDataKeys":
                bench.made.rows, bench.made.revision = b"new", 8
                bench.made.wrappers["providers/new"] = Wrapper(V2, V2)

        bench.made.before = writes
        told = bench.run("key", "rotate", "-o", "json")
        assert told.code == 0, told.err
        assert told.data["provider_rows"]["comparison"] == "REVISION_MOVED"
        assert told.data["data_keys"]["count_after"] == 101


class TestWhatIsThereAlready:
    def test_a_pending_version_is_taken(self, bench: Bench) -> None:
        bench.made.add_version(KeyVersion.STATE_PENDING)
        told = bench.run("key", "rotate", "-o", "json")
        assert told.code == 0, told.err
        assert told.data["origin"] == "PENDING"
        assert under(bench.made) == {V2}

    def test_a_rotation_made_outside_is_finished(self, bench: Bench) -> None:
        made = bench.made
        made.primary.state = KeyVersion.STATE_DECRYPT_ONLY
        made.add_version(KeyVersion.STATE_PRIMARY)
        told = bench.run("key", "rotate", "-o", "json")
        assert told.code == 0, told.err
        assert told.data["origin"] == "UNDER_WAY"
        assert "run again for a new version" in told.err
        assert under(made) == {V2}
        assert len(made.versions) == 2

    def test_a_journal_that_was_overtaken_is_dropped(self, bench: Bench) -> None:
        made = bench.made
        made.before = cut_off_at("RewrapDataKeys")
        assert bench.run("key", "rotate").code == 6
        made.before = lambda number, name: None
        made.primary.state = KeyVersion.STATE_DECRYPT_ONLY
        made.add_version(KeyVersion.STATE_PRIMARY)
        told = bench.run("key", "rotate")
        assert told.code == 0, told.err
        assert "was overtaken" in told.err
        assert under(made) == {V3}

    def test_a_journal_of_another_installation_is_refused(self, bench: Bench) -> None:
        bench.made.before = cut_off_at("RewrapDataKeys")
        assert bench.run("key", "rotate").code == 6
        bench.made.before = lambda number, name: None
        bench.made.deployment_id = "02" * 16
        told = bench.run("key", "rotate")
        assert told.code == 5
        assert "another installation" in told.err

    def test_a_journal_that_is_none_is_not_overwritten(self, bench: Bench) -> None:
        journal = bench.home / "receipts" / "rotation-under-way.json"
        journal.parent.mkdir()
        journal.write_text('{"format": "something else"}')
        told = bench.run("key", "rotate")
        assert told.code == 1
        assert "move it away" in told.err
        assert len(bench.made.versions) == 1


class TestVault:
    def test_what_is_created_is_primary_at_once(self, bench: Bench) -> None:
        bench.made.vault = True
        told = bench.run("key", "rotate")
        assert told.code == 0, told.err
        assert under(bench.made) == {V2}

    def test_a_request_that_the_sidecar_forgot_is_not_made_twice(self, bench: Bench) -> None:
        """The answer was lost, and the sidecar that remembered the request was restarted."""
        made = bench.made
        made.vault = True
        made.after = cut_off_at("CreateKeyVersion")
        assert bench.run("key", "rotate").code == 6
        made.after = lambda number, name: None
        made.requests.clear()
        told = bench.run("key", "rotate")
        assert told.code == 0, told.err
        assert [each.name for each in made.versions] == [V1, V2]

    def test_the_newest_of_the_keyring_that_wraps_need_not_be_the_newest_of_all(self, bench: Bench) -> None:
        made = bench.made
        asked: list[int] = []

        def other_keyring(number: int, name: str) -> None:
            if name == "CreateKeyVersion" and not asked:
                asked.append(number)
                raise Refused(code_pb2.ABORTED, "CONFLICT", "the newest is another", current_latest=V1)

        made.before = other_keyring
        told = bench.run("key", "rotate")
        assert told.code == 0, told.err
        assert under(made) == {V2}

    def test_somebody_else_was_faster(self, bench: Bench) -> None:
        made = bench.made

        def faster(_: int, name: str) -> None:
            if name == "CreateKeyVersion" and len(made.versions) == 1:
                made.add_version(KeyVersion.STATE_PENDING)

        made.before = faster
        told = bench.run("key", "rotate")
        assert told.code == 5
        assert "reason: CONFLICT" in told.err


def test_two_at_once_are_refused(bench: Bench) -> None:
    inner: list[int] = []

    def second(_: int, name: str) -> None:
        if name == "CreateKeyVersion":
            inner.append(bench.run("key", "rotate").code)

    bench.made.before = second
    assert bench.run("key", "rotate").code == 0
    assert inner == [5]


def test_the_number_of_calls_is_what_the_crash_points_cover(bench: Bench) -> None:
    assert bench.run("key", "rotate").code == 0
    assert len(bench.made.calls) == CALLS


def cut_off_at(method: str) -> Callable[[int, str], None]:
    """From that method on nobody answers."""

    def away(_: int, name: str) -> None:
        if name == method:
            raise AWAY

    return away
