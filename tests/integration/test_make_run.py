"""`make run` with its real processes: it starts, says so, refuses in a sentence, leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import grpc
import httpx
import pytest
from codevector.providers.v1 import (
    provider_pb2,
    provider_service_pb2,
    provider_service_pb2_grpc,
)

from tests.support.servers.harness import PATIENCE_SECONDS, ROOT, wait_until
from tests.support.servers.launched import Launched
from tests.support.servers.ports import free_port


class Launch(Protocol):
    def __call__(self, home: Path, port: int = 0, **environment: str) -> Launched: ...


@pytest.fixture
def place() -> Iterator[Path]:
    """A short temporary directory: pytest's own paths are too long for sockets."""
    path = Path(tempfile.mkdtemp(prefix="cv-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def launch() -> Iterator[Launch]:
    runs: list[Launched] = []

    def start(home: Path, port: int = 0, **environment: str) -> Launched:
        run = Launched(home, port=port or free_port(), environment=environment)
        runs.append(run)
        return run

    yield start
    for run in runs:
        run.end()


def gone(process: int) -> bool:
    """Whether a process ends before patience does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while Path(f"/proc/{process}").exists():
        state = Path(f"/proc/{process}/stat")
        try:
            if state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def environment_of(process: int) -> bytes:
    return Path(f"/proc/{process}/environ").read_bytes()


class TestServing:
    def test_from_nothing_to_ready_and_back(self, place: Path, launch: Launch) -> None:
        home = place / "a home"
        run = launch(home, VAULT_TOKEN="hvs.made-up")
        run.wait_ready()

        assert run.output.splitlines()[-1] == f"ready: grpc={run.address} console={run.console_url}"
        assert run.output.count("ready:") == 1
        assert run.errors == ""
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert {path.name for path in (home / "kms").glob("*.sock")} == {
            "registry.sock",
            "router.sock",
            "admin.sock",
        }

        children = run.children()
        assert sorted(children) == ["console", "kms", "service"]
        assert b"VAULT_TOKEN" in environment_of(children["kms"])
        assert b"VAULT_" not in environment_of(children["service"])
        assert b"VAULT_" not in environment_of(children["console"])
        assert "No providers yet" in httpx.get(run.console_url).text

        second = launch(home, port=free_port())
        assert second.wait_end() == 1
        assert f"(process {run.process.pid}) is using the data directory {home}" in second.errors
        assert len(second.errors.splitlines()) == 1

        assert run.stop() == 0
        assert all(gone(process) for process in children.values())
        stopping = [(home / "logs" / f"{name}.log").read_text() for name in ("service", "kms")]
        assert all("stopping" in log for log in stopping)

    def test_killed_it_takes_its_children_along_and_starts_again_with_its_data(
        self, place: Path, launch: Launch
    ) -> None:
        home = place / "home"
        first = launch(home)
        first.wait_ready()
        with grpc.insecure_channel(first.address) as channel:
            provider_service_pb2_grpc.ProviderServiceStub(channel).CreateProvider(
                provider_service_pb2.CreateProviderRequest(
                    provider=provider_pb2.Provider(
                        display_name="Kept", kind=provider_pb2.PROVIDER_KIND_OPENAI
                    ),
                    credential=provider_pb2.CredentialInput(
                        api_key=provider_pb2.ApiKeyCredential(api_key="sk-made-up-0123456789")
                    ),
                ),
                timeout=120,
            )
        children = first.children()
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
        assert all(gone(process) for process in children.values())

        again = launch(home, port=first.port)
        again.wait_ready()
        with grpc.insecure_channel(again.address) as channel:
            listed = provider_service_pb2_grpc.ProviderServiceStub(channel).ListProviders(
                provider_service_pb2.ListProvidersRequest(), timeout=60
            )
        assert [provider.display_name for provider in listed.providers] == ["Kept"]
        again.process.send_signal(signal.SIGTERM)
        assert again.wait_end() == 0

    @pytest.mark.parametrize(
        ("victim", "survivor"), [("service", "kms"), ("kms", "service"), ("console", "service")]
    )
    def test_when_one_dies_the_other_is_stopped(
        self, place: Path, launch: Launch, victim: str, survivor: str
    ) -> None:
        run = launch(place / "home")
        run.wait_ready()
        children = run.children()
        os.kill(children[victim], signal.SIGKILL)
        assert run.wait_end() == 1
        assert gone(children[survivor])
        assert "was killed by SIGKILL, so everything was stopped" in run.errors.splitlines()[0]
        assert str(place / "home" / "logs" / f"{victim}.log") in run.errors

    def test_make_itself_killed(self, place: Path) -> None:
        port = free_port()
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("CODEVECTOR_", "MAKE"))
        }
        environment |= {"CODEVECTOR_HOME": str(place / "home"), "CODEVECTOR_GRPC_PORT": str(port)}
        console_port = free_port()
        environment["CODEVECTOR_CONSOLE_PORT"] = str(console_port)
        make = subprocess.Popen(
            ["make", "run"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            assert make.stdout is not None
            assert any(line.startswith(f"ready: grpc=127.0.0.1:{port} console=") for line in make.stdout)
            launcher = int((place / "home" / "run.lock").read_text())
            make.kill()
            assert gone(launcher)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(make.pid, signal.SIGKILL)
            make.communicate()


class TestLogs:
    CALLS = 4_000
    AT_ONCE = 20

    def call(self, address: str, method: str) -> list[str]:
        """Make calls whose lines fill more than a file, and return their request ids."""
        ids = [f"{number:0128}" for number in range(self.CALLS)]
        with grpc.insecure_channel(address) as channel:
            stub: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
            for at in range(0, self.CALLS, self.AT_ONCE):
                calls = [
                    stub.future(b"", timeout=PATIENCE_SECONDS, metadata=(("x-request-id", each),))
                    for each in ids[at : at + self.AT_ONCE]
                ]
                for call in calls:
                    call.result()
        return ids

    def logged(self, log: Path) -> list[str]:
        """The request ids in a log's files, the oldest first."""
        older = sorted(log.parent.glob(f"{log.name}.[0-9]"), reverse=True)
        assert older, f"{log} was not full"
        assert all(file.stat().st_size <= 1 << 20 for file in (*older, log))
        lines = [json.loads(line) for file in (*older, log) for line in file.read_text().splitlines()]
        return [line["request_id"] for line in lines if len(line.get("request_id", "")) == 128]

    def test_a_full_one_is_moved_aside_and_nothing_is_lost(self, place: Path, launch: Launch) -> None:
        home = place / "home"
        run = launch(home, CODEVECTOR_LOG_LEVEL="debug", CODEVECTOR_LOG_FILE_MIB="1")
        run.wait_ready()
        for name, address, method in (
            ("service", run.address, "/codevector.providers.v1.RoutingService/GetRoutingSnapshot"),
            ("kms", f"unix:{home}/kms/router.sock", "/codevector.kms.v1.KeyManagementService/GetStatus"),
        ):
            ids = self.call(address, method)
            log = home / "logs" / f"{name}.log"
            wait_until(lambda ids=ids, log=log: sorted(self.logged(log)) == ids, what=f"all lines of {name}")  # type: ignore[misc]
        os.kill(run.children()["service"], signal.SIGKILL)
        assert run.wait_end() == 1
        _, *end = run.errors.splitlines()
        assert [json.loads(line)["event"] for line in end][-1:] == ["rpc_done"]


class TestRefusals:
    """One sentence on stderr, exit code 1, and nothing that runs on."""

    def refused(self, run: Launched) -> str:
        assert run.wait_end() == 1
        assert run.children() == {}
        assert "ready:" not in run.output
        (sentence,) = run.errors.splitlines()
        return sentence

    def test_the_port_is_taken(self, place: Path, launch: Launch) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            sentence = self.refused(launch(place / "home", port=port))
        assert f"port {port} is taken" in sentence
        assert "CODEVECTOR_GRPC_PORT" in sentence

    def test_the_home_is_too_deep_for_sockets(self, place: Path, launch: Launch) -> None:
        home = place / ("d" * 100)
        assert "set it or CODEVECTOR_HOME to a shorter path" in self.refused(launch(home))
        assert not home.exists()

    def test_the_home_cannot_be_made(self, place: Path, launch: Launch) -> None:
        (place / "file").touch()
        assert "cannot be written" in self.refused(launch(place / "file" / "home"))

    def test_the_keyring_is_missing_while_data_exist(self, place: Path, launch: Launch) -> None:
        home = place / "home"
        home.mkdir()
        (home / "registry.db").touch()
        sentence = self.refused(launch(home))
        assert "is missing, but data exists" in sentence
        assert not (home / "kms").exists()

    def test_the_sidecar_says_what_is_wrong_with_the_keyring(self, place: Path, launch: Launch) -> None:
        (place / "home" / "kms").mkdir(parents=True, mode=0o700)
        keyring = place / "home" / "kms" / "keyring.json"
        keyring.write_text("{}")
        keyring.chmod(0o644)
        assert self.refused(launch(place / "home")).startswith("run: kms: ")
