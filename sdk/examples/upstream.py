"""An OpenAI-compatible upstream on this machine, to try a router with: it chats and refuses a wrong key.

python sdk/examples/upstream.py --port 8099
"""

from __future__ import annotations

import argparse
import hmac
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "example-chat"
EXAMPLE_KEY = "sk-example-key-of-the-upstream"


class Upstream(ThreadingHTTPServer):
    """Serves /v1/models and /v1/chat/completions to requests with the key. Port 0 takes a free one."""

    def __init__(self, port: int, api_key: str) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.api_key = api_key

    @property
    def base_url(self) -> str:
        """The base_url for a provider of kind openai_compatible."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        if self._authorised() and self._known("/v1/models"):
            self._answer(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self._authorised() and self._known("/v1/chat/completions"):
            request = json.loads(body)
            said = request["messages"][-1]["content"]
            self._answer(200, _completion(request["model"], f"You said: {said}"))

    def _authorised(self) -> bool:
        given = self.headers.get("Authorization") or ""
        if hmac.compare_digest(given.encode(), f"Bearer {self.server.api_key}".encode()):
            return True
        self._answer(401, {"error": {"message": "Incorrect API key provided.", "code": "invalid_api_key"}})
        return False

    def _known(self, path: str) -> bool:
        if self.path == path:
            return True
        self._answer(404, {"error": {"message": "No such path."}})
        return False

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing: only the router's output matters here."""


def _completion(model: str, text: str) -> dict[str, object]:
    return {
        "id": "chatcmpl-example",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--key", default=EXAMPLE_KEY)
    options = parser.parse_args()
    with Upstream(options.port, options.key) as server:
        print(f"upstream: {server.base_url}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
