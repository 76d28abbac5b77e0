"""An httpx transport that connects to checked addresses only and bounds every response.

The target of a connection is decided once: the name is resolved, every address is judged, and the socket is
opened to an address that was judged. Nothing resolves the name a second time, so DNS rebinding has no effect.
TLS still verifies the name, and the Host header still has it.

No proxy and no certificate store comes from the environment, and no redirect is followed. Time and bytes are
limited: a call ends at its deadline, however long a single read would take.
"""

from __future__ import annotations

import logging
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import Any, Final

import httpcore
import httpx

from upstreams.addresses import AddressPolicy, parse_address

CONNECT_SECONDS: Final = 5.0
"""For resolving and connecting, and again for the TLS handshake."""
MAX_ANSWER_BYTES: Final = 5 * 1024 * 1024
_MAX_ADDRESSES_TRIED: Final = 4

Resolver = Callable[[str, int, float], Sequence[str]]
"""(name, port, seconds) to addresses. Raises OSError, TimeoutError among them."""
Connector = Callable[[str, int, float], httpcore.NetworkStream]
"""(address, port, seconds) to a connection. Raises httpcore's ConnectError or ConnectTimeout."""


class Obstacle(Enum):
    """Why a call got no response."""

    NAME_UNKNOWN = "the name is unknown"
    ADDRESS_REFUSED = "the address is refused"
    NO_CONNECTION = "there is no connection"
    TLS_FAILED = "the TLS handshake failed"
    TIMED_OUT = "it took too long"
    TOO_LARGE = "the answer is too large"
    GARBLED = "the answer is not HTTP"


class Unreached(Exception):
    """A call without a response. Says its obstacle and nothing else: no address, headers or body."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle.value)
        self.obstacle = obstacle


def resolve_name(host: str, port: int, seconds: float) -> Sequence[str]:
    """Return the addresses that the system's resolver knows, in its order of preference.

    The resolver has no time limit of its own, so it runs in a thread that is abandoned when it is late.

    Raises:
        TimeoutError: no answer in time.
        OSError: no such name, or no resolver.
    """
    answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            answers.put(error)
        except UnicodeError:
            answers.put(OSError("not a host name"))
        else:
            answers.put([str(entry[4][0]) for entry in found])

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=max(seconds, 0.001))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def connect_address(address: str, port: int, seconds: float) -> httpcore.NetworkStream:
    """Open a TCP connection to an address, never to a name."""
    return httpcore.SyncBackend().connect_tcp(address, port, timeout=seconds)


class Guard:
    """How an installation calls upstreams. It has no connections and no state: create one and share it."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        resolve: Resolver = resolve_name,
        connect: Connector = connect_address,
        ssl_context: ssl.SSLContext | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``ssl_context`` defaults to the certificate authorities that httpx ships, and must verify."""
        self.policy = policy
        self.resolve = resolve
        self.connect = connect
        self.ssl_context = ssl_context or _tls_context()
        self.monotonic = monotonic
        _keep_answers_out_of_the_log()

    def transport(self, *, seconds: float) -> GuardedTransport:
        """Return a transport whose calls together may take ``seconds``. The caller closes it."""
        return GuardedTransport(self, Deadline(self.monotonic, seconds))


def _tls_context() -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    # Python sets it to SSLKEYLOGFILE: whoever can read that file reads every key that is sent.
    context.keylog_filename = None  # type: ignore[assignment]  # typeshed knows no None
    return context


def _keep_answers_out_of_the_log() -> None:
    """At DEBUG, httpcore writes down the headers of each answer, or the line in it that is no header, and an
    upstream may repeat there what it was sent. Adding the filter again changes nothing.
    """
    logging.getLogger("httpcore.http11").addFilter(_tells_no_answer)


def _tells_no_answer(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("receive_response_")


class Deadline:
    """A moment after which nothing waits any more."""

    def __init__(self, monotonic: Callable[[], float], seconds: float) -> None:
        self._monotonic = monotonic
        self._end = monotonic() + seconds
        self._call_end = self._end

    def begin_call(self, seconds: float) -> None:
        """Limit ``remaining`` to ``seconds`` from now, and never beyond the whole."""
        self._call_end = min(self._end, self._monotonic() + seconds)

    def remaining(self, at_most: float | None = None) -> float:
        """Return the seconds left, 0 when there are none."""
        left = max(0.0, self._call_end - self._monotonic())
        return left if at_most is None else min(left, at_most)


class GuardedTransport(httpx.BaseTransport):
    """Sends requests to admitted addresses; a response has at most 5 MiB. For one thread at a time."""

    def __init__(self, guard: Guard, deadline: Deadline) -> None:
        self.deadline = deadline
        self._policy = guard.policy
        self._pool = httpcore.ConnectionPool(
            ssl_context=guard.ssl_context,
            max_connections=8,
            http1=True,
            http2=False,
            retries=0,
            network_backend=_GuardedBackend(guard, deadline),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request to the address of its URL: extensions that would steer it elsewhere are dropped.

        Raises:
            Unreached: also while the answer is read.
        """
        url = request.url
        if self._policy.refusal(url.scheme, url.raw_host.decode("ascii")) is not None:
            raise Unreached(Obstacle.ADDRESS_REFUSED)
        if not isinstance(request.stream, httpx.SyncByteStream):
            raise TypeError("the body of a request must be synchronous")
        seconds = self.deadline.remaining()
        outgoing = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions={
                "timeout": {
                    "connect": min(CONNECT_SECONDS, seconds),
                    "read": seconds,
                    "write": seconds,
                    "pool": seconds,
                }
            },
        )
        try:
            incoming = self._pool.handle_request(outgoing)
        except _NETWORK_ERRORS as error:
            obstacle = _obstacle(error)
        else:
            return httpx.Response(
                incoming.status,
                headers=incoming.headers,
                stream=_BoundedBody(incoming),
                extensions={},
            )
        raise Unreached(obstacle)  # outside of the handler: the library's exception may hold the request

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


