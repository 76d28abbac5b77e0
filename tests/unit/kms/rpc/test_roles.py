"""Who may call what: every method of the descriptors on every real socket."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from codevector.kms.v1 import key_admin_service_pb2, key_management_service_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from kms.rpc.roles import ALLOWED, Role, allowed_roles

METHODS: dict[str, MethodDescriptor] = {
    method.full_name: method
    for file in (key_management_service_pb2.DESCRIPTOR, key_admin_service_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in service.methods
}
# Written out by hand: the promise, against which the table in the code is held.
PROMISED = {
    "GetStatus": {"registry", "router"},
    "BatchWrapDataKeys": {"registry"},
    "BatchUnwrapDataKeys": {"router"},
    "BatchRewrapDataKeys": {"registry"},
    "BatchVerifyDataKeys": {"registry"},
    "ListKeyVersions": {"admin"},
    "CreateKeyVersion": {"admin"},
    "ActivateKeyVersion": {"admin"},
    "DisableKeyVersion": {"admin"},
    "EnableKeyVersion": {"admin"},
    "ScheduleKeyVersionDestruction": {"admin"},
    "CancelKeyVersionDestruction": {"admin"},
    "VerifyAudit": {"admin"},
    "ListExposure": {"admin"},
}


def test_every_described_method_has_a_row() -> None:
    assert set(ALLOWED) == set(METHODS)
    assert {name.rpartition(".")[2] for name in METHODS} == set(PROMISED)


def test_an_unlisted_method_is_for_nobody() -> None:
    assert allowed_roles("codevector.kms.v1.KeyAdminService.Export") == frozenset()


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
@pytest.mark.parametrize("name", sorted(METHODS), ids=lambda name: name.rpartition(".")[2])
def test_matrix(channels: dict[Role, grpc.Channel], role: Role, name: str) -> None:
    method = METHODS[name]
    call: Any = channels[role].unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    answered = call.future(GetMessageClass(method.input_type)(), timeout=60)
    denied = answered.code() is grpc.StatusCode.PERMISSION_DENIED
    assert denied is (role.value not in PROMISED[method.name])
    if denied:
        status = rpc_status.from_call(answered)
        info = error_details_pb2.ErrorInfo()
        assert status is not None
        assert status.details[0].Unpack(info)
        assert (info.reason, info.metadata["role"]) == (
            "ROLE_REQUIRED",
            ",".join(sorted(PROMISED[method.name])),
        )


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
@pytest.mark.parametrize(
    "service", ["", "codevector.kms.v1.KeyManagementService", "codevector.kms.v1.KeyAdminService"]
)
def test_health_is_for_every_role(channels: dict[Role, grpc.Channel], role: Role, service: str) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channels[role])
    response = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=60)
    assert response.status == health_pb2.HealthCheckResponse.SERVING
