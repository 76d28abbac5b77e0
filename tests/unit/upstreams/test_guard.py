"""Where connections are made: to the address that was judged, whatever the name server says the next time."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import httpcore
import httpx
import pytest

from tests.support.doubles.upstream_servers import PUBLIC_ADDRESS, World, in_json, raw_server, read_request
from upstreams.addresses import AddressPolicy
from upstreams.guard import (
    MAX_ANSWER_BYTES,
    Deadline,
    Guard,
    Obstacle,
    Unreached,
    connect_address,
    resolve_name,
)

PUBLIC = AddressPolicy()
LOOPBACK = AddressPolicy(allow_loopback_http=True)
PRIVATE = AddressPolicy(allow_private=True)


class Names:
    """A name server that gives one answer after the other, and the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []

    def __call__(self, host: str, port: int, seconds: float) -> Sequence[str]:
        self.questions.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Dialled:
    """A connector that connects nothing, and notes what it was asked for."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    def __call__(self, address: str, port: int, seconds: float) -> httpcore.NetworkStream:
        self.addresses.append(address)
        raise httpcore.ConnectError


def obstacle_of(guard: Guard, url: str, *, seconds: float = 5.0) -> Obstacle:
    transport = guard.transport(seconds=seconds)
    try:
        with pytest.raises(Unreached) as caught:
            transport.handle_request(httpx.Request("GET", url))
    finally:
        transport.close()
    return caught.value.obstacle


@pytest.fixture
def trusting() -> ssl.SSLContext:
    return ssl.create_default_context()


class TestRebinding:
    @pytest.mark.parametrize("later", ["127.0.0.1", "169.254.169.254", "::1", "10.0.0.1"])
    def test_the_judged_address_is_the_one_connected_to(self, world: World, later: str) -> None:
        """The second answer of the name server would lead inside; nobody asks for it."""
        names = Names([PUBLIC_ADDRESS], [later])
        world.on("api.openai.com", "/v1/models", in_json(200, {}))
        trusting = world.guard().ssl_context
        guard = Guard(PUBLIC, resolve=names, connect=world.dial, ssl_context=trusting)
        transport = guard.transport(seconds=5)
        response = transport.handle_request(httpx.Request("GET", "https://api.openai.com/v1/models"))
        response.read()
        transport.close()
        assert world.dialled == [(PUBLIC_ADDRESS, 443)]
        assert names.questions == ["api.openai.com"]
        assert world.asked[0].headers["host"] == "api.openai.com"

    @pytest.mark.parametrize("later", ["127.0.0.1", "169.254.169.254", "::1", "10.0.0.1"])
    def test_a_new_connection_is_judged_anew(self, world: World, later: str) -> None:
        names = Names([PUBLIC_ADDRESS], [later])
        world.on("api.openai.com", "/v1/models", in_json(200, {}, Connection="close"))
        guard = Guard(PUBLIC, resolve=names, connect=world.dial, ssl_context=world.guard().ssl_context)
        transport = guard.transport(seconds=5)
        request = httpx.Request("GET", "https://api.openai.com/v1/models")
        transport.handle_request(request).read()
        with pytest.raises(Unreached) as caught:
            transport.handle_request(request)
        transport.close()
        assert caught.value.obstacle is Obstacle.ADDRESS_REFUSED
        assert world.dialled == [(PUBLIC_ADDRESS, 443)]

    def test_one_bad_address_spoils_the_name(self, trusting: ssl.SSLContext) -> None:
        dialled = Dialled()
        names = Names([PUBLIC_ADDRESS, "169.254.169.254"])
        guard = Guard(PUBLIC, resolve=names, connect=dialled, ssl_context=trusting)
        assert obstacle_of(guard, "https://api.example/") is Obstacle.ADDRESS_REFUSED
        assert dialled.addresses == []


class TestAddresses:
    @pytest.mark.parametrize(
        ("policy", "url", "address", "admitted"),
        [
            pytest.param(PUBLIC, "https://a.example/", PUBLIC_ADDRESS, True, id="public"),
            pytest.param(PUBLIC, "https://a.example/", "2606:4700::1", True, id="public, IPv6"),
            pytest.param(PUBLIC, "http://a.example/", PUBLIC_ADDRESS, False, id="plain http"),
            pytest.param(
                PRIVATE, "http://a.example/", PUBLIC_ADDRESS, False, id="plain http, private allowed"
            ),
            pytest.param(LOOPBACK, "http://a.example/", "127.0.0.1", False, id="http by another name"),
            pytest.param(LOOPBACK, "https://a.example/", "127.0.0.1", False, id="this machine renamed"),
            pytest.param(LOOPBACK, "http://localhost/", "127.0.0.1", True, id="this machine"),
            pytest.param(LOOPBACK, "http://localhost/", "10.0.0.1", False, id="localhost elsewhere"),
            pytest.param(LOOPBACK, "http://localhost/", PUBLIC_ADDRESS, False, id="localhost outside"),
            pytest.param(PUBLIC, "http://localhost/", "127.0.0.1", False, id="this machine, not allowed"),
            pytest.param(PUBLIC, "https://localhost/", "127.0.0.1", False, id="nor with TLS"),
            pytest.param(LOOPBACK, "http://127.0.0.1/", "", True, id="this machine by address"),
            pytest.param(LOOPBACK, "http://[::1]/", "", True, id="this machine by IPv6 address"),
            pytest.param(PUBLIC, "https://127.0.0.1/", "", False, id="loopback by address"),
            pytest.param(PUBLIC, "https://10.0.0.1/", "", False, id="private by address"),
            pytest.param(PRIVATE, "https://10.0.0.1/", "", True, id="private by address, allowed"),
            pytest.param(PUBLIC, "https://a.example/", "192.168.0.1", False, id="private"),
            pytest.param(PRIVATE, "https://a.example/", "192.168.0.1", True, id="private, allowed"),
            pytest.param(PUBLIC, "https://vllm.internal/", PUBLIC_ADDRESS, False, id="private name"),
            pytest.param(PRIVATE, "https://vllm.internal/", "10.0.0.1", True, id="private name, allowed"),
            pytest.param(PRIVATE, "https://a.example/", "169.254.169.254", False, id="metadata"),
            pytest.param(PRIVATE, "https://169.254.169.254/", "", False, id="metadata by address"),
            pytest.param(
                PRIVATE, "https://metadata.google.internal/", "10.0.0.1", False, id="metadata by name"
            ),
            pytest.param(PRIVATE, "https://a.example/", "::ffff:10.0.0.1", False, id="mapped"),
            pytest.param(PRIVATE, "https://a.example/", "64:ff9b::a00:1", False, id="NAT64"),
            pytest.param(PRIVATE, "https://a.example/", "2002:a00:1::", False, id="6to4"),
            pytest.param(PRIVATE, "https://a.example/", "100.64.0.1", False, id="carrier-grade NAT"),
            pytest.param(PRIVATE, "https://a.example/", "fe80::1%eth0", False, id="link-local"),
            pytest.param(PRIVATE, "https://a.example/", "not an address", False, id="no address"),
            pytest.param(PRIVATE, "ftp://a.example/", PUBLIC_ADDRESS, False, id="another scheme"),
        ],
    )
    def test_judged_by_the_policy(
        self, trusting: ssl.SSLContext, policy: AddressPolicy, url: str, address: str, admitted: bool
    ) -> None:
        dialled = Dialled()
        guard = Guard(policy, resolve=Names([address]), connect=dialled, ssl_context=trusting)
        wanted = Obstacle.NO_CONNECTION if admitted else Obstacle.ADDRESS_REFUSED
        assert obstacle_of(guard, url) is wanted
        host = httpx.URL(url).host
        assert dialled.addresses == ([address or host] if admitted else [])

    def test_tried_in_turn_by_family(self, trusting: ssl.SSLContext) -> None:
        dialled = Dialled()
        names = Names(["2606:4700::1", "2606:4700::2", "2606:4700::3", "8.8.8.8", "8.8.4.4", "8.8.8.8"])
        guard = Guard(PUBLIC, resolve=names, connect=dialled, ssl_context=trusting)
        assert obstacle_of(guard, "https://a.example/") is Obstacle.NO_CONNECTION
        assert dialled.addresses == ["2606:4700::1", "8.8.8.8", "2606:4700::2", "8.8.4.4"]

    def test_a_silent_address_leaves_time_for_the_next(self, world: World) -> None:
        shares: list[float] = []

        def connect(address: str, port: int, seconds: float) -> httpcore.NetworkStream:
            shares.append(seconds)
            if address == "2606:4700::1":
                raise httpcore.ConnectTimeout
            return world.dial(address, port, seconds)

        world.on("api.openai.com", "/", in_json(200, {}))
        names = Names(["2606:4700::1", PUBLIC_ADDRESS])
        guard = Guard(PUBLIC, resolve=names, connect=connect, ssl_context=world.guard().ssl_context)
        transport = guard.transport(seconds=30)
        assert transport.handle_request(httpx.Request("GET", "https://api.openai.com/")).status_code == 200
        transport.close()
        assert shares[0] <= 2.5
        assert shares[1] <= 5.0

    @pytest.mark.parametrize(
        ("error", "obstacle"),
        [
            (TimeoutError(), Obstacle.TIMED_OUT),
            (socket.gaierror(socket.EAI_NONAME, "unknown"), Obstacle.NAME_UNKNOWN),
        ],
    )
    def test_resolver_without_an_answer(
        self, trusting: ssl.SSLContext, error: OSError, obstacle: Obstacle
    ) -> None:
        def resolve(host: str, port: int, seconds: float) -> Sequence[str]:
            assert 0 < seconds <= 5.0
            raise error

        guard = Guard(PUBLIC, resolve=resolve, connect=Dialled(), ssl_context=trusting)
        assert obstacle_of(guard, "https://a.example/") is obstacle

    def test_name_without_an_address(self, trusting: ssl.SSLContext) -> None:
        guard = Guard(PUBLIC, resolve=Names([]), connect=Dialled(), ssl_context=trusting)
        assert obstacle_of(guard, "https://a.example/") is Obstacle.NAME_UNKNOWN


class TestSystem:
    def test_resolver_knows_this_machine(self) -> None:
        assert {"127.0.0.1", "::1"} & set(resolve_name("localhost", 443, 5.0))

    def test_resolver_refuses_what_is_no_name(self) -> None:
        with pytest.raises(OSError, match="not a host name"):
            resolve_name("a" * 64 + ".example", 443, 5.0)

    def test_resolver_is_not_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        done = threading.Event()

        def hang(*_: object, **__: object) -> list[object]:
            done.wait(30)
            return []

        monkeypatch.setattr(socket, "getaddrinfo", hang)
        try:
            with pytest.raises(TimeoutError):
                resolve_name("a.example", 443, 0.05)
        finally:
            done.set()

    def test_proxies_of_the_environment_are_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        served = []

        def script(connection: socket.socket) -> None:
            served.append(read_request(connection).partition(b"\r\n")[0])
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        with raw_server(script) as port:
            transport = Guard(LOOPBACK).transport(seconds=5)
            response = transport.handle_request(httpx.Request("GET", f"http://127.0.0.1:{port}/x"))
            response.close()
            transport.close()
        assert served == [b"GET /x HTTP/1.1"]

    def test_connector_wants_an_address(self) -> None:
        with raw_server(lambda connection: None) as port:
            connect_address("127.0.0.1", port, 5.0).close()

    def test_unix_sockets_are_refused(self, trusting: ssl.SSLContext) -> None:
        transport = Guard(PRIVATE, ssl_context=trusting).transport(seconds=5)
        with pytest.raises(Unreached):
            transport._pool._network_backend.connect_unix_socket("/run/docker.sock")
        transport.close()


def test_no_tls_secret_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "secrets"))
    assert ssl.create_default_context().keylog_filename
    assert Guard(PUBLIC).ssl_context.keylog_filename is None


class TestRequests:
    @pytest.mark.parametrize("extensions", [{"sni_hostname": "evil.example"}, {"target": b"/other"}])
    def test_extensions_do_not_steer(self, world: World, extensions: dict[str, object]) -> None:
        world.on("api.openai.com", "/v1/models", in_json(200, {}))
        transport = world.guard().transport(seconds=5)
        request = httpx.Request("GET", "https://api.openai.com/v1/models", extensions=extensions)
        assert transport.handle_request(request).status_code == 200
        transport.close()

    def test_exact_limit_passes(self) -> None:
        def script(connection: socket.socket) -> None:
            read_request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * MAX_ANSWER_BYTES)

        with raw_server(script) as port:
            transport = Guard(LOOPBACK).transport(seconds=15)
            response = transport.handle_request(httpx.Request("GET", f"http://127.0.0.1:{port}/"))
            assert len(response.read()) == MAX_ANSWER_BYTES
            transport.close()

    def test_asynchronous_bodies_are_refused(self, trusting: ssl.SSLContext) -> None:
        class Body(httpx.AsyncByteStream):
            async def __aiter__(self):  # type: ignore[no-untyped-def]
                yield b""

        transport = Guard(PUBLIC, ssl_context=trusting).transport(seconds=5)
        with pytest.raises(TypeError):
            transport.handle_request(httpx.Request("POST", "https://a.example/", stream=Body()))
        transport.close()


class TestDeadline:
    @pytest.fixture
    def clock(self) -> Callable[[], float]:
        self.time = 100.0
        return lambda: self.time

    def test_counts_down_to_zero(self, clock: Callable[[], float]) -> None:
        deadline = Deadline(clock, 10.0)
        assert (deadline.remaining(), deadline.remaining(3.0)) == (10.0, 3.0)
        self.time += 9.0
        assert (deadline.remaining(), deadline.remaining(3.0)) == (1.0, 1.0)
        self.time += 9.0
        assert deadline.remaining() == 0.0

    def test_call_never_outlives_the_whole(self, clock: Callable[[], float]) -> None:
        deadline = Deadline(clock, 20.0)
        deadline.begin_call(15.0)
        assert deadline.remaining() == 15.0
        self.time += 12.0
        deadline.begin_call(15.0)
        assert deadline.remaining() == 8.0

    def test_nothing_is_read_or_written_after_it(self, trusting: ssl.SSLContext) -> None:
        time = [0.0]

        def connect(address: str, port: int, seconds: float) -> httpcore.NetworkStream:
            time[0] += 10.0
            return connect_address("127.0.0.1", port, 5.0)

        with raw_server(lambda connection: None) as port:
            guard = Guard(PRIVATE, connect=connect, ssl_context=trusting, monotonic=lambda: time[0])
            assert obstacle_of(guard, f"https://10.0.0.1:{port}/") is Obstacle.TIMED_OUT
