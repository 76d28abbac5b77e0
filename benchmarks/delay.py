"""A network between a registry and its database: what is sent to the database arrives later.

`python -m benchmarks.delay PORT SOCKET MILLISECONDS`; ends with whoever started it.
"""

from __future__ import annotations

import socket
import sys
import time
from contextlib import suppress
from threading import Thread


def main() -> None:
    """Accept connections until killed."""
    port, path, milliseconds = sys.argv[1:]
    with socket.create_server(("127.0.0.1", int(port)), backlog=200) as server:
        print("delay serving", flush=True)
        while True:
            client, _ = server.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            database = socket.socket(socket.AF_UNIX)
            database.connect(path)
            for source, target, seconds in (
                (client, database, float(milliseconds) / 1000),
                (database, client, 0.0),
            ):
                Thread(target=_forward, args=(source, target, seconds), daemon=True).start()


def _forward(source: socket.socket, target: socket.socket, seconds: float) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if seconds:
                time.sleep(seconds)
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
