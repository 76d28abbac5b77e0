"""The doctor names what is sick, why, and what to do, and goes on where a server does not answer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from codevector.kms.v1 import key_admin_service_pb2 as pb
from codevector.kms.v1.key_management_service_pb2 import KeyVersion
from codevector.providers.v1 import provider_pb2
from codevector.providers.v1.system_service_pb2 import HistoryBreak, UnreadableRows

from cli.doctor import REMEDIES
from tests.support.doubles.cli_doubles import START, Bench, Wrapper


def findings(bench: Bench, *options: str) -> tuple[int, dict[str, tuple[str, str]]]:
    told = bench.run("doctor", "-o", "json", *options)
    return told.code, {each["subject"]: (each["level"], each["sentence"]) for each in told.data}


def test_all_is_well(bench: Bench) -> None:
    code, found = findings(bench)
    assert code == 0
    assert {level for level, _ in found.values()} == {"OK"}
    assert found["data keys"][1] == "all 100 open, match, and belong to their envelopes"


@pytest.mark.parametrize("reason", [*REMEDIES, "A_REASON_OF_NEXT_YEAR"])
def test_each_sick_row_has_a_reason_and_a_remedy(bench: Bench, reason: str) -> None:
    bench.made.wrappers["providers/p0042"].sick = reason
    code, found = findings(bench)
    assert code == 1
    level, sentence = found["providers/p0042"]
    assert level == "FAILED"
    assert reason in sentence
    assert len(sentence) > len(reason) + 20


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        (["credential"], "set its credential again"),
        (["config", "labels"], "delete it and create it again"),
    ],
    ids=["credential", "settings"],
)
def test_each_corrupt_resource_has_its_fields_and_a_remedy(
    bench: Bench, fields: list[str], remedy: str
) -> None:
    name = "providers/p0042"
    bench.made.providers[name] = provider_pb2.Provider(
        name=name, state=provider_pb2.Provider.STATE_CORRUPT, corrupt_fields=fields
    )
    code, found = findings(bench)
    assert code == 1
    assert found["stored resources"][0] == "FAILED"
    assert found[name] == ("FAILED", f"corrupt ({', '.join(fields)}): {remedy}")


def test_rows_without_a_resource_are_named_by_their_table(bench: Bench) -> None:
    bench.made.unreadable_rows = [UnreadableRows(table="sidecars", columns=["sidecars.audit_seq"])]
    code, found = findings(bench)
    assert code == 1
    assert found["stored resources"] == ("OK", "all can be read")
    assert found["table sidecars"] == (
        "FAILED",
        "rows that cannot be read are left out (sidecars.audit_seq): delete them by hand",
    )


def test_quarantined_rows(bench: Bench) -> None:
    bench.made.wrappers["providers/p0042"] = Wrapper("keyVersions/x", "", "WRAPPER_MALFORMED", 3)
    code, found = findings(bench)
    assert code == 1
    assert "data keys" in found


@pytest.mark.parametrize(
    ("subject", "change"),
    [
        ("installation", {"deployment_id": "02" * 16}),
        ("registry to sidecar", {"healthy": False}),
        ("wrapping", {"healthy": False}),
        ("keyring", {"keyring_seq": 0}),
    ],
)
def test_what_does_not_fit_together(bench: Bench, subject: str, change: dict[str, object]) -> None:
    for name, value in change.items():
        setattr(bench.made, name, value)
    code, found = findings(bench)
    assert code == 1
    assert found[subject][0] == "FAILED"


def test_clocks_apart(bench: Bench) -> None:
    def late(_: int, name: str) -> None:
        bench.made.clock.now = START - timedelta(minutes=1 if name == "GetStatus" else 0)

    def back(_: int, __: str) -> None:
        bench.made.clock.now = START

    bench.made.before, bench.made.after = late, back
    code, found = findings(bench)
    assert code == 1
    assert found["sidecar's clock"] == ("FAILED", "-60.0 s from this one: set the clocks right")


@pytest.mark.parametrize(("count", "end"), [(1, "check what is stored"), (3, "(3 breaks since it started)")])
def test_a_history_that_was_lost(bench: Bench, count: int, end: str) -> None:
    bench.made.break_count = count
    bench.made.last_break = HistoryBreak(notice_time=START, lost_revision=57, revision=54)
    code, found = findings(bench)
    level, sentence = found["history"]
    assert (code, level) == (0, "NOTE")
    assert f"{START:%Y-%m-%d %H:%M:%S}Z: revision 57 is no longer in the database" in sentence
    assert "went on at 54" in sentence
    assert sentence.endswith(end)


def test_few_open_files(bench: Bench) -> None:
    bench.made.open_files = 4096
    code, found = findings(bench)
    level, sentence = found["open files"]
    assert (code, level) == (0, "NOTE")
    assert "takes 3896 connections of routers and tools, since it may have 4096 files open" in sentence


def test_a_cut_audit(bench: Bench) -> None:
    fault = pb.AuditFault(reason=pb.AuditFault.REASON_CUT_TAIL, file="a", line=3, seq=3, description="cut")
    bench.made.audit = pb.VerifyAuditResponse(fault=fault)
    code, found = findings(bench)
    assert code == 1
    assert found["audit"] == ("FAILED", "a line 3 (number 3): CUT_TAIL: cut")


def test_a_scheduled_destruction_is_worth_a_note(bench: Bench) -> None:
    version = bench.made.add_version(KeyVersion.STATE_DESTROY_SCHEDULED)
    version.destroy_time.FromDatetime(START + timedelta(days=9))
    code, found = findings(bench)
    assert code == 0
    assert found["local-v2"][0] == "NOTE"


def test_without_a_registry_the_sidecar_is_still_looked_at(bench: Bench) -> None:
    code, found = findings(bench, "--server", "127.0.0.1:1")
    assert code == 1
    assert found["registry"][0] == "FAILED"
    assert found["admin socket"][0] == "OK"
    assert bench.made.expected_audits == [(0, b"")]


def test_without_a_sidecar_the_registry_is_still_looked_at(bench: Bench) -> None:
    options = [
        part for role in ("admin", "registry", "router") for part in (f"--{role}-socket", f"/none/{role}")
    ]
    code, found = findings(bench, *options)
    assert code == 1
    assert found["data keys"][0] == "OK"
    assert "the socket does not exist" in found["admin socket"][1]


def test_another_release_deserves_a_look(bench: Bench) -> None:
    assert findings(bench)[1]["version"][0] == "OK"
    bench.made.release = "9.9.9"
    code, found = findings(bench)
    assert code == 0
    assert found["version"][0] == "NOTE"
    assert "the registry is 9.9.9, this command " in found["version"][1]
