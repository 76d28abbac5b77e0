"""A server that is slow to answer is not one that is away."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import grpc
import pytest
from codevector_providers import _channels
from codevector_providers._channels import LOCAL_OPTIONS, REGISTRY_OPTIONS, registry_channel

HANDSHAKE_SECONDS = 0.3


@contextmanager
def slow_server() -> Iterator[str]:
    """The address of a server that has no methods, behind a relay that holds the first bytes back."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relaying = threading.Thread(target=_relay, args=(listener, port, over))
        relaying.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            relaying.join()
            server.stop(None).wait()


def _relay(listener: socket.socket, port: int, over: threading.Event) -> None:
    """Relay connections, one after the other, each as slowly as its first bytes are."""
    listener.settimeout(0.05)
    while not over.is_set():
        try:
            near, _ = listener.accept()
        except TimeoutError:
            continue
        with near, socket.create_connection(("127.0.0.1", port)) as far:
            over.wait(HANDSHAKE_SECONDS)
            back = threading.Thread(target=_pump, args=(far, near))
            back.start()
            _pump(near, far)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    while octets := source.recv(65536):
        target.sendall(octets)
    target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("options", [LOCAL_OPTIONS, REGISTRY_OPTIONS], ids=["sidecar", "registry"])
def test_a_slow_handshake_is_waited_for(options: tuple[tuple[str, int], ...]) -> None:
    with slow_server() as address:
        pooled = [*options, ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(address, options=pooled) as channel:
            call: Any = channel.unary_unary("/no.Such/Method")
            with pytest.raises(grpc.RpcError) as answered:
                call(b"", timeout=60)
        assert answered.value.code() is grpc.StatusCode.UNIMPLEMENTED


class FreezingRelay:
    """Relays connections to a server. When it freezes, nothing passes any more in those that are open."""

    def __init__(self, listener: socket.socket, port: int) -> None:
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        self._listener = listener
        self._port = port
        self._frozen: list[threading.Event] = []

    def serve(self) -> None:
        """Until the listener is shut down."""
        with ExitStack() as stack:
            while True:
                try:
                    near = stack.enter_context(self._listener.accept()[0])
                except OSError:
                    return
                far = stack.enter_context(socket.create_connection(("127.0.0.1", self._port)))
                self._frozen.append(frozen := threading.Event())
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(*pair, frozen), daemon=True).start()

    def freeze(self) -> None:
        for frozen in self._frozen:
            frozen.set()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket, frozen: threading.Event) -> None:
        with suppress(OSError):
            while octets := source.recv(65536):
                if not frozen.is_set():
                    target.sendall(octets)


@contextmanager
def freezing_relay() -> Iterator[FreezingRelay]:
    """In front of a server that has no methods, and lets itself be asked for signs of life."""
    options = [
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 1),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    server = grpc.server(ThreadPoolExecutor(1), options=options)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = FreezingRelay(listener, port)
        relaying = threading.Thread(target=relay.serve)
        relaying.start()
        try:
            yield relay
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            relaying.join()
            server.stop(None).wait()


def test_a_connection_that_died_without_a_word_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is configured, in a hundredth of the time."""
    hurried = [
        (name, value // 100 if "keepalive_time" in name or "ping_timeout" in name else value)
        for name, value in REGISTRY_OPTIONS
    ]
    monkeypatch.setattr(_channels, "REGISTRY_OPTIONS", hurried)
    with (
        freezing_relay() as relay,
        registry_channel(
            relay.address, credentials=None, with_token=False, max_reconnect_seconds=0.1
        ) as channel,
    ):
        call: Any = channel.unary_unary("/no.Such/Method")

        def answer() -> grpc.StatusCode:
            with pytest.raises(grpc.RpcError) as ended:
                call(b"", timeout=60, wait_for_ready=True)
            return ended.value.code()

        def reach_the_server() -> None:
            while (code := answer()) is not grpc.StatusCode.UNIMPLEMENTED:
                assert code is grpc.StatusCode.UNAVAILABLE, "not given up"

        # A machine that pauses for longer than the hurried timeout ends a connection before it is frozen.
        reach_the_server()
        relay.freeze()
        reach_the_server()
