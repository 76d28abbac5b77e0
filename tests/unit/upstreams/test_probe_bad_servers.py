"""Whatever is at the other end, a test ends in time, with an outcome."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.support.doubles.upstream_accounts import (
    KEYED,
    aws_account,
    serve_keyed,
)
from tests.support.doubles.upstream_servers import PUBLIC_ADDRESS, World, endless, raw_server, read_request
from upstreams.addresses import AddressPolicy
from upstreams.guard import Guard
from upstreams.outcome import Outcome, Reason, Verdict
from upstreams.probe import probe
from upstreams.target import Target


def now() -> datetime:
    return datetime.now(UTC)


class TestBadServers:
    @staticmethod
    def outcome_of(
        script: Callable[[socket.socket], None], *, seconds: float = 15.0, scheme: str = "http"
    ) -> Outcome:
        guard = Guard(AddressPolicy(allow_loopback_http=True))
        with raw_server(script) as port:
            target = Target(kind="openai_compatible", config={"base_url": f"{scheme}://127.0.0.1:{port}/v1"})
            return probe(target, KEYED["openai"].good, guard=guard, now=now, seconds=seconds)

    def test_hung(self) -> None:
        done = threading.Event()

        def wait(connection: socket.socket) -> None:
            done.wait(300)

        try:
            outcome = self.outcome_of(wait, seconds=0.3)
        finally:
            done.set()
        assert (outcome.verdict, outcome.reason) == (Verdict.UNREACHABLE, Reason.TIMED_OUT)
        assert 250 <= outcome.latency_ms < 60_000

    @pytest.mark.parametrize(
        "start", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"]
    )
    def test_dripping(self, start: bytes) -> None:
        """Each byte comes in time; all of them would take days."""
        done = threading.Event()

        def drip(connection: socket.socket) -> None:
            read_request(connection)
            connection.sendall(start)
            while not done.wait(0.01):
                connection.sendall(b"H")

        try:
            outcome = self.outcome_of(drip, seconds=0.3)
        finally:
            done.set()
        assert outcome.reason is Reason.TIMED_OUT
        assert outcome.latency_ms < 60_000

    @pytest.mark.parametrize(
        "encoding", ["identity", "chunked", "gzip"], ids=["plain", "chunked", "decompression bomb"]
    )
    def test_endless(self, encoding: str) -> None:
        outcome = self.outcome_of(endless(encoding))
        assert (outcome.verdict, outcome.reason) == (Verdict.UNREACHABLE, Reason.ANSWER_TOO_LARGE)

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(b"220 mail.example ESMTP\r\n", id="another protocol"),
            pytest.param(b"\x00\xff" * 100, id="noise"),
            pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", id="cut off"),
            pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 2_000_000, id="endless header"),
            pytest.param(
                b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\n{",
                id="unasked encoding",
            ),
            pytest.param(
                b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", id="no gzip"
            ),
            pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe", id="no text"),
            pytest.param(b"", id="nothing"),
        ],
    )
    def test_garbled(self, answer: bytes) -> None:
        def script(connection: socket.socket) -> None:
            read_request(connection)
            connection.sendall(answer)

        outcome = self.outcome_of(script)
        assert outcome.verdict is Verdict.UNREACHABLE
        assert outcome.reason in (Reason.NOT_THE_API, Reason.NO_CONNECTION)

    def test_refused_connection(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        target = Target(kind="openai_compatible", config={"base_url": f"http://127.0.0.1:{port}"})
        guard = Guard(AddressPolicy(allow_loopback_http=True))
        outcome = probe(target, None, guard=guard, now=now)
        assert (outcome.verdict, outcome.reason) == (Verdict.UNREACHABLE, Reason.NO_CONNECTION)

    def test_certificate_of_a_stranger(self, world: World) -> None:
        serve_keyed(world, "openai")
        guard = Guard(
            AddressPolicy(), resolve=lambda host, port, seconds: [PUBLIC_ADDRESS], connect=world.dial
        )
        outcome = probe(KEYED["openai"].target, KEYED["openai"].good, guard=guard, now=now)
        assert (outcome.verdict, outcome.reason) == (Verdict.UNREACHABLE, Reason.TLS_FAILED)
        assert world.asked == []

    def test_certificate_for_another_name(self, world: World) -> None:
        target = Target(kind="openai_compatible", config={"base_url": "https://elsewhere.example/v1"})
        outcome = probe(target, KEYED["openai"].good, guard=world.guard(), now=now)
        assert outcome.reason is Reason.TLS_FAILED
        assert world.asked == []

    def test_no_tls_at_all(self) -> None:
        def plain(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        assert self.outcome_of(plain, scheme="https").reason is Reason.TLS_FAILED

    def test_no_such_host(self) -> None:
        def unknown(host: str, port: int, seconds: float) -> list[str]:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")

        guard = Guard(AddressPolicy(), resolve=unknown)
        account = aws_account()
        outcome = probe(account.target, account.good, guard=guard, now=now)
        assert (outcome.verdict, outcome.reason) == (Verdict.UNREACHABLE, Reason.NAME_UNKNOWN)
        assert outcome.message.endswith("Check the region.")
