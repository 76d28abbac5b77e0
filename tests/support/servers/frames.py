"""A gRPC client of bare HTTP/2 frames, for what client libraries do not do: reset at once, read nothing.

Source: RFC 9113 (frames), RFC 7541 section 6.2.2 (header fields that no table remembers).
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Self

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CANCEL = 8
NO_WINDOW = struct.pack("!HI", 4, 0)  # SETTINGS_INITIAL_WINDOW_SIZE: nothing may be sent on a stream
_HEAD_BYTES = 9


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """Return a frame: length (24 bits), kind, flags, stream (31 bits), payload."""
    return len(payload).to_bytes(3, "big") + struct.pack("!BBI", kind, flags, stream) + payload


def call(stream: int, method: str, request: bytes = b"", *, timeout: str = "") -> bytes:
    """Return the frames of a unary request. ``timeout`` is as in ``grpc-timeout``, such as 5S."""
    message = b"\0" + struct.pack("!I", len(request)) + request
    return frame(HEADERS, headers(method, timeout), flags=END_HEADERS, stream=stream) + frame(
        DATA, message, flags=END_STREAM, stream=stream
    )


def reset(stream: int) -> bytes:
    """Return the frame that takes a request back."""
    return frame(RST_STREAM, struct.pack("!I", CANCEL), stream=stream)


def headers(method: str, timeout: str = "") -> bytes:
    """Return the header block of a request."""
    fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", f"/{method}"),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]
    if timeout:
        fields.append(("grpc-timeout", timeout))
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def _text(value: str) -> bytes:
    data = value.encode("ascii")
    assert len(data) < 127, "a longer one has its length in several bytes"
    return bytes([len(data)]) + data


class Frames:
    """One connection. ``settings`` are ours, as in a SETTINGS frame.

    Raises:
        OSError: the server takes no connection, or closes it.
    """

    def __init__(self, address: str, *, settings: bytes = b"") -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)))
        self._received = b""
        try:
            self.send(PREFACE + frame(SETTINGS, settings))
            # The server takes few streams until its own settings have been acknowledged.
            if not any(kind == SETTINGS and not flags & ACK for kind, flags, _, _ in self.frames()):
                raise ConnectionResetError("the server has closed the connection")
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send frames; the connection is over if this raises."""
        self.socket.sendall(data)

    def open_windows(self, *streams: int) -> None:
        """Let the server send up to 2 GiB on these streams and on the connection."""
        for stream in (0, *streams):
            self.send(frame(WINDOW_UPDATE, struct.pack("!I", (1 << 31) - 65_536), stream=stream))

    def frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield what the server sends: kind, flags, stream, payload. PING and SETTINGS are answered."""
        while True:
            head = self._take(_HEAD_BYTES)
            if len(head) < _HEAD_BYTES:
                return
            kind, flags, stream = struct.unpack("!BBI", head[3:])
            payload = self._take(int.from_bytes(head[:3], "big"))
            if kind in (PING, SETTINGS) and not flags & ACK:
                self.send(frame(kind, payload if kind == PING else b"", flags=ACK))
            yield kind, flags, stream & 0x7FFFFFFF, payload

    def answer_pings(self) -> None:
        """Read and drop what comes, until the connection ends."""
        with contextlib.suppress(OSError):
            for _ in self.frames():
                pass

    def _take(self, count: int) -> bytes:
        """Return so many bytes, fewer at the end of the connection."""
        while len(self._received) < count:
            data = self.socket.recv(1 << 16)
            if not data:
                return b""
            self._received += data
        taken, self._received = self._received[:count], self._received[count:]
        return taken
