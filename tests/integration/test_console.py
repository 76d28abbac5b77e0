"""The console as a process: it serves, leaks nothing, follows the registry, and ends in peace."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.support.servers.harness import PATIENCE_SECONDS, ROOT, Instance, Process, running, wait_until
from tests.support.servers.ports import free_port

CANARY = "sk-proj-canary-0123456789-canary"


@pytest.fixture
def installation() -> Iterator[Instance]:
    with running() as made:
        yield made


class Console:
    """A console process before an installation."""

    def __init__(self, installation: Instance) -> None:
        self.port = free_port()
        self.environment = {**installation.environment, "CODEVECTOR_CONSOLE_PORT": str(self.port)}
        logs = installation.home / "test-logs"
        stdout, stderr = logs / "console.out", logs / "console.err"
        with stdout.open("wb") as out, stderr.open("wb") as err:
            child = subprocess.Popen(
                [sys.executable, "-m", "console"], cwd=ROOT, env=self.environment, stdout=out, stderr=err
            )
        self.process = Process("console", child, stdout, stderr)
        self.process.wait_for_line("console serving")
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", follow_redirects=True)

    def close(self) -> None:
        self.client.close()
        if self.process.child.poll() is None:
            self.process.kill()


@pytest.fixture
def console(installation: Instance) -> Iterator[Console]:
    made = Console(installation)
    yield made
    made.close()


class TestTheProcess:
    def test_saves_a_provider_and_keeps_nothing_of_its_key(
        self, installation: Instance, console: Console
    ) -> None:
        form = console.client.get("/admin/providers/new?kind=openai").text
        fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
        origin = {"origin": f"http://127.0.0.1:{console.port}"}
        typed = {**fields, "name": "OpenAI production", "credential.api_key.api_key": CANARY}
        saved = console.client.post("/admin/providers/new", data=typed, headers=origin)
        assert "OpenAI production is added." in saved.text
        assert "sk-proj-canary"[:11] in saved.text
        assert CANARY not in saved.text
        console.client.get(f"/admin/providers?q={CANARY}")
        assert console.process.stop() == 0
        assert CANARY not in console.process.stdout.read_text() + console.process.stderr.read_text()

    def test_comes_back_with_the_registry(self, installation: Instance, console: Console) -> None:
        assert console.client.get("/admin/providers").status_code == 200
        installation.stop_service()
        assert "The registry is away" in console.client.get("/admin/providers").text
        installation.start_service()
        wait_until(lambda: console.client.get("/admin/providers").status_code == 200, what="it is back")

    def test_ends_on_a_signal_while_a_browser_is_connected(self, console: Console) -> None:
        console.client.get("/admin/providers")
        console.process.child.send_signal(signal.SIGINT)
        assert console.process.child.wait(PATIENCE_SECONDS) == 0

    def test_refuses_a_port_that_is_taken_in_a_sentence(self, installation: Instance) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            environment = {**installation.environment, "CODEVECTOR_CONSOLE_PORT": str(port)}
            done = subprocess.run(
                [sys.executable, "-m", "console"],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=PATIENCE_SECONDS,
                check=False,
            )
        assert done.returncode == 1
        assert done.stderr == (
            f"console: 127.0.0.1:{port} cannot be used: stop what listens there, "
            "or set CODEVECTOR_CONSOLE_PORT\n"
        )
