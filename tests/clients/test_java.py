"""The Java client: its own tests, and the commands of its README against real processes."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from codevector.providers.v1 import provider_pb2, provider_service_pb2, system_service_pb2
from codevector.providers.v1.system_service_pb2_grpc import SystemServiceStub

from tests.support.servers.harness import ROOT, Instance, running, wait_until
from tests.support.toolchains import build_client
from tools.clients.java import SOURCES, run_maven

SECRET = "gsk_canary6789abcdefghijklmnop"
STOP_SECONDS = 60.0
STOPPED_BY_SIGTERM = 143


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    build_client("java")


def add_provider(instance: Instance, name: str) -> None:
    instance.providers.CreateProvider(
        provider_service_pb2.CreateProviderRequest(
            provider_id=name,
            provider=provider_pb2.Provider(display_name=name, kind=provider_pb2.PROVIDER_KIND_GROQ),
            credential=provider_pb2.CredentialInput(api_key=provider_pb2.ApiKeyCredential(api_key=SECRET)),
        ),
        timeout=60,
    )


def routers(instance: Instance) -> list[str]:
    assert instance.channel is not None
    answer = SystemServiceStub(instance.channel).ListRouters(
        system_service_pb2.ListRoutersRequest(), timeout=60
    )
    return [router.watcher_id for router in answer.routers]


@contextmanager
def example(instance: Instance) -> Iterator[Path]:
    """The README's example, until it is told to stop; what it says goes into the file."""
    line = re.search(r"^java .*$", (SOURCES / "README.md").read_text(), re.MULTILINE)
    assert line is not None
    command = line[0].replace("127.0.0.1:50051", instance.address)
    command = command.replace("var/kms/router.sock", str(instance.router_socket))
    said = instance.home / "test-logs" / "example.out"
    with said.open("w") as output:
        child = subprocess.Popen(shlex.split(command), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield said
        child.send_signal(signal.SIGTERM)
        assert child.wait(STOP_SECONDS) == STOPPED_BY_SIGTERM, said.read_text()
    finally:
        child.kill()
        child.wait(STOP_SECONDS)


def test_its_own_tests_pass() -> None:
    totals = re.findall(
        r"Tests run: (\d+), Failures: 0, Errors: 0, Skipped: 0$", run_maven("test"), re.MULTILINE
    )
    assert totals
    assert int(totals[-1]) > 100


def test_the_example_follows_the_registry_and_opens_what_it_finds() -> None:
    with running() as instance:
        add_provider(instance, "first")
        with example(instance) as said:
            opened = "CREDENTIAL_TYPE_API_KEY, version 1] for [api https://api.groq.com]"
            wait_until(lambda: f"Credential[providers/first, {opened}" in said.read_text())
            add_provider(instance, "second")
            wait_until(lambda: f"Credential[providers/second, {opened}" in said.read_text())
            instance.kill_service()
            instance.start_service()
            add_provider(instance, "third")
            wait_until(lambda: f"Credential[providers/third, {opened}" in said.read_text())
            wait_until(lambda: len(routers(instance)) == 1)
        assert routers(instance) == []
        assert SECRET not in said.read_text()
        assert "Exception" not in said.read_text()
