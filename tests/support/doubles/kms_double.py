"""A key-management sidecar that can be told to misbehave: real gRPC on a real Unix socket, keys in memory.

It wraps with XOR: the clients under test never look inside a wrapper, only at the reference in its head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from codevector.kms.v1 import key_management_service_pb2_grpc as kms_grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from runtime.requests import request_id_of
from tests.support.values import oracle_envelope as oracle

DEPLOYMENT_ID = b"\x01" * 16
REF = "local-0123abcd-v1-89abcdef01234567"
KEY_VERSION = f"keyVersions/{REF}"
_KEK = bytes(range(100, 132))


def wrap(dek: bytes, ref: str = REF) -> bytes:
    """A wrapper with the head of the real format."""
    head = b"CVW1\x01\x01" + len(ref).to_bytes(2, "big") + ref.encode()
    return head + bytes(a ^ b for a, b in zip(dek, _KEK, strict=True))


def unwrap(wrapper: bytes) -> bytes:
    """The key inside."""
    return bytes(a ^ b for a, b in zip(wrapper[-32:], _KEK, strict=True))


def wrapped_data_key(dek: bytes, context: bytes) -> kms_pb2.WrappedDataKey:
    """What an honest sidecar answers."""
    return kms_pb2.WrappedDataKey(
        wrapped_data_key=wrap(dek),
        key_version=KEY_VERSION,
        commitment=oracle.commitment(dek, context),
        context=context,
    )


@dataclass
class KmsDouble(kms_grpc.KeyManagementServiceServicer):
    """Honest unless told otherwise: ``spoil_wrap`` edits answers with wrappers, ``abort`` refuses every call.

    With ``abort_count`` it refuses only so many, the first ones.
    """

    deployment_id: str = DEPLOYMENT_ID.hex()
    spoil_wrap: Callable[[Any], None] | None = None
    spoil_unwrap: Callable[[kms_pb2.BatchUnwrapDataKeysResponse], None] | None = None
    abort: grpc.StatusCode | None = None
    abort_count: int | None = None
    batch_sizes: list[int] = field(default_factory=list)
    unwrap_count: int = 0
    call_count: int = 0
    request_ids: list[str] = field(default_factory=list)

    def GetStatus(  # noqa: N802 - the generated name
        self, request: kms_pb2.GetStatusRequest, context: grpc.ServicerContext
    ) -> kms_pb2.GetStatusResponse:
        self._refuse(context)
        answer = kms_pb2.GetStatusResponse(
            version="0.1.0",
            backend=kms_pb2.GetStatusResponse.BACKEND_LOCAL_KEYRING,
            primary_key_version=KEY_VERSION,
            accepted_key_versions=[KEY_VERSION],
            wrap_healthy=True,
            unwrap_healthy=True,
            deployment_id=self.deployment_id,
            keyring_seq=7,
        )
        answer.server_time.FromJsonString("2026-04-15T12:00:00Z")
        return answer

    def BatchWrapDataKeys(  # noqa: N802
        self, request: kms_pb2.BatchWrapDataKeysRequest, context: grpc.ServicerContext
    ) -> kms_pb2.BatchWrapDataKeysResponse:
        self._refuse(context)
        self.batch_sizes.append(len(request.items))
        answer = kms_pb2.BatchWrapDataKeysResponse(
            results=[
                kms_pb2.WrapResult(wrapped=wrapped_data_key(item.plaintext, item.context))
                for item in request.items
            ]
        )
        if self.spoil_wrap:
            self.spoil_wrap(answer)
        return answer

    def BatchUnwrapDataKeys(  # noqa: N802
        self, request: kms_pb2.BatchUnwrapDataKeysRequest, context: grpc.ServicerContext
    ) -> kms_pb2.BatchUnwrapDataKeysResponse:
        self._refuse(context)
        self.unwrap_count += 1
        answer = kms_pb2.BatchUnwrapDataKeysResponse(
            results=[_unwrapped(item.wrapped) for item in request.items]
        )
        if self.spoil_unwrap:
            self.spoil_unwrap(answer)
        return answer

    def BatchRewrapDataKeys(  # noqa: N802
        self, request: kms_pb2.BatchRewrapDataKeysRequest, context: grpc.ServicerContext
    ) -> kms_pb2.BatchRewrapDataKeysResponse:
        self._refuse(context)
        if request.target_key_version != KEY_VERSION:
            context.abort_with_status(_not_primary())
        self.batch_sizes.append(len(request.items))
        answer = kms_pb2.BatchRewrapDataKeysResponse(
            results=[
                kms_pb2.WrapResult(wrapped=wrapped_data_key(unwrap(item.wrapped_data_key), item.context))
                for item in request.items
            ]
        )
        if self.spoil_wrap:
            self.spoil_wrap(answer)
        return answer

    def BatchVerifyDataKeys(  # noqa: N802
        self, request: kms_pb2.BatchVerifyDataKeysRequest, context: grpc.ServicerContext
    ) -> kms_pb2.BatchVerifyDataKeysResponse:
        self._refuse(context)
        self.batch_sizes.append(len(request.items))
        return kms_pb2.BatchVerifyDataKeysResponse(results=[_unwrapped(item).error for item in request.items])

    def _refuse(self, context: grpc.ServicerContext) -> None:
        self.call_count += 1
        request_id = request_id_of(context.invocation_metadata())
        self.request_ids += [request_id] if request_id else []
        if self.abort and (self.abort_count is None or self.call_count <= self.abort_count):
            context.abort(self.abort, "refused by the test")


def _not_primary() -> grpc.Status:
    """The status with which the real sidecar refuses another target."""
    info = error_details_pb2.ErrorInfo(reason="KEY_VERSION_NOT_PRIMARY", domain="codevector")
    status = status_pb2.Status(code=code_pb2.FAILED_PRECONDITION, message="not primary")
    status.details.add().Pack(info)
    return rpc_status.to_status(status)


def _unwrapped(wrapped: kms_pb2.WrappedDataKey) -> kms_pb2.UnwrapResult:
    dek = unwrap(wrapped.wrapped_data_key)
    if oracle.commitment(dek, wrapped.context) != wrapped.commitment:
        return kms_pb2.UnwrapResult(error=status_pb2.Status(code=code_pb2.DATA_LOSS, message="corrupt"))
    return kms_pb2.UnwrapResult(plaintext=dek)


@contextmanager
def serving(double: KmsDouble, socket: Path) -> Iterator[Path]:
    """Serve the double on the socket."""
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    kms_grpc.add_KeyManagementServiceServicer_to_server(double, server)
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    try:
        yield socket
    finally:
        server.stop(grace=None).wait()
