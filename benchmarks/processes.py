"""Servers under measurement: pinned to one core, their CPU read from the kernel's clock of that process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SERVER_CORE, CLIENT_CORE = 0, 1


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. ``started_seconds`` is from exec to its first line."""

    pid: int
    address: str
    started_seconds: float

    def cpu_seconds(self) -> float:
        """CPU of all its threads so far. Source: clock_getcpuclockid(3) of another process."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def memory_mb(self) -> float:
        """Resident memory now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def pin(core: int) -> list[str]:
    """The command in front of another that keeps it on one core, where the machine has more than one."""
    return ["taskset", "-c", str(core)] if (os.cpu_count() or 1) > 1 and shutil.which("taskset") else []


@contextmanager
def serving(
    arguments: list[str], beginning: str, address: str, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """``python -m …`` on the servers' core, from its first line, which begins as told, to the block's end."""
    command = [*pin(SERVER_CORE), sys.executable, "-m", *arguments]
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            if not line.startswith(beginning):
                errors.seek(0)
                raise RuntimeError(f"{arguments} did not start: {errors.read().decode()}")
            yield Server(child.pid, address, time.perf_counter() - begun)
        finally:
            child.terminate()
            child.wait(20)
