"""The upstreams of all kinds that take an API key, on one port of this machine over plain HTTP.

Each kind has a base URL of its own here, and tells the good key from a bad one as its vendor does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.doubles.upstream_accounts import API_KEY, BAD_KEY, KEYED, WRONG_KEY, has_key
from tests.support.doubles.upstream_servers import Asked, Reply, in_json

__all__ = ["API_KEY", "WRONG_KEY", "KeyedUpstreams", "serving"]

HOSTS_ALONE = {"azure": "/openai/", "bedrock": "/foundation-models"}
"""Kinds whose setting is a host without a path, by how the paths that they ask for begin."""


@dataclass
class KeyedUpstreams:
    """A server that is running; ``asked`` are the paths so far."""

    port: int
    asked: list[str] = field(default_factory=list)

    def url(self, kind: str) -> str:
        """Return the base URL of a kind."""
        origin = f"http://127.0.0.1:{self.port}"
        return origin if kind in HOSTS_ALONE else f"{origin}/at/{kind}"

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked.path)
        named = asked.path.removeprefix("/at/").split("/")[0]
        kind = next((name for name, path in HOSTS_ALONE.items() if asked.path.startswith(path)), named)
        if kind not in KEYED:
            return Reply(404, b"no such page")
        return in_json(200, KEYED[kind].listing) if has_key(kind, asked) else BAD_KEY[kind]


@contextmanager
def serving() -> Iterator[KeyedUpstreams]:
    """Serve on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = made.answer(Asked(self.command, headers["host"], self.path, headers, b""))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = KeyedUpstreams(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
