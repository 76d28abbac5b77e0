"""What the other commands of ``providerctl key`` print, and with which exit code."""

from __future__ import annotations

import json

import pytest
from codevector.kms.v1 import key_admin_service_pb2 as pb
from codevector.kms.v1.key_management_service_pb2 import KeyVersion
from google.rpc import code_pb2

from tests.support.doubles.cli_doubles import AWAY, START, Bench, Refused, Wrapper

V1, V2 = "keyVersions/local-v1", "keyVersions/local-v2"


class TestStatus:
    def test_plain(self, bench: Bench) -> None:
        told = bench.run("key", "status")
        assert told.code == 0
        assert "primary: local-v1\n" in told.out
        assert "local-v1\tPRIMARY\t100\t2026-04-15 08:00:00Z" in told.out
        assert told.err == ""

    def test_json(self, bench: Bench) -> None:
        data = bench.run("key", "status", "-o", "json").data
        assert data["encryption"]["dataKeyCount"] == "100"
        assert data["encryption"]["quarantined"] == []
        assert data["keyVersions"][0]["state"] == "STATE_PRIMARY"
        assert data["sidecar"]["backend"] == "BACKEND_LOCAL_KEYRING"

    def test_without_the_sidecars_sockets(self, bench: Bench) -> None:
        told = bench.run("key", "status", "--admin-socket", "/none/a", "--registry-socket", "/none/r")
        assert told.code == 0
        assert "local-v1\t\t100" in told.out
        assert "key versions are not shown: admin socket /none/a: the socket does not exist" in told.err

    def test_quarantined(self, bench: Bench) -> None:
        bench.made.wrappers["providers/p0001"] = Wrapper("keyVersions/x", "", "WRAPPER_MALFORMED", 3)
        told = bench.run("key", "status")
        assert "sweep: BLOCKED" in told.out
        assert "providers/p0001\tWRAPPER_MALFORMED\tx\t3" in told.out


class TestVersions:
    def test_a_whole_life(self, bench: Bench) -> None:
        def run(*arguments: str) -> str:
            told = bench.run("key", *arguments, "-o", "json")
            assert told.code == 0, told.err
            return str(told.data["state"]).removeprefix("STATE_")

        assert run("create") == "PENDING"
        assert run("activate", V2) == "PRIMARY"
        assert run("disable", V1, "--confirm-unreferenced") == "DISABLED"
        assert run("enable", V1) == "DECRYPT_ONLY"
        assert run("disable", "local-v1", "--confirm-unreferenced") == "DISABLED"
        assert run("schedule-destroy", V1, "--delay", "45d") == "DESTROY_SCHEDULED"
        assert bench.made.version(V1).destroy_time.ToDatetime().strftime("%Y-%m-%d") == "2026-05-30"
        assert run("cancel-destroy", V1) == "DISABLED"
        listed = bench.run("key", "list", "-o", "json").data
        assert [each["name"] for each in listed] == [V1, V2]

    def test_disable_says_what_it_would_do(self, bench: Bench) -> None:
        told = bench.run("key", "disable", V1)
        assert told.code == 2
        assert "use `key retire`" in told.err
        assert bench.made.calls == []

    def test_create_twice_with_one_request_is_one_version(self, bench: Bench) -> None:
        request = "6f1f4f5e-3c63-4d4e-9f57-0d1f5b1f3a11"
        for _ in range(2):
            told = bench.run("key", "create", "--request-id", request, "--expected-latest", V1, "-o", "json")
            assert told.data["name"] == V2
        assert len(bench.made.versions) == 2

    def test_create_against_another_newest(self, bench: Bench) -> None:
        told = bench.run("key", "create", "--expected-latest", "local-v7", "-v")
        assert told.code == 5
        assert "reason: CONFLICT" in told.err
        assert f"current_latest: {V1}" in told.err
        assert "request: " in told.err

    def test_an_unknown_version(self, bench: Bench) -> None:
        assert bench.run("key", "activate", "local-v7").code == 3

    @pytest.mark.parametrize("delay", ["soon", "30", "-1d"])
    def test_a_delay_that_is_none(self, bench: Bench, delay: str) -> None:
        assert bench.run("key", "schedule-destroy", V1, f"--delay={delay}").code == 2


class TestRewrap:
    def test_moves_all(self, bench: Bench) -> None:
        bench.made.primary.state = KeyVersion.STATE_DECRYPT_ONLY
        bench.made.add_version(KeyVersion.STATE_PRIMARY)
        told = bench.run("key", "rewrap", "-o", "json")
        assert told.code == 0, told.err
        assert told.data == {
            "primaryKeyVersion": V2,
            "rewrappedCount": "100",
            "remainingCount": "0",
            "quarantinedCount": "0",
        }

    def test_quarantined_is_no_success(self, bench: Bench) -> None:
        bench.made.wrappers["providers/p0001"] = Wrapper("keyVersions/x", "", "WRAPPER_MALFORMED")
        told = bench.run("key", "rewrap")
        assert told.code == 1
        assert "providers/p0001: WRAPPER_MALFORMED under x" in told.err

    def test_a_sweep_that_does_not_move_is_given_up(self, bench: Bench) -> None:
        stuck = bench.made.wrappers["providers/p0001"]

        def fail(_: int, __: str) -> None:
            stuck.row, stuck.sick, stuck.failed = "keyVersions/x", "KMS_UNAVAILABLE", 0

        bench.made.before = fail
        told = bench.run("key", "rewrap")
        assert told.code == 1
        assert "nothing has moved for a minute" in told.err


