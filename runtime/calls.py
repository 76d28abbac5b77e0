"""Calls of our own APIs: each has a deadline and a request id, and is refused with one type of error."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

import grpc

from runtime import statuses
from runtime.requests import REQUEST_ID
from runtime.statuses import Violation

if TYPE_CHECKING:
    from grpc import UnaryStreamMultiCallable, UnaryUnaryMultiCallable

Request = TypeVar("Request")
Response = TypeVar("Response")
Metadata = Sequence[tuple[str, str]]

CALL_SECONDS = 20.0

_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),  # this one is how long one attempt may take
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_RETRYABLE = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call failed. ``status`` is the code's name; ``reason`` the stable word of the API's error table.

    ``reason`` and ``request_id`` are empty where the server itself did not answer: ``metadata`` then has
    gRPC's own text under ``grpc``.
    """

    peer: str
    status: str
    message: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[Violation, ...] = ()
    preconditions: tuple[Violation, ...] = ()
    retry_seconds: float | None = None
    request_id: str = ""


class CallRefused(Exception):
    """A server refused a call, or did not answer it in time. The text is a sentence that names the server."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.peer}: {refusal.message}")
        self.refusal = refusal

    @property
    def status(self) -> str:
        """The status code's name."""
        return self.refusal.status

    @property
    def retryable(self) -> bool:
        """Whether the same call may well succeed a moment later."""
        return self.refusal.status in _RETRYABLE


def no_metadata() -> Metadata:
    """Return nothing: the caller adds no metadata of its own."""
    return ()


class Peer:
    """One server, with one channel that connects on the first call and may be shared between threads.

    ``title`` names it in sentences. ``metadata`` is called before each call and returns what the caller adds
    to it, such as a bearer token; none of that appears in a refusal.
    """

    def __init__(
        self,
        title: str,
        target: str,
        *,
        socket: Path | None = None,
        metadata: Callable[[], Metadata] = no_metadata,
    ) -> None:
        self.title = title
        self.socket = socket
        self.channel = grpc.insecure_channel(target, options=_OPTIONS)
        self._metadata = metadata

    def call(
        self,
        rpc: UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        *,
        seconds: float = CALL_SECONDS,
        request_id: str | None = None,
    ) -> Response:
        """Make one call and return its response. ``request_id`` defaults to a new one.

        Raises:
            CallRefused: the server refused, or did not answer in ``seconds``.
        """
        request_id = request_id or str(uuid4())
        try:
            return rpc(request, timeout=seconds, metadata=((REQUEST_ID, request_id), *self._metadata()))
        except grpc.RpcError as error:
            raise CallRefused(self._refusal(error, request_id)) from None

    def stream(
        self, rpc: UnaryStreamMultiCallable[Request, Response], request: Request
    ) -> Iterator[Response]:
        """Make a call whose responses are a stream without an end, and yield them; leaving off cancels it.

        Raises:
            CallRefused: the server refused, or ended the stream.
        """
        request_id = str(uuid4())
        call = rpc(request, metadata=((REQUEST_ID, request_id), *self._metadata()))
        try:
            yield from call
        except grpc.RpcError as error:
            raise CallRefused(self._refusal(error, request_id)) from None
        finally:
            call.cancel()

    def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        self.channel.close()

    def _refusal(self, error: grpc.RpcError, request_id: str) -> Refusal:
        status = statuses.status_of(error)
        if status is None or not isinstance(error, grpc.Call):
            return self._silence(error)
        details = statuses.read(status)
        trailers = dict[str, str | bytes](error.trailing_metadata() or ())
        confirmed = trailers.get(REQUEST_ID)
        return Refusal(
            peer=self.title,
            status=error.code().name,
            message=status.message,
            reason=details.reason,
            metadata=details.metadata,
            fields=details.fields,
            preconditions=details.preconditions,
            retry_seconds=details.retry_seconds,
            request_id=confirmed if isinstance(confirmed, str) else request_id,
        )

    def _silence(self, error: grpc.RpcError) -> Refusal:
        """Return the refusal of a call that the server itself did not answer."""
        code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
        text = (error.details() if isinstance(error, grpc.Call) else "") or code.name
        sentence = text
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            sentence = "no response in time"
        elif code is grpc.StatusCode.UNAVAILABLE:
            sentence = "cannot connect: is it running?"
            if self.socket is not None and not _may_reach(self.socket):
                code, sentence = grpc.StatusCode.PERMISSION_DENIED, "this account may not use the socket"
            elif self.socket is not None and not self.socket.exists():
                sentence = "the socket does not exist: is the sidecar running?"
        return Refusal(self.title, code.name, sentence, metadata={"grpc": text})


@contextmanager
def closing(*peers: Peer) -> Iterator[None]:
    """Close all of them at the end."""
    try:
        yield
    finally:
        for peer in peers:
            peer.close()


def _may_reach(socket: Path) -> bool:
    """Return False only where the file system is known to refuse, at a directory or at the socket."""
    try:
        os.stat(socket)
    except PermissionError:
        return False
    except OSError:
        return True
    return os.access(socket, os.R_OK | os.W_OK)
