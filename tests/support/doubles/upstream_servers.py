"""Upstreams on this machine that answer as the real ones do: statuses, error bodies, headers, pages.

One TLS server plays all hosts. Names resolve to an address on the public internet that nothing ever dials:
the guard's connector, a parameter like its resolver, takes that address to the server here, and no other.
"""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpcore
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from upstreams.addresses import AddressPolicy
from upstreams.guard import Guard
from upstreams.kinds import KINDS

PUBLIC_ADDRESS = "8.8.4.4"
"""What all names stand for. Never dialled."""

HOSTS = (
    "*.openai.com",
    "*.anthropic.com",
    "*.openai.azure.com",
    "*.openai.azure.us",
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "bedrock.eu-west-1.amazonaws.com",
    "sts.eu-west-1.amazonaws.com",
    "*.googleapis.com",
    "aiplatform.eu.rep.googleapis.com",
    "gateway.example",
    *(urlsplit(kind.default_base_url).netloc for kind in KINDS.values() if kind.default_base_url),
)


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def in_json(status: int, document: Any, **headers: str) -> Reply:
    """An answer with a JSON body. In header names, ``_`` stands for ``-``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(document).encode(), {"Content-Type": "application/json", **named})


@dataclass(frozen=True)
class Asked:
    """One request as it arrived. Header names are in lower case."""

    method: str
    host: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


Answering = Callable[[Asked], Reply]


class World:
    """All hosts at once: what each answers on which path, what was asked, which addresses were dialled."""

    def __init__(self, trusting: ssl.SSLContext) -> None:
        self.port = 0
        self.asked: list[Asked] = []
        self.dialled: list[tuple[str, int]] = []
        self._trusting = trusting
        self._answers: dict[tuple[str, str], Answering] = {}

    def on(self, host: str, path: str, answer: Answering | Reply) -> None:
        """From now on, ``host`` answers so on ``path``."""
        self._answers[host, path] = answer if callable(answer) else lambda _: answer

    def forget(self) -> None:
        self.asked.clear()
        self.dialled.clear()
        self._answers.clear()

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        found = self._answers.get((asked.host, asked.path))
        return found(asked) if found else Reply(404, b"<html>no such page</html>")

    def guard(self, policy: AddressPolicy | None = None) -> Guard:
        """A guard for which all names are public and lead here."""
        return Guard(
            policy or AddressPolicy(),
            resolve=lambda host, port, seconds: [PUBLIC_ADDRESS],
            connect=self.dial,
            ssl_context=self._trusting,
        )

    def dial(self, address: str, port: int, seconds: float) -> httpcore.NetworkStream:
        """Takes the public address here; any other stays unreachable."""
        self.dialled.append((address, port))
        if address != PUBLIC_ADDRESS:
            raise httpcore.ConnectError("unreachable")
        return httpcore.SyncBackend().connect_tcp("127.0.0.1", self.port, timeout=seconds)


class _Server(ThreadingHTTPServer):
    """TLS is spoken in each connection's own thread, so that nobody's handshake holds up the others."""

    daemon_threads = True
    context: ssl.SSLContext

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        secured = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return secured, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that do not trust us, or hang up, are what some tests are about."""


@contextmanager
def running_world(folder: Path) -> Iterator[World]:
    """The server, with a certificate authority of its own."""
    serving, trusting = tls_contexts(folder)
    world = World(trusting)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536  # head and body in one packet: two would wait for each other

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = world.answer(Asked(self.command, headers["host"], self.path, headers, body))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with _Server(("127.0.0.1", 0), Handler) as server:
        server.context = serving
        world.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield world
        finally:
            server.shutdown()
            thread.join()


def tls_contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(for the server, for who trusts it): a self-signed certificate for all `HOSTS`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "upstreams of the tests")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file = folder / "upstreams.pem"
    file.write_bytes(pem + _pem(key))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    return serving, ssl.create_default_context(cadata=pem.decode())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@contextmanager
def raw_server(script: Callable[[socket.socket], None]) -> Iterator[int]:
    """A listener whose connections are handed to ``script``, which speaks what it likes. Gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_served, args=(script, connection), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _served(script: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with connection:
        try:
            script(connection)
        except OSError:
            return  # the client hung up, as it should


def read_request(connection: socket.socket) -> bytes:
    """The bytes up to the end of the headers."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            break
        received += piece
    return received


def endless(encoding: str) -> Callable[[socket.socket], None]:
    """A script whose answer goes on for as long as anybody reads: "identity", "chunked", or "gzip"."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)

    def script(connection: socket.socket) -> None:
        read_request(connection)
        framing = b"Transfer-Encoding: chunked" if encoding == "chunked" else b"Connection: close"
        packed = b"\r\nContent-Encoding: gzip" if encoding == "gzip" else b""
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + framing + packed + b"\r\n\r\n")
        blank = b" " * 65536
        while True:
            piece = packer.compress(blank * 16) + packer.flush(zlib.Z_SYNC_FLUSH) if packed else blank
            chunk = b"%x\r\n%s\r\n" % (len(piece), piece)
            connection.sendall(chunk if encoding == "chunked" else piece)

    return script


def paged(pages: Sequence[Any], cursor_parameter: str, cursors: Sequence[str]) -> Answering:
    """A listing in pages: the first without a cursor, page i + 1 for ``cursors[i]``."""

    def answer(asked: Asked) -> Reply:
        cursor = asked.query.get(cursor_parameter, "")
        return in_json(200, pages[[*cursors].index(cursor) + 1 if cursor else 0])

    return answer