class TestVerify:
    def test_all_sound(self, bench: Bench) -> None:
        told = bench.run("key", "verify", "-o", "json")
        assert told.code == 0
        assert told.data == {
            "verifiedCount": "100",
            "failedCount": "0",
            "usage": [{"keyVersion": V1, "dataKeyCount": "100"}],
            "failures": [],
            "nextPageToken": "",
        }

    def test_a_sick_one_on_the_last_page(self, bench: Bench) -> None:
        bench.made.wrappers["providers/p0099"].sick = "CONTEXT_MISMATCH"
        told = bench.run("key", "verify")
        assert told.code == 1
        assert "providers/p0099\tCONTEXT_MISMATCH\tlocal-v1" in told.out


class TestAudit:
    def test_intact_against_what_the_registry_recorded(self, bench: Bench) -> None:
        told = bench.run("key", "audit", "verify")
        assert told.code == 0
        assert "audit: intact" in told.out
        assert bench.made.expected_audits == [(8, b"g" * 32)]

    def test_alone(self, bench: Bench) -> None:
        assert bench.run("key", "audit", "verify", "--alone").code == 0
        assert bench.made.expected_audits == [(0, b"")]
        assert "GetEncryptionStatus" not in bench.made.calls

    def test_names_the_first_bad_line(self, bench: Bench) -> None:
        fault = pb.AuditFault(
            reason=pb.AuditFault.REASON_CHAIN_BROKEN,
            file="audit-000001.jsonl",
            line=17,
            seq=1017,
            description="a line is missing",
        )
        bench.made.audit = pb.VerifyAuditResponse(intact=False, fault=fault)
        told = bench.run("key", "audit", "verify")
        assert told.code == 1
        assert "audit-000001.jsonl line 17 (number 1017): CHAIN_BROKEN: a line is missing" in told.err

    def test_exposure_names_the_providers(self, bench: Bench) -> None:
        answer = bench.made.exposure
        answer.audit_start_time.FromDatetime(START.replace(year=2025))
        for uid in ("uid-0001", "uid-gone"):
            answer.exposed_credentials.add(provider_uid=uid, credential_version=1, principals=["router:x"])
        told = bench.run("key", "audit", "exposure", "--since", "2026-04-01")
        assert told.code == 0, told.err
        rows = [line.split("\t")[:3] for line in told.out.splitlines()[1:]]
        assert rows == [["providers/p0001", "1", "router:x"], ["deleted (uid-gone)", "1", "router:x"]]

    def test_exposure_that_may_lack_some_is_no_success(self, bench: Bench) -> None:
        bench.made.exposure.audit_start_time.FromDatetime(START)
        told = bench.run("key", "audit", "exposure", "--since", "2026-04-01", "-o", "json")
        assert told.code == 1
        assert told.data == []
        assert "may be incomplete" in told.err


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (code_pb2.INVALID_ARGUMENT, 2),
        (code_pb2.NOT_FOUND, 3),
        (code_pb2.UNAUTHENTICATED, 4),
        (code_pb2.PERMISSION_DENIED, 4),
        (code_pb2.ABORTED, 5),
        (code_pb2.ALREADY_EXISTS, 5),
        (code_pb2.FAILED_PRECONDITION, 5),
        (code_pb2.UNAVAILABLE, 6),
        (code_pb2.DATA_LOSS, 1),
        (code_pb2.INTERNAL, 1),
    ],
)
def test_exit_codes(bench: Bench, status: int, code: int) -> None:
    def refuse(_: int, __: str) -> None:
        raise Refused(status, "SOME_REASON", "it is so")

    bench.made.before = refuse
    told = bench.run("key", "list")
    assert told.code == code
    assert told.out == ""
    assert "it is so\n  reason: SOME_REASON\n  request: " in told.err


def test_output_is_one_json_document_even_when_it_fails(bench: Bench) -> None:
    bench.made.wrappers["providers/p0001"].sick = "CONTEXT_MISMATCH"
    told = bench.run("key", "verify", "-o", "json")
    assert told.code == 1
    assert json.loads(told.out)["failedCount"] == "1"


def test_quiet_says_nothing_but_errors(bench: Bench) -> None:
    assert bench.run("key", "rotate", "-q").err == ""

    def away(_: int, __: str) -> None:
        raise AWAY

    bench.made.before = away
    assert bench.run("key", "list", "-q").err != ""
