"""A server that is slow to answer is not one that is away."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from codevector_providers._channels import LOCAL_OPTIONS, REGISTRY_OPTIONS

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
                call(b"", timeout=10)
        assert answered.value.code() is grpc.StatusCode.UNIMPLEMENTED
