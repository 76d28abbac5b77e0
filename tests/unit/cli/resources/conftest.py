from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers.shell import Shell
from tests.support.servers.wired import wired


@pytest.fixture
def shell() -> Iterator[Shell]:
    """A real registry that holds nothing."""
    with wired({"CODEVECTOR_ALLOW_LOOPBACK_HTTP": "1"}) as registry:
        yield Shell(registry)


@pytest.fixture
def stocked(shell: Shell) -> Shell:
    """With a provider, two models of it, and a model over both."""
    return stock(shell)


@pytest.fixture(scope="module")
def untouched() -> Iterator[Shell]:
    """Holds nothing; for tests that change nothing."""
    with wired() as registry:
        yield Shell(registry)


@pytest.fixture(scope="module")
def shelf() -> Iterator[Shell]:
    """Stocked; for tests that change nothing."""
    with wired() as registry:
        yield stock(Shell(registry))


def stock(shell: Shell) -> Shell:
    create = "provider create openai-prod --kind openai --label team=search --credential-stdin"
    shell.ok(create, stdin="sk-proj-0123456789abcdefghijklmnop\n")
    shell.ok("provider import openai-prod gpt-4o gpt-4o-mini --catalog-version 2026.04.15")
    backends = "--backend openai-prod/gpt-4o --backend openai-prod/gpt-4o-mini,priority=1,weight=3"
    shell.ok(f"model create smart --kind chat {backends}")
    return shell
