"""Real processes for the tests: a sidecar and a registry on a home of their own, to start, stop and kill."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from codevector.providers.v1 import (
    model_service_pb2_grpc,
    provider_service_pb2_grpc,
    routing_service_pb2_grpc,
)

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 30.0


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    condition: Callable[[], bool], *, seconds: float = START_SECONDS, what: str = "condition"
) -> None:
    """Poll until ``condition`` holds; fail the test when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


@dataclass(slots=True)
class Process:
    """A child with its output in files, so that tests can search all that it ever said."""

    name: str
    child: subprocess.Popen[bytes]
    stdout: Path
    stderr: Path

    def wait_for_line(self, beginning: str) -> None:
        """Wait for a line on stdout; a child that ended instead fails the test with what it said."""

        def said() -> bool:
            if self.child.poll() is not None:
                raise AssertionError(
                    f"{self.name} ended with {self.child.returncode}: {self.stderr.read_text()}"
                )
            return any(line.startswith(beginning) for line in self.stdout.read_text().splitlines())

        wait_until(said, what=f"{self.name} says {beginning!r}")

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(20)

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        self.child.kill()
        self.child.wait(20)


@dataclass(slots=True)
class Instance:
    """One installation: its home, its environment and its processes, which run ``root``'s sources."""

    home: Path
    port: int
    environment: dict[str, str] = field(repr=False)
    kms: Process | None = None
    service: Process | None = None
    channel: grpc.Channel | None = None
    root: Path = ROOT
    _runs: int = field(default=0)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def router_socket(self) -> Path:
        return self.home / "kms" / "router.sock"

    @property
    def providers(self) -> provider_service_pb2_grpc.ProviderServiceStub:
        assert self.channel is not None
        return provider_service_pb2_grpc.ProviderServiceStub(self.channel)

    @property
    def models(self) -> model_service_pb2_grpc.ModelServiceStub:
        assert self.channel is not None
        return model_service_pb2_grpc.ModelServiceStub(self.channel)

    @property
    def routing(self) -> routing_service_pb2_grpc.RoutingServiceStub:
        assert self.channel is not None
        return routing_service_pb2_grpc.RoutingServiceStub(self.channel)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``python -m …`` to its end."""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def prepare(self) -> None:
        """Make keys and database."""
        for command in (("kms", "init"), ("service", "migrate")):
            done = self.run(*command)
            assert done.returncode == 0, done.stderr

    def start_kms(self) -> None:
        self.kms = self._start("kms")
        self.kms.wait_for_line("kms serving")

    def start_service(self) -> None:
        self.service = self._start("service")
        self.service.wait_for_line("service serving")
        self.channel = grpc.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1)])

    def stop_service(self) -> None:
        self._close_channel()
        assert self.service is not None
        assert self.service.stop() == 0
        self.service = None

    def kill_service(self) -> None:
        self._close_channel()
        assert self.service is not None
        self.service.kill()
        self.service = None

    def stop_kms(self) -> None:
        assert self.kms is not None
        assert self.kms.stop() == 0
        self.kms = None

    def kill_kms(self) -> None:
        assert self.kms is not None
        self.kms.kill()
        self.kms = None

    def close(self) -> None:
        self._close_channel()
        for process in (self.service, self.kms):
            if process is not None and process.child.poll() is None:
                process.kill()

    def _close_channel(self) -> None:
        if self.channel is not None:
            self.channel.close()
            self.channel = None

    def _start(self, module: str) -> Process:
        self._runs += 1
        logs = self.home / "test-logs"
        logs.mkdir(exist_ok=True)
        stdout, stderr = logs / f"{self._runs}-{module}.out", logs / f"{self._runs}-{module}.err"
        with stdout.open("wb") as out, stderr.open("wb") as err:
            child = subprocess.Popen(
                [sys.executable, "-m", module], cwd=self.root, env=self.environment, stdout=out, stderr=err
            )
        return Process(module, child, stdout, stderr)


@contextmanager
def instance(extra: Mapping[str, str] | None = None, *, root: Path = ROOT) -> Iterator[Instance]:
    """A prepared installation, nothing running yet; all of it is gone afterwards.

    The home is short on purpose: a socket path holds 107 bytes.
    """
    home = Path(tempfile.mkdtemp(prefix="cv", dir="/tmp"))
    port = free_port()
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("CODEVECTOR_", "GRPC_"))
    }
    environment = {
        **inherited,
        "CODEVECTOR_HOME": str(home),
        "CODEVECTOR_GRPC_PORT": str(port),
        "CODEVECTOR_LOG_LEVEL": "debug",
        **(extra or {}),
    }
    made = Instance(home, port, environment, root=root)
    try:
        made.prepare()
        yield made
    finally:
        made.close()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def running(extra: Mapping[str, str] | None = None) -> Iterator[Instance]:
    """A running installation."""
    with instance(extra) as made:
        made.start_kms()
        made.start_service()
        yield made
