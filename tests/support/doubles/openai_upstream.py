"""An OpenAI-compatible upstream on loopback: who has the key lists models, and nobody else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from codevector.providers.v1 import provider_pb2

from tests.support.servers.api import KINDS, Api, api_key

GOOD = "sk-good-key-of-the-upstream-0123456789"
BAD = "sk-bad-key-of-the-upstream-0123456789"
OPENAI = KINDS.PROVIDER_KIND_OPENAI
MODELS = ("gpt-4o", "gpt-4o-mini", "our-own-model", "another-model")


@dataclass
class Upstream:
    """An OpenAI-compatible listing behind one key, or behind any."""

    port: int
    keys: set[str] = field(default_factory=lambda: {GOOD})
    models: list[str] = field(default_factory=lambda: list(MODELS))
    status: int = 200
    seen: list[str] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def answer(self, path: str, authorization: str) -> tuple[int, Any]:
        self.seen.append(authorization)
        if authorization.removeprefix("Bearer ") not in self.keys:
            # The real ones repeat a part of the key; here it is all of it.
            return 401, {
                "error": {"message": f"Incorrect API key: {authorization}", "code": "invalid_api_key"}
            }
        if path != "/v1/models" or self.status != 200:
            return max(self.status, 404), {"error": {"message": "no"}}
        return 200, {"object": "list", "data": [{"id": each, "object": "model"} for each in self.models]}


@contextmanager
def serving() -> Iterator[Upstream]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = made.answer(self.path, self.headers.get("Authorization") or "")
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Upstream(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


def openai_at(base_url: str) -> provider_pb2.ProviderConfig:
    return provider_pb2.ProviderConfig(openai=provider_pb2.OpenAIConfig(base_url=base_url))


def at(api: Api, base_url: str, key: str | None = GOOD) -> provider_pb2.Provider:
    """An OpenAI provider whose upstream is here, with a stored credential or none."""
    return api.create(
        kind=OPENAI, config=openai_at(base_url), credential=None if key is None else api_key(key)
    )
