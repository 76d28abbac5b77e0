"""Servers under measurement: pinned to one core, their CPU read from the kernel's clock of that process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SERVER_CORE, CLIENT_CORE = 0, 1
SETTLED_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. ``started_seconds`` is from exec to its first line."""

    pid: int
    address: str
    started_seconds: float

    def cpu_seconds(self) -> float:
        """CPU of all its threads so far."""
        return _cpu_seconds(self.pid)

    def memory_mb(self) -> float:
        """Resident memory now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _cpu_seconds(pid: int) -> float:
    """Source: clock_getcpuclockid(3) of another process."""
    return time.clock_gettime((~pid << 3) | 2)


def group_cpu_seconds(group: int) -> float:
    """CPU so far of all processes that are alive in a process group."""
    pids = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    total = 0.0
    for pid in pids:
        with suppress(OSError):  # it has just ended
            if os.getpgid(pid) == group:
                total += _cpu_seconds(pid)
    return total


def pin(core: int) -> list[str]:
    """The command in front of another that keeps it on one core, where the machine has more than one."""
    return ["taskset", "-c", str(core)] if (os.cpu_count() or 1) > 1 and shutil.which("taskset") else []


def settled(server: Server) -> Server:
    """The server, once it has stopped working on what it was asked, or after some seconds."""
    before = server.cpu_seconds()
    for _ in range(100):
        time.sleep(SETTLED_SECONDS)
        now = server.cpu_seconds()
        if now - before < SETTLED_SECONDS / 20:
            break
        before = now
    return server


@contextmanager
def serving(
    arguments: list[str], beginning: str, address: str, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """``python -m …`` on the servers' core, from its first line, which begins as told, to the block's end."""
    with program([sys.executable, "-m", *arguments], beginning, address, environment) as server:
        yield server


@contextmanager
def program(
    command: list[str], beginning: str, address: str, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Any program, as `serving`; one without a first line serves once it can be reached."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [*pin(SERVER_CORE), *command],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert child.stdout is not None
            serves = child.stdout.readline().startswith(beginning) if beginning else _listens(child, address)
            if not serves:
                errors.seek(0)
                raise RuntimeError(f"{command} did not start: {errors.read().decode()}")
            yield Server(child.pid, address, time.perf_counter() - begun)
        finally:
            child.terminate()
            child.wait(20)


def _listens(child: subprocess.Popen[str], address: str) -> bool:
    """Whether it can be reached before it ends."""
    host, _, port = address.rpartition(":")
    while child.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                return True
        time.sleep(SETTLED_SECONDS)
    return False
