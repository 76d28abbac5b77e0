"""Real processes for the tests: a sidecar and a registry on a home of their own, to start, stop and kill."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from uuid import uuid4

from tests.support.servers.ports import free_port
from tests.support.servers.served import Served

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 120.0
"""For whatever must come true, on a machine that does other things meanwhile. Nothing is proven by less."""


def wait_until(
    condition: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS, what: str = "condition"
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
        return self.child.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        self.child.kill()
        self.child.wait(PATIENCE_SECONDS)


@dataclass(slots=True)
class Instance(Served):
    """One installation: its home, its environment and its processes, which run ``root``'s sources."""

    home: Path
    environment: dict[str, str] = field(repr=False)
    kms: Process | None = None
    service: Process | None = None
    console: Process | None = None
    root: Path = ROOT
    _runs: int = field(default=0)

    @property
    def registry_socket(self) -> Path:
        return self.home / "kms" / "registry.sock"

    @property
    def router_socket(self) -> Path:
        return self.home / "kms" / "router.sock"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``python -m …`` to its end."""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def execute(self, *arguments: str) -> None:
        """``python -m …`` to its good end."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr

    def start_kms(self) -> None:
        self.kms = self._start("kms")
        self.kms.wait_for_line("kms serving")

    def start_service(self) -> None:
        self.service = self._start("service")
        self.service.wait_for_line("service serving")
        self.connect()

    def start_console(self) -> None:
        """Start the console on the port that ``CODEVECTOR_CONSOLE_PORT`` of the environment names."""
        self.console = self._start("console")
        self.console.wait_for_line("console serving")

    def stop_service(self) -> None:
        self.disconnect()
        assert self.service is not None
        assert self.service.stop() == 0
        self.service = None

    def kill_service(self) -> None:
        self.disconnect()
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
        self.disconnect()
        for process in (self.console, self.service, self.kms):
            if process is not None and process.child.poll() is None:
                process.kill()

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
    """A prepared installation, nothing running yet; all of it is gone afterwards."""
    home, port = _new_home(), free_port()
    made = Instance(port, home, _environment(home, port, extra or {}), root=root)
    try:
        _copy_prepared(home)
        if "CODEVECTOR_DATABASE_URL" in made.environment:
            (home / "registry.db").unlink()
            made.execute("service", "migrate")
        yield made
    finally:
        made.close()
        shutil.rmtree(home, ignore_errors=True)


def _copy_prepared(home: Path) -> None:
    """Make ``home`` a prepared one, with a store of its own. All homes of a run share one deployment."""
    shutil.copytree(_prepared_home(), home, dirs_exist_ok=True)
    with closing(sqlite3.connect(home / "registry.db")) as database, database:
        database.execute("UPDATE revision_counter SET store_id = ?", (str(uuid4()),))


@cache
def _prepared_home() -> Path:
    """A home as ``kms init`` and ``service migrate`` leave it. They take seconds, a copy milliseconds."""
    home = _new_home()
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    made = Instance(0, home, _environment(home, free_port(), {}))
    made.execute("kms", "init")
    made.execute("service", "migrate")
    return home


def _new_home() -> Path:
    """An empty directory with a short name: a socket path holds 107 bytes."""
    return Path(tempfile.mkdtemp(prefix="cv", dir="/tmp"))


def _environment(home: Path, port: int, extra: Mapping[str, str]) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("CODEVECTOR_", "GRPC_"))
    }
    return {
        **inherited,
        "CODEVECTOR_HOME": str(home),
        "CODEVECTOR_GRPC_PORT": str(port),
        "CODEVECTOR_LOG_LEVEL": "debug",
        **extra,
    }


@contextmanager
def running(extra: Mapping[str, str] | None = None) -> Iterator[Instance]:
    """A running installation."""
    with instance(extra) as made:
        made.start_kms()
        made.start_service()
        yield made
