"""The servers a command talks to. A call has a deadline and a request id; its refusal is one type."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

import grpc
from codevector.kms.v1 import key_admin_service_pb2_grpc, key_management_service_pb2_grpc
from codevector.providers.v1 import provider_service_pb2_grpc, system_service_pb2_grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from cli.failures import CallRefused, Refusal

if TYPE_CHECKING:
    from grpc import UnaryUnaryMultiCallable

Request = TypeVar("Request")
Response = TypeVar("Response")

CALL_SECONDS = 20.0
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),  # this one is how long one attempt may take
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_DETAILS_KEY = "grpc-status-details-bin"
_REQUEST_ID_KEY = "x-request-id"


class Peer:
    """One server. ``title`` names it in sentences; the connection is made by the first call."""

    def __init__(self, title: str, target: str, *, socket: Path | None = None) -> None:
        self.title = title
        self.socket = socket
        self.channel = grpc.insecure_channel(target, options=_OPTIONS)

    def call(
        self,
        rpc: UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        *,
        seconds: float = CALL_SECONDS,
    ) -> Response:
        """The answer.

        Raises:
            CallRefused: the server refused, or did not answer in ``seconds``.
        """
        request_id = str(uuid4())
        try:
            return rpc(request, timeout=seconds, metadata=((_REQUEST_ID_KEY, request_id),))
        except grpc.RpcError as error:
            raise CallRefused(self._refusal(error, request_id)) from None

    def close(self) -> None:
        """Hangs up."""
        self.channel.close()

    def _refusal(self, error: grpc.RpcError, request_id: str) -> Refusal:
        code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
        text = (error.details() if isinstance(error, grpc.Call) else "") or code.name
        trailers: dict[str, str | bytes] = {}
        if isinstance(error, grpc.Call):
            trailers.update(error.trailing_metadata() or ())
        status = _status(trailers.get(_DETAILS_KEY))
        if status is None:
            # Not an answer of the server itself: nobody is there, or it took too long.
            return self._silence(code, text)
        info, violations = _details(status)
        told = trailers.get(_REQUEST_ID_KEY, request_id)
        return Refusal(
            peer=self.title,
            status=code.name,
            message=status.message,
            reason=info.reason,
            metadata=dict(info.metadata),
            violations=violations,
            request_id=told if isinstance(told, str) else request_id,
        )

    def _silence(self, code: grpc.StatusCode, text: str) -> Refusal:
        sentence = text
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            sentence = "no answer in time"
        elif code is grpc.StatusCode.UNAVAILABLE:
            sentence = "nobody answers there: is it running?"
            if self.socket is not None and not _may_reach(self.socket):
                code, sentence = grpc.StatusCode.PERMISSION_DENIED, "this account may not use the socket"
            elif self.socket is not None and not self.socket.exists():
                sentence = "there is no such socket: is the sidecar running?"
        return Refusal(self.title, code.name, sentence, metadata={"grpc": text})


class Registry(Peer):
    """The registry, as operators see it."""

    def __init__(self, address: str) -> None:
        super().__init__(f"registry {address}", address)
        self.system = system_service_pb2_grpc.SystemServiceStub(self.channel)
        self.providers = provider_service_pb2_grpc.ProviderServiceStub(self.channel)


class Sidecar(Peer):
    """The key sidecar on one of its sockets; the socket decides what it answers."""

    def __init__(self, role: str, socket: Path) -> None:
        super().__init__(f"{role} socket {socket}", f"unix:{socket}", socket=socket)
        self.admin = key_admin_service_pb2_grpc.KeyAdminServiceStub(self.channel)
        self.management = key_management_service_pb2_grpc.KeyManagementServiceStub(self.channel)


@contextmanager
def closing(*peers: Peer) -> Iterator[None]:
    """Hangs up on all of them at the end."""
    try:
        yield
    finally:
        for peer in peers:
            peer.close()


def _status(octets: object) -> status_pb2.Status | None:
    if not isinstance(octets, bytes):
        return None
    try:
        return status_pb2.Status.FromString(octets)
    except DecodeError:
        return None


def _details(status: status_pb2.Status) -> tuple[error_details_pb2.ErrorInfo, tuple[str, ...]]:
    info = error_details_pb2.ErrorInfo()
    violations: list[str] = []
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            violations += [f"{each.field}: {each.description}" for each in bad.field_violations]
        elif detail.Is(error_details_pb2.PreconditionFailure.DESCRIPTOR):
            failed = error_details_pb2.PreconditionFailure()
            detail.Unpack(failed)
            violations += [f"{each.subject}: {each.description}" for each in failed.violations]
    return info, tuple(violations)


def _may_reach(socket: Path) -> bool:
    """False only where the file system is known to refuse: a directory or the socket itself is closed."""
    try:
        os.stat(socket)
    except PermissionError:
        return False
    except OSError:
        return True
    return os.access(socket, os.R_OK | os.W_OK)
