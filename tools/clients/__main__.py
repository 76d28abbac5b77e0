"""`python -m tools.clients [NAME…]`: build these clients, or all."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from tools.clients import go, java, typescript
from tools.clients.builds import Client, is_current, mark_current
from tools.steps import StepFailed, main_of, one_at_a_time, say

CLIENTS: dict[str, Client] = {client.name: client for client in (go.CLIENT, java.CLIENT, typescript.CLIENT)}


def build(clients: Iterable[Client]) -> None:
    """Build those of the clients that are not current."""
    for client in clients:
        if is_current(client):
            continue
        with one_at_a_time():
            if is_current(client):
                continue
            say(f"building the {client.title} client")
            client.build()
            mark_current(client)


def main(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in CLIENTS]
    if unknown:
        raise StepFailed(f"client {unknown[0]} not found: choose from {', '.join(CLIENTS)}.")
    build(CLIENTS[name] for name in names or CLIENTS)


if __name__ == "__main__":
    sys.exit(main_of(lambda: main(sys.argv[1:])))
