"""The audit over the sockets: who is recorded, and what an administrator can read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from codevector.kms.v1 import key_admin_service_pb2 as admin_pb2
from codevector.kms.v1 import key_admin_service_pb2_grpc, key_management_service_pb2_grpc
from codevector.kms.v1 import key_management_service_pb2 as pb2

from kms.audit.log import AuditUnavailable
from kms.audit.sink import segments
from kms.formats import DekContext
from kms.rpc.refusals import RefusedCalls
from kms.rpc.roles import Role
from tests.support.servers.audits import AUDIT_KEY

Channels = dict[Role, grpc.Channel]


@pytest.fixture
def registry(channels: Channels) -> Any:
    return key_management_service_pb2_grpc.KeyManagementServiceStub(channels[Role.REGISTRY])


@pytest.fixture
def router(channels: Channels) -> Any:
    return key_management_service_pb2_grpc.KeyManagementServiceStub(channels[Role.ROUTER])


@pytest.fixture
def admin(channels: Channels) -> Any:
    return key_admin_service_pb2_grpc.KeyAdminServiceStub(channels[Role.ADMIN])


def wrap(registry: Any, count: int) -> list[pb2.WrappedDataKey]:
    items = [
        pb2.WrapItem(
            context=DekContext(b"\1" * 16, b"\2" * 16, number.to_bytes(16, "big"), 7).encode(),
            plaintext=bytes(32),
        )
        for number in range(count)
    ]
    answer = registry.BatchWrapDataKeys(pb2.BatchWrapDataKeysRequest(items=items), timeout=60)
    return [result.wrapped for result in answer.results]


def unwrap(router: Any, rows: list[pb2.WrappedDataKey]) -> Any:
    items = [pb2.UnwrapItem(wrapped=row) for row in rows]
    return router.BatchUnwrapDataKeys(pb2.BatchUnwrapDataKeysRequest(items=items), timeout=60)


def since(moment: datetime) -> admin_pb2.ListExposureRequest:
    request = admin_pb2.ListExposureRequest()
    request.since.FromDatetime(moment)
    return request


def only_file(tmp_path: Path) -> Path:
    [segment] = segments(tmp_path / "audit")
    return tmp_path / "audit" / segment.name


class TestPrincipal:
    def test_is_role_and_socket(self, registry: Any, router: Any, tmp_path: Path) -> None:
        unwrap(router, wrap(registry, 1))
        lines = [json.loads(line) for line in only_file(tmp_path).read_bytes().splitlines()]
        principals = [(line["event"], line["principal"]) for line in lines if "principal" in line]
        assert [(event, who.partition(":")[0]) for event, who in principals] == [
            ("wrap", "registry"),
            ("unwrap", "router"),
        ]
        assert all(who.endswith(".sock") for _, who in principals)

    def test_a_call_outside_its_role_is_written_down(self, registry: Any, tmp_path: Path) -> None:
        with pytest.raises(grpc.RpcError) as refused:
            unwrap(registry, wrap(registry, 1))
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        last = json.loads(only_file(tmp_path).read_bytes().splitlines()[-1])
        assert (last["event"], last["method"]) == (
            "refused",
            "codevector.kms.v1.KeyManagementService.BatchUnwrapDataKeys",
        )
        assert last["principal"].startswith("registry:")


class TestRefusals:
    CALLS = 500

    def flood(self, registry: Any, router: Any) -> None:
        """Calls of two methods that their roles may not make, and one that its role may."""
        rows = wrap(registry, 1)
        for number in range(self.CALLS):
            with pytest.raises(grpc.RpcError):
                unwrap(registry, rows)
            if number < 3:
                with pytest.raises(grpc.RpcError):
                    wrap(router, 1)
        unwrap(router, rows)

    def recorded(self, tmp_path: Path) -> list[tuple[str, str, int | None]]:
        lines = [json.loads(line) for line in only_file(tmp_path).read_bytes().splitlines()]
        return [
            (line["principal"].partition(":")[0], line["method"].rpartition(".")[2], line.get("count"))
            for line in lines
            if line["event"] == "refused"
        ]

    def logged(self, log: Path, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        found = [line for line in lines if line["event"] == event and line["level"] == "info"]
        return [line for line in found if line["code"] == "PERMISSION_DENIED"]

    def test_are_counted_and_every_line_verifies(
        self,
        registry: Any,
        router: Any,
        admin: Any,
        refusals: RefusedCalls,
        log: Path,
        tmp_path: Path,
    ) -> None:
        self.flood(registry, router)
        firsts = [("registry", "BatchUnwrapDataKeys", None), ("router", "BatchWrapDataKeys", None)]
        assert self.recorded(tmp_path) == firsts
        assert len(self.logged(log, "kms_call")) == 2
        refusals.tick()
        assert self.recorded(tmp_path) == firsts, "a minute has not passed"
        refusals.flush()
        counts = [
            (role, method, {"registry": self.CALLS - 1, "router": 2}[role]) for role, method, _ in firsts
        ]
        assert self.recorded(tmp_path) == [*firsts, *counts]
        assert [
            (line["role"], line["method"].rpartition(".")[2], line["reason"], line["count"])
            for line in self.logged(log, "kms_calls_refused")
        ] == [(role, method, "ROLE_REQUIRED", count) for role, method, count in counts]
        assert len(self.logged(log, "kms_call")) == 2
        assert admin.VerifyAudit(admin_pb2.VerifyAuditRequest()).intact
        exposed = admin.ListExposure(since(datetime(2026, 1, 1, tzinfo=UTC))).exposed_credentials
        assert [each.access_count for each in exposed] == [2], "the wrap and the unwrap"

    def test_that_the_audit_could_not_take_are_in_its_next_count(
        self, registry: Any, router: Any, refusals: RefusedCalls, tmp_path: Path
    ) -> None:
        place = only_file(tmp_path)
        away = place.with_name("away")
        place.rename(away)
        with pytest.raises(grpc.RpcError):
            wrap(router, 1)
        with pytest.raises(AuditUnavailable):
            refusals.flush()
        with pytest.raises(grpc.RpcError):
            wrap(router, 1)
        away.rename(place)
        refusals.flush()
        assert self.recorded(tmp_path) == [("router", "BatchWrapDataKeys", 2)]


class TestStatus:
    def test_tells_the_position(self, registry: Any, router: Any, admin: Any) -> None:
        before = registry.GetStatus(pb2.GetStatusRequest())
        unwrap(router, wrap(registry, 1))
        after = router.GetStatus(pb2.GetStatusRequest())
        assert (before.audit_seq, after.audit_seq) == (2, 4)
        verified = admin.VerifyAudit(admin_pb2.VerifyAuditRequest())
        assert (verified.audit_seq, verified.audit_head) == (after.audit_seq, after.audit_head)


class TestVerifyAudit:
    def test_whole(self, registry: Any, admin: Any) -> None:
        status = registry.GetStatus(pb2.GetStatusRequest())
        wrap(registry, 3)
        answer = admin.VerifyAudit(
            admin_pb2.VerifyAuditRequest(expected_seq=status.audit_seq, expected_head=status.audit_head)
        )
        assert answer.intact
        assert not answer.HasField("fault")
        assert (answer.first_seq, answer.audit_seq, answer.signed_seq) == (1, 3, 2)
        assert (answer.checkpoint_count, answer.repair_count) == (1, 0)
        assert answer.public_key == AUDIT_KEY.public_key

    def test_names_the_first_bad_line(self, registry: Any, admin: Any, tmp_path: Path) -> None:
        for _ in range(3):
            wrap(registry, 1)
        path = only_file(tmp_path)
        path.write_bytes(path.read_bytes().replace(b'"event":"wrap"', b'"event":"warp"', 1))
        answer = admin.VerifyAudit(admin_pb2.VerifyAuditRequest())
        assert not answer.intact
        assert (answer.fault.file, answer.fault.line, answer.fault.seq) == (path.name, 3, 3)
        assert answer.fault.reason == admin_pb2.AuditFault.REASON_CHAIN_BROKEN

    def test_a_cut_tail_shows_even_to_who_recorded_nothing(
        self, registry: Any, router: Any, admin: Any, tmp_path: Path
    ) -> None:
        unwrap(router, wrap(registry, 1))
        path = only_file(tmp_path)
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
        answer = admin.VerifyAudit(admin_pb2.VerifyAuditRequest())
        assert answer.fault.reason == admin_pb2.AuditFault.REASON_CUT_TAIL

    def test_a_recorded_position_of_another_audit(self, admin: Any) -> None:
        request = admin_pb2.VerifyAuditRequest(expected_seq=1, expected_head=bytes(32))
        fault = admin.VerifyAudit(request).fault
        assert (fault.reason, fault.line) == (admin_pb2.AuditFault.REASON_UNEXPECTED_HEAD, 1)

    @pytest.mark.parametrize(
        "request_", [{"expected_seq": 1}, {"expected_head": bytes(32)}, {"expected_seq": -1}], ids=str
    )
    def test_half_a_position_is_none(self, admin: Any, request_: dict[str, Any]) -> None:
        with pytest.raises(grpc.RpcError) as refused:
            admin.VerifyAudit(admin_pb2.VerifyAuditRequest(**request_))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    def test_gone(self, admin: Any, tmp_path: Path) -> None:
        only_file(tmp_path).unlink()
        answer = admin.VerifyAudit(admin_pb2.VerifyAuditRequest())
        assert answer.fault.reason == admin_pb2.AuditFault.REASON_CUT_TAIL


class TestListExposure:
    MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)

    def test_pages_through_what_a_router_was_given(self, registry: Any, router: Any, admin: Any) -> None:
        unwrap(router, wrap(registry, 5)[:3])
        request = since(self.MIDNIGHT)
        request.principal, request.page_size = "router", 2
        first = admin.ListExposure(request)
        request.page_token = first.next_page_token
        second = admin.ListExposure(request)
        told = [*first.exposed_credentials, *second.exposed_credentials]
        assert (len(first.exposed_credentials), second.next_page_token) == (2, "")
        assert [each.data_key_id[-1] for each in told] == ["0", "1", "2"]
        assert told[0].provider_uid == "02020202-0202-0202-0202-020202020202"
        assert (told[0].credential_version, told[0].access_count) == (7, 1)
        assert told[0].key_versions[0].startswith("keyVersions/local-")
        assert not first.HasField("audit_start_time"), "nothing before it is missing"

    def test_a_token_is_for_its_filter(self, registry: Any, admin: Any) -> None:
        wrap(registry, 3)
        request = since(self.MIDNIGHT)
        request.page_size = 1
        request.page_token = admin.ListExposure(request).next_page_token
        request.principal = "router"
        with pytest.raises(grpc.RpcError) as refused:
            admin.ListExposure(request)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    def test_since_is_required(self, admin: Any) -> None:
        with pytest.raises(grpc.RpcError) as refused:
            admin.ListExposure(admin_pb2.ListExposureRequest())
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    def test_nothing_since_then(self, registry: Any, admin: Any) -> None:
        wrap(registry, 3)
        assert not admin.ListExposure(since(datetime(2026, 11, 24, tzinfo=UTC))).exposed_credentials

    def test_says_when_the_audit_is_not_whole(self, registry: Any, admin: Any, tmp_path: Path) -> None:
        wrap(registry, 2)
        wrap(registry, 1)
        path = only_file(tmp_path)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
        answer = admin.ListExposure(since(self.MIDNIGHT))
        assert answer.fault.line == 3
        assert len(answer.exposed_credentials) == 1


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(253_402_300_800, 0), (-62_135_596_801, 0), (0, -1), (2**62, 0)]
)
def test_a_time_that_no_calendar_has_is_refused(admin: Any, seconds: int, nanos: int) -> None:
    request = admin_pb2.ListExposureRequest()
    request.since.seconds, request.since.nanos = seconds, nanos
    with pytest.raises(grpc.RpcError) as refused:
        admin.ListExposure(request)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "since: must lie between the years 1 and 9999"
