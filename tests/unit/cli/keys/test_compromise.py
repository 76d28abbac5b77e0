"""A case lists what was exposed and is closed only when none of it is in use."""

from __future__ import annotations

from pathlib import Path

import pytest
from codevector.kms.v1 import key_admin_service_pb2 as pb
from codevector.kms.v1.key_management_service_pb2 import KeyVersion

from tests.support.doubles.cli_doubles import AWAY, START, Bench


def expose(bench: Bench, *credentials: tuple[str, int]) -> None:
    answer = bench.made.exposure
    answer.audit_start_time.FromDatetime(START.replace(year=2025))
    for uid, version in credentials:
        exposed = answer.exposed_credentials.add(
            provider_uid=uid, credential_version=version, principals=["router:/run/r.sock"], access_count=3
        )
        exposed.first_time.FromDatetime(START)
        exposed.last_time.FromDatetime(START)


@pytest.fixture
def exposed(bench: Bench) -> Bench:
    expose(bench, ("uid-0001", 1), ("uid-0002", 1), ("uid-0003", 1), ("uid-gone", 1))
    return bench


def start(bench: Bench, *options: str) -> Path:
    told = bench.run("key", "compromise", "start", "--since", "36h", *options)
    assert told.code == 0, told.err
    (path,) = (bench.home / "receipts").glob("compromise-*.json")
    return path


def status(bench: Bench, case: Path) -> tuple[int, dict[str, str]]:
    told = bench.run("key", "compromise", "status", str(case), "-o", "json")
    return told.code, {each["provider_uid"]: each["use"] for each in told.data["exposed"]}


def test_lists_rotates_and_tracks_until_none_is_in_use(exposed: Bench) -> None:
    made = exposed.made
    case = start(exposed)
    assert {each.inner for each in made.wrappers.values()} == {"keyVersions/local-v2"}
    assert len(exposed.receipts()) == 1
    in_use = {f"uid-000{number}": "IN_USE" for number in (1, 2, 3)}
    assert status(exposed, case) == (1, {**in_use, "uid-gone": "PROVIDER_DELETED"})
    made.providers["providers/p0001"].credential.version = 2
    made.providers["providers/p0002"].ClearField("credential")
    code, found = status(exposed, case)
    assert (code, found["uid-0001"], found["uid-0002"]) == (1, "REPLACED", "REPLACED")
    del made.providers["providers/p0003"]
    code, found = status(exposed, case)
    assert (code, found["uid-0003"]) == (0, "PROVIDER_DELETED")


def test_the_audits_of_several_sidecars_are_one_list(exposed: Bench) -> None:
    further = str(exposed.home / "kms" / "router.sock")
    told = exposed.run("key", "compromise", "start", "--since", "36h", "--sidecar", further, "-o", "json")
    assert told.code == 0, told.err
    assert len(told.data["exposed"]) == 4
    assert {each["access_count"] for each in told.data["exposed"]} == {6}
    assert exposed.made.calls.count("ListExposure") == 2


def test_a_further_sidecar_that_is_away_is_no_empty_list(exposed: Bench) -> None:
    told = exposed.run("key", "compromise", "start", "--since", "36h", "--sidecar", "/none/admin.sock")
    assert told.code == 6
    assert len(exposed.made.versions) == 1


def test_holds_no_credential(exposed: Bench) -> None:
    assert b"prefix" not in start(exposed).read_bytes()


def test_an_audit_that_begins_too_late_means_everything(bench: Bench) -> None:
    expose(bench, ("uid-0001", 1))
    bench.made.exposure.audit_start_time.FromDatetime(START)
    told = bench.run("key", "compromise", "start", "--since", "36h", "-o", "json")
    assert told.code == 0, told.err
    assert (told.data["scope"], told.data["in_use_count"]) == ("ALL_STORED", 100)
    assert "every stored credential counts as exposed" in told.err


def test_a_broken_audit_means_everything(bench: Bench) -> None:
    expose(bench)
    bench.made.exposure.fault.CopyFrom(pb.AuditFault(reason=pb.AuditFault.REASON_CHAIN_BROKEN, line=7))
    told = bench.run("key", "compromise", "start", "--since", "36h", "-o", "json")
    assert told.data["in_use_count"] == 100


def test_stolen_keys_mean_everything_and_ask_no_audit(bench: Bench) -> None:
    told = bench.run("key", "compromise", "start", "--since", "36h", "--all", "-o", "json")
    assert told.data["in_use_count"] == 100
    assert "ListExposure" not in bench.made.calls


def test_a_pending_version_is_not_good_enough(exposed: Bench) -> None:
    """It was made before: whoever had the keyring has it too."""
    exposed.made.add_version(KeyVersion.STATE_PENDING)
    start(exposed)
    assert exposed.made.primary.name == "keyVersions/local-v3"


def test_run_again_after_a_kill_it_goes_on_with_the_same_case(exposed: Bench) -> None:
    made = exposed.made

    def away(_: int, name: str) -> None:
        if name == "RewrapDataKeys":
            raise AWAY

    made.before = away
    assert exposed.run("key", "compromise", "start", "--since", "36h").code == 6
    made.before = lambda number, name: None
    (case,) = (exposed.home / "receipts").glob("compromise-*.json")
    made.providers["providers/p0001"].credential.version = 2
    made.providers["providers/p0002"].credential.version = 2
    made.providers["providers/p0003"].credential.version = 2
    told = exposed.run("key", "compromise", "status", str(case))
    assert told.code == 1
    assert "has not been rotated" in told.err
    assert start(exposed) == case
    assert len(made.versions) == 2
    assert status(exposed, case)[0] == 0


def test_a_case_of_another_question_is_not_overwritten(exposed: Bench, tmp_path: Path) -> None:
    case = str(tmp_path / "case.json")
    assert exposed.run("key", "compromise", "start", "--since", "36h", "--case", case).code == 0
    told = exposed.run("key", "compromise", "start", "--since", "12h", "--case", case)
    assert told.code == 5


def test_a_changed_case_is_refused(exposed: Bench) -> None:
    case = start(exposed)
    case.write_bytes(case.read_bytes().replace(b"uid-0001", b"uid-0009"))
    told = exposed.run("key", "compromise", "status", str(case))
    assert told.code == 1
    assert "was changed" in told.err
