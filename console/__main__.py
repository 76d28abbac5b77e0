"""`python -m console` serves the administrators' pages; see --help."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn

from console import app, telemetry
from console.settings import Settings, load
from runtime.log_files import log_stream
from runtime.logs import LibraryLines, build_logger
from runtime.release import release
from runtime.settings import SettingsError

CONNECTIONS = 512
GRACE_SECONDS = 5


class PortTaken(Exception):
    """The address cannot be served on; the message is one sentence that says what to do."""


class Server(uvicorn.Server):
    """Says that it serves once it does, and ends cleanly when it is asked to."""

    address = ""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGTERM and SIGINT; uvicorn's own would raise them again at the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so in one line."""
        await super().startup(sockets)
        print(f"console serving {self.address}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Exit code 0; 1 for a refusal, with one sentence on stderr; 2 for bad usage."""
    parser = argparse.ArgumentParser(
        prog="python -m console", description="The web pages of the CodeVector provider registry."
    )
    parser.add_argument("--check-config", action="store_true", help="print the effective settings and exit")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    options = parser.parse_args(arguments)
    if options.version:
        print(f"provider-console {release()}")
        return 0
    try:
        settings = load(os.environ)
        if options.check_config:
            print(*settings.lines(), sep="\n")
        else:
            _serve(settings)
    except (SettingsError, PortTaken) as refusal:
        print(f"console: {refusal}", file=sys.stderr)
        return 1
    return 0


def _serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    log = build_logger(log_stream(settings.log_file, settings.log_file_bytes), settings.logging_level)
    logging.getLogger().addHandler(LibraryLines(log, telemetry.LIBRARY_MESSAGE))
    with _listener(settings.port) as listener, app.build(settings, log) as application:
        server = Server(
            uvicorn.Config(
                application,
                access_log=False,  # the guard writes a line of its own, without queries
                log_config=None,
                lifespan="off",
                server_header=False,
                limit_concurrency=CONNECTIONS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        server.address = settings.url
        log.info(telemetry.SERVING, address=settings.url)
        server.run(sockets=[listener])
        log.info(telemetry.STOPPING)


def _listener(port: int) -> socket.socket:
    """Return a socket that is bound to loopback and does not listen yet.

    Raises:
        PortTaken: the address cannot be bound.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise PortTaken(
            f"127.0.0.1:{port} cannot be used: stop what listens there, or set CODEVECTOR_CONSOLE_PORT"
        ) from None
    return listener


if __name__ == "__main__":
    sys.exit(main())
