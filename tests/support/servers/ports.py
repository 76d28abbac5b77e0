"""Ports that a test may have a server listen on, restart it there, and meet nobody else."""

from __future__ import annotations

import os
import socket

_PORTS = range(20_000, 30_000)
"""Below those that the system gives to connections: one could take a port while its server restarts."""
_reservations: list[socket.socket] = []
"""Held until this process ends."""


def free_port() -> int:
    """A port that nothing listens on, and that no other test is given, whichever process runs it."""
    begin = os.getpid() * 101 + len(_reservations)
    for number in range(len(_PORTS)):
        port = _PORTS[(begin + number) % len(_PORTS)]
        if _reserve(port):
            return port
    raise RuntimeError(f"no port between {_PORTS.start} and {_PORTS.stop} is free")


def _reserve(port: int) -> bool:
    """Whether the port is this process's from now on. The name of the reservation goes with the process."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        name.bind(f"\0codevector-tests-port-{port}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
    except OSError:
        name.close()
        return False
    _reservations.append(name)
    return True
