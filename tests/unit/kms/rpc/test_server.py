"""What every call has: a request id, a size limit, a boundary for bugs, a clean log."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from codevector.kms.v1 import key_admin_service_pb2 as admin_pb2
from codevector.kms.v1 import key_admin_service_pb2_grpc, key_management_service_pb2_grpc
from codevector.kms.v1 import key_management_service_pb2 as pb2
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status

from kms.formats import DekContext
from kms.keyring import Keyring, KeyVersions
from kms.rpc.roles import Role
from runtime.reflection import VERSIONS
from tests.support.servers.harness import wait_until
from tests.unit.kms.rpc.conftest import CONNECTIONS

CANARY = b"canary-canary-canary-canary-cana"
CONTEXT = DekContext(b"\1" * 16, b"\2" * 16, b"\3" * 16, 1).encode()

OWN = [("grpc.use_local_subchannel_pool", 1)]
"""For a channel with a connection of its own."""

Channels = dict[Role, grpc.Channel]


@pytest.fixture
def registry(channels: Channels) -> key_management_service_pb2_grpc.KeyManagementServiceStub:
    return key_management_service_pb2_grpc.KeyManagementServiceStub(channels[Role.REGISTRY])


@pytest.fixture
def admin(channels: Channels) -> key_admin_service_pb2_grpc.KeyAdminServiceStub:
    return key_admin_service_pb2_grpc.KeyAdminServiceStub(channels[Role.ADMIN])


def trailers(call: Any) -> dict[str, str]:
    return dict(call.trailing_metadata())


class TestRequestId:
    def test_is_echoed(self, registry: Any) -> None:
        _, call = registry.GetStatus.with_call(pb2.GetStatusRequest(), metadata=[("x-request-id", "r-1")])
        assert trailers(call)["x-request-id"] == "r-1"

    def test_is_made_where_absent_or_malformed(self, registry: Any) -> None:
        _, call = registry.GetStatus.with_call(pb2.GetStatusRequest(), metadata=[("x-request-id", "a b")])
        assert len(trailers(call)["x-request-id"]) == 36

    def test_comes_with_an_error_too(self, registry: Any) -> None:
        with pytest.raises(grpc.RpcError) as refused:
            registry.BatchWrapDataKeys(pb2.BatchWrapDataKeysRequest(), metadata=[("x-request-id", "r-2")])
        assert trailers(refused.value)["x-request-id"] == "r-2"


class TestRefusals:
    def test_shape_names_each_field_and_never_a_value(self, registry: Any) -> None:
        items = [pb2.WrapItem(context=b"c", plaintext=b"canary"), pb2.WrapItem(plaintext=bytes(32))]
        with pytest.raises(grpc.RpcError) as refused:
            registry.BatchWrapDataKeys(pb2.BatchWrapDataKeysRequest(items=items))
        assert isinstance(refused.value, grpc.Call)
        status = rpc_status.from_call(refused.value)
        assert status is not None
        detail = error_details_pb2.BadRequest()
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert status.details[1].Unpack(detail)
        assert [(each.field, each.reason) for each in detail.field_violations] == [
            ("items[0].plaintext", "bytes.len"),
            ("items[1].context", "required"),
        ]
        assert b"canary" not in status.SerializeToString()

    @pytest.mark.parametrize("count", [0, 257])
    def test_a_batch_has_its_limits(self, registry: Any, count: int) -> None:
        items = [pb2.WrapItem(context=CONTEXT, plaintext=bytes(32))] * count
        with pytest.raises(grpc.RpcError) as refused:
            registry.BatchWrapDataKeys(pb2.BatchWrapDataKeysRequest(items=items))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    def test_a_message_over_a_mebibyte_is_refused(self, registry: Any) -> None:
        items = [pb2.WrapItem(context=bytes(1 << 21), plaintext=bytes(32))]
        with pytest.raises(grpc.RpcError) as refused:
            registry.BatchWrapDataKeys(pb2.BatchWrapDataKeysRequest(items=items))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    @pytest.mark.parametrize(
        ("role", "code"),
        [
            (Role.REGISTRY, grpc.StatusCode.INVALID_ARGUMENT),
            (Role.ROUTER, grpc.StatusCode.PERMISSION_DENIED),
        ],
    )
    def test_bytes_that_are_no_request(
        self, channels: Channels, log: Path, role: Role, code: grpc.StatusCode
    ) -> None:
        """The caller is at fault, not the sidecar; and the role comes first."""
        wrap: Any = channels[role].unary_unary("/codevector.kms.v1.KeyManagementService/BatchWrapDataKeys")
        with pytest.raises(grpc.RpcError) as refused:
            wrap(b"\x0a\x7f" + CANARY)
        assert refused.value.code() is code
        assert isinstance(refused.value, grpc.Call)
        status = rpc_status.from_call(refused.value)
        assert status is not None
        assert b"canary" not in status.SerializeToString()
        assert "canary" not in log.read_text()

    def test_a_bug_tells_the_caller_only_its_request_id(
        self, registry: Any, keyring: Keyring, monkeypatch: pytest.MonkeyPatch, log: Path
    ) -> None:
        def broken(*_: object) -> None:
            raise ValueError(CANARY.decode())

        monkeypatch.setattr(keyring, "wrap", broken)
        request = pb2.BatchWrapDataKeysRequest(items=[pb2.WrapItem(context=CONTEXT, plaintext=CANARY)])
        with pytest.raises(grpc.RpcError) as refused:
            registry.BatchWrapDataKeys(request, metadata=[("x-request-id", "r-3")])
        assert refused.value.code() is grpc.StatusCode.INTERNAL
        assert "canary" not in str(refused.value.details())
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        failure = next(line for line in lines if line["event"] == "kms_call_failed")
        assert (failure["request_id"], failure["error"]) == ("r-3", "ValueError")
        assert "broken" in str(failure["stack"])
        assert "canary" not in log.read_text()


class TestPages:
    def test_walks_all_versions_oldest_first(self, admin: Any, versions: KeyVersions) -> None:
        for number in range(4):
            admin.CreateKeyVersion(
                admin_pb2.CreateKeyVersionRequest(
                    request_id=f"00000000-0000-4000-8000-00000000000{number}",
                    expected_latest=versions.list_versions()[-1].name,
                )
            )
        names: list[str] = []
        token = ""
        while True:
            page = admin.ListKeyVersions(admin_pb2.ListKeyVersionsRequest(page_size=2, page_token=token))
            names += [version.name for version in page.key_versions]
            token = page.next_page_token
            if not token:
                break
        assert names == [version.name for version in versions.list_versions()]

    def test_refuses_a_foreign_token(self, admin: Any) -> None:
        with pytest.raises(grpc.RpcError) as refused:
            admin.ListKeyVersions(admin_pb2.ListKeyVersionsRequest(page_token="AAAA"))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


class TestStatus:
    def test_tells_release_time_and_identity(self, registry: Any) -> None:
        status = registry.GetStatus(pb2.GetStatusRequest())
        assert status.version == "1.2.3"
        assert status.backend == pb2.GetStatusResponse.BACKEND_LOCAL_KEYRING
        assert status.deployment_id == "01" * 16
        assert status.server_time.ToJsonString() == "2026-11-23T00:00:00Z"
        assert status.wrap_healthy
        assert status.unwrap_healthy


class TestReflection:
    @pytest.mark.parametrize("service", VERSIONS)
    @pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
    def test_both_versions_on_every_socket(self, channels: Channels, role: Role, service: str) -> None:
        ask = channels[role].stream_stream(
            f"/{service}/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        symbol = "codevector.kms.v1.KeyManagementService.GetStatus"
        requests = [
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol),
            reflection_pb2.ServerReflectionRequest(list_services=""),
        ]
        described, listed = ask(iter(requests), timeout=60)
        assert described.file_descriptor_response.file_descriptor_proto
        names = {each.name for each in listed.list_services_response.service}
        assert {"codevector.kms.v1.KeyManagementService", "grpc.health.v1.Health", *VERSIONS} < names

    def test_streams_that_ask_nothing_hold_up_no_call(self, channels: Channels) -> None:
        """Eight would have all threads of the role."""
        channel = channels[Role.ROUTER]
        ask = channel.stream_stream(
            f"/{VERSIONS[0]}/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        done = threading.Event()

        def silence() -> Iterator[reflection_pb2.ServerReflectionRequest]:
            done.wait()
            yield from ()

        streams = [ask(silence(), timeout=60) for _ in range(20)]
        try:
            router = key_management_service_pb2_grpc.KeyManagementServiceStub(channel)
            for _ in range(3):
                assert router.GetStatus(pb2.GetStatusRequest(), timeout=30).unwrap_healthy
            assert all(stream.is_active() for stream in streams)
        finally:
            for stream in streams:
                stream.cancel()
            done.set()


def test_silent_connections_to_one_socket_leave_the_others_alone(
    channels: Channels, places: dict[Role, Path]
) -> None:
    status = pb2.GetStatusRequest()
    with ExitStack() as stack:

        def connect_silently() -> None:
            for _ in range(2 * CONNECTIONS):
                silent = stack.enter_context(socket.socket(socket.AF_UNIX))
                silent.connect(str(places[Role.ROUTER]))

        def is_served(role: Role) -> bool:
            with grpc.insecure_channel(f"unix:{places[role]}", options=OWN) as channel:
                stub = key_management_service_pb2_grpc.KeyManagementServiceStub(channel)
                call = stub.GetStatus.future(status, timeout=30)
                assert call.code() in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
                return call.code() is grpc.StatusCode.OK

        def is_full() -> bool:
            connect_silently()  # again, should the machine have paused until the first were disconnected
            return not is_served(Role.ROUTER)

        wait_until(is_full, what="the socket has all that it takes")
        assert is_served(Role.REGISTRY)
        stack.close()
        wait_until(lambda: is_served(Role.ROUTER), what="there is room again")


class TestLog:
    def test_one_line_per_call_with_counts_and_no_content(self, channels: Channels, log: Path) -> None:
        registry = key_management_service_pb2_grpc.KeyManagementServiceStub(channels[Role.REGISTRY])
        router = key_management_service_pb2_grpc.KeyManagementServiceStub(channels[Role.ROUTER])
        items = [
            pb2.WrapItem(context=CONTEXT, plaintext=CANARY),
            pb2.WrapItem(context=b"x", plaintext=CANARY),
        ]
        wrapped = registry.BatchWrapDataKeys(pb2.BatchWrapDataKeysRequest(items=items)).results[0].wrapped
        tampered = pb2.WrappedDataKey(
            wrapped_data_key=wrapped.wrapped_data_key[:-1] + b"\0",
            key_version=wrapped.key_version,
            commitment=wrapped.commitment,
            context=wrapped.context,
        )
        unwrapped = router.BatchUnwrapDataKeys(
            pb2.BatchUnwrapDataKeysRequest(
                items=[pb2.UnwrapItem(wrapped=wrapped), pb2.UnwrapItem(wrapped=tampered)]
            )
        )
        assert unwrapped.results[0].plaintext == CANARY
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert [(line["role"], line["items"], line["failed"]) for line in lines] == [
            ("registry", 2, 1),
            ("router", 2, 1),
        ]
        text = log.read_text()
        encodings = (CANARY.decode(), CANARY.hex(), base64.b64encode(CANARY).decode(), wrapped.context.hex())
        assert not [each for each in encodings if each in text]
