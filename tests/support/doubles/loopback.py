"""Real HTTP servers on this machine that record what reached them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

AUTH_HEADERS = {"authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie"}


@dataclass
class Seen:
    """One request: its path and its headers, names in lower case."""

    path: str
    headers: dict[str, str]


@dataclass
class Recorder:
    """A listener. ``redirect_to`` makes it answer everything with a 307 to that URL.

    ``echo`` makes it repeat the ``Authorization`` that it was sent, in a header.
    """

    redirect_to: str = ""
    echo: bool = False
    port: int = 0
    seen: list[Seen] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def auth_headers_seen(self) -> list[str]:
        return [name for request in self.seen for name in request.headers if name in AUTH_HEADERS]


@contextmanager
def listening(recorder: Recorder) -> Iterator[Recorder]:
    """Serve the recorder on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            recorder.seen.append(
                Seen(self.path, {name.lower(): value for name, value in self.headers.items()})
            )
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(307 if recorder.redirect_to else 200)
            if recorder.redirect_to:
                self.send_header("Location", recorder.redirect_to)
            if recorder.echo:
                self.send_header("X-Echo", self.headers.get("Authorization", ""))
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        recorder.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield recorder
        finally:
            server.shutdown()
            thread.join()
