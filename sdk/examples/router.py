"""A one-page router: follow the registry, and chat with one of its models through the real openai client.

Register the example's upstream first (README.md beside this file's folder shows how), and then:

    python sdk/examples/router.py --start-upstream "Hello there"
"""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import codevector_providers
import openai
from upstream import EXAMPLE_KEY, Upstream  # type: ignore[import-not-found] # the file beside this one


def chat(router: codevector_providers.Router, model: str, message: str) -> str:
    """Ask a model, trying its backends in order. Keys are in the transport, never in this code."""
    failures: list[Exception] = []
    for route in router.attempts(model):
        try:
            with router.http(route.provider.name) as http:
                upstream = openai.OpenAI(
                    base_url=str(http.base_url),
                    api_key="unused",
                    http_client=http,  # type: ignore[arg-type] # typed for httpx2, takes httpx as well
                )
                answer = upstream.chat.completions.create(
                    model=route.provider_model.upstream_model_id,
                    messages=[{"role": "user", "content": message}],
                )
            return f"{route.provider_model.name}: {answer.choices[0].message.content}"
        except (codevector_providers.ProvidersError, openai.APIConnectionError) as error:
            failures.append(error)
    raise ExceptionGroup(f"no backend of {model} answered", failures)


@contextmanager
def started(upstream: Upstream) -> Iterator[None]:
    """Run the upstream in a thread while the context lasts."""
    thread = threading.Thread(target=upstream.serve_forever, daemon=True)
    with upstream:
        thread.start()
        try:
            yield
        finally:
            upstream.shutdown()


def main() -> None:
    """Read the command line, chat once, print the answer."""
    home = os.environ.get("CODEVECTOR_HOME", "var")
    port = os.environ.get("CODEVECTOR_GRPC_PORT", "50051")
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("message", nargs="?", default="Hello")
    parser.add_argument("--registry", default=f"127.0.0.1:{port}")
    parser.add_argument("--kms-socket", default=f"{home}/kms/router.sock")
    parser.add_argument("--model", default="providers/example/models/example-chat")
    parser.add_argument("--start-upstream", action="store_true", help="serve the upstream here, too")
    parser.add_argument("--upstream-port", type=int, default=8099)
    parser.add_argument("--upstream-key", default=EXAMPLE_KEY)
    options = parser.parse_args()
    upstream = Upstream(options.upstream_port, options.upstream_key) if options.start_upstream else None
    with (
        started(upstream) if upstream else nullcontext(),
        codevector_providers.Router(
            options.registry, kms_socket=options.kms_socket, allow_loopback_http=True
        ) as router,
    ):
        print(chat(router, options.model, options.message))


if __name__ == "__main__":
    main()
