"""The TypeScript client: its own tests, and its example router against real processes."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from codevector.providers.v1 import provider_pb2, provider_service_pb2

from tests.support.doubles.tls_front import TlsFront, tls_front
from tests.support.servers.harness import Instance, running, wait_until
from tests.support.toolchains import build_client
from tools.clients.typescript import DIST, SOURCES, node

SECRET = "gsk_canary6789abcdefghijklmnop"
STOP_SECONDS = 60.0


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    build_client("typescript")


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    with running() as made:
        yield made


@pytest.fixture
def front(instance: Instance, tmp_path: Path) -> Iterator[TlsFront]:
    with tls_front(instance.address, tmp_path) as made:
        yield made


def run(*arguments: object) -> None:
    """Node, in the client's folder, to its end."""
    done = subprocess.run(
        [node().node, *map(str, arguments)],
        cwd=SOURCES,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def add_provider(instance: Instance, name: str) -> None:
    instance.providers.CreateProvider(
        provider_service_pb2.CreateProviderRequest(
            provider_id=name,
            provider=provider_pb2.Provider(display_name=name, kind=provider_pb2.PROVIDER_KIND_GROQ),
            credential=provider_pb2.CredentialInput(api_key=provider_pb2.ApiKeyCredential(api_key=SECRET)),
        ),
        timeout=60,
    )


@contextmanager
def example(instance: Instance, registry: str, *options: str | Path) -> Iterator[Path]:
    """The example router, until it is told to stop; what it says goes into the file."""
    said = instance.home / "test-logs" / "example.out"
    with said.open("w") as output:
        child = subprocess.Popen(
            [
                node().node,
                DIST / "src" / "examples" / "router.js",
                "--registry",
                registry,
                "--kms-socket",
                instance.router_socket,
                "--watcher-id",
                "example",
                *options,
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield said
        child.send_signal(signal.SIGTERM)
        assert child.wait(STOP_SECONDS) == 0, said.read_text()
    finally:
        child.kill()
        child.wait(STOP_SECONDS)


def test_its_own_tests_pass() -> None:
    tests = sorted((DIST / "test").glob("*.test.js"))
    assert tests
    run("--test", *tests)


def test_its_sources_have_one_format() -> None:
    run("node_modules/prettier/bin/prettier.cjs", "--check", "src", "test")


def test_the_example_follows_the_registry_and_opens_what_it_finds(instance: Instance) -> None:
    add_provider(instance, "first")
    with example(instance, instance.address) as said:
        opened = "API_KEY, version 1, <redacted>) for api https://api.groq.com"
        wait_until(lambda: f"Credential(providers/first, {opened}" in said.read_text())
        add_provider(instance, "second")
        wait_until(lambda: f"Credential(providers/second, {opened}" in said.read_text())
        instance.kill_service()
        wait_until(lambda: "disconnected, serving the last table" in said.read_text())
        instance.start_service()
        add_provider(instance, "third")
        wait_until(lambda: f"Credential(providers/third, {opened}" in said.read_text())
    assert SECRET not in said.read_text()
    assert said.read_text().count("new snapshot") == 1


def test_the_example_speaks_mutual_tls(instance: Instance, front: TlsFront, tmp_path: Path) -> None:
    add_provider(instance, "over-tls")
    token = tmp_path / "token"
    token.write_text("t0ken\n")
    identity = ("--ca", front.ca, "--cert", front.cert, "--key", front.key, "--token-file", token)
    with example(instance, front.address, *identity) as said:
        wait_until(lambda: "Credential(providers/over-tls, API_KEY" in said.read_text())


@pytest.mark.parametrize("unproven", ["registry", "router"])
def test_mutual_tls_asks_both_sides_for_proof(front: TlsFront, unproven: str) -> None:
    authority = front.ca if unproven == "router" else front.cert
    done = subprocess.run(
        [
            node().node,
            DIST / "src" / "examples" / "router.js",
            "--registry",
            front.address,
            "--ca",
            authority,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "RegistryUnavailable" in done.stderr