_NETWORK_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)


def _obstacle(error: Exception) -> Obstacle:
    if isinstance(error, httpcore.TimeoutException):
        return Obstacle.TIMED_OUT
    return Obstacle.NO_CONNECTION if isinstance(error, httpcore.NetworkError) else Obstacle.GARBLED


class _BoundedBody(httpx.SyncByteStream):
    """The body of one response, as it came over the wire."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        chunks = self._response.iter_stream()
        while True:
            obstacle = None
            try:
                chunk = next(chunks, None)
            except _NETWORK_ERRORS as error:
                obstacle = _obstacle(error)
            if obstacle is not None:
                raise Unreached(obstacle)
            if chunk is None:
                return
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                raise Unreached(Obstacle.TOO_LARGE)
            yield chunk

    def close(self) -> None:
        self._response.close()


class _GuardedBackend(httpcore.NetworkBackend):
    """Opens sockets to addresses that were judged, within the time that is left."""

    def __init__(self, guard: Guard, deadline: Deadline) -> None:
        self._guard = guard
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        connecting = Deadline(self._guard.monotonic, self._deadline.remaining(timeout))
        addresses = self._addresses(host, port, connecting)
        obstacle = Obstacle.NO_CONNECTION
        for tried, address in enumerate(addresses):
            # An address that swallows packets must leave time for the next one.
            share = connecting.remaining() / (len(addresses) - tried)
            if share <= 0:
                raise Unreached(Obstacle.TIMED_OUT)
            try:
                stream = self._guard.connect(address, port, share)
            except httpcore.ConnectTimeout:
                obstacle = Obstacle.TIMED_OUT
            except httpcore.ConnectError:
                obstacle = Obstacle.NO_CONNECTION
            else:
                return _DeadlineStream(stream, self._deadline)
        raise Unreached(obstacle)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise Unreached(Obstacle.ADDRESS_REFUSED)

    def _addresses(self, host: str, port: int, deadline: Deadline) -> list[str]:
        """Judge all addresses and return the first few: one bad address makes the name a bad name."""
        addresses: Sequence[str] = [host]
        obstacle = None
        if parse_address(host) is None:
            try:
                addresses = self._guard.resolve(host, port, deadline.remaining())
            except TimeoutError:
                obstacle = Obstacle.TIMED_OUT
            except OSError:
                obstacle = Obstacle.NAME_UNKNOWN
        if obstacle is None and not addresses:
            obstacle = Obstacle.NAME_UNKNOWN
        if obstacle is None and not all(
            self._guard.policy.admits_address(host, address) for address in addresses
        ):
            obstacle = Obstacle.ADDRESS_REFUSED
        if obstacle is not None:
            raise Unreached(obstacle)
        return _families_in_turn(addresses)[:_MAX_ADDRESSES_TRIED]


def _families_in_turn(addresses: Sequence[str]) -> list[str]:
    """Return the preferred address first, then one of each family in turn, to get around a broken IPv6."""
    unique = list(dict.fromkeys(addresses))
    six = [address for address in unique if ":" in address]
    four = [address for address in unique if ":" not in address]
    first, second = (six, four) if ":" in unique[0] else (four, six)
    turns = max(len(first), len(second))
    return [family[turn] for turn in range(turns) for family in (first, second) if turn < len(family)]


class _DeadlineStream(httpcore.NetworkStream):
    """A connection on which no wait exceeds the deadline, however slowly the other side sends."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._deadline.remaining(timeout)
        if left <= 0:
            raise httpcore.ReadTimeout
        return self._stream.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = self._deadline.remaining(timeout)
        if left <= 0:
            raise httpcore.WriteTimeout
        self._stream.write(buffer, left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._deadline.remaining(timeout)
        if left <= 0:
            self.close()  # as every failed handshake does: nobody else would
            raise httpcore.ConnectTimeout
        try:
            secured = self._stream.start_tls(ssl_context, server_hostname, left)
        except httpcore.ConnectError:
            pass
        else:
            return _DeadlineStream(secured, self._deadline)
        raise Unreached(Obstacle.TLS_FAILED)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
