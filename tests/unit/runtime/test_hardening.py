"""In processes of their own: what is denied here cannot be taken back, and would be denied to other tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.hardening import connections_of

REPOSITORY = Path(__file__).parents[3]

_HARDENED = """
import ctypes, os, resource
from runtime.hardening import harden
harden()
PR_GET_DUMPABLE = 3
print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
print(resource.getrlimit(resource.RLIMIT_CORE))
print(oct(os.umask(0)))
"""
_OPEN_FILES = """
import resource
from runtime.hardening import raise_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
print(raise_open_files(), resource.getrlimit(resource.RLIMIT_NOFILE))
"""
_ABORTED = """
import os
from runtime.hardening import harden
harden()
os.abort()
"""
_LOCKED = """
import re, resource, threading
from runtime.hardening import lock_memory
wish = {wish}
if wish is not None:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, wish)
print(lock_memory())
print(re.search(r"VmLck:\\s*(\\d+)", open("/proc/self/status").read())[1])
import grpc
servers = [grpc.server(__import__("concurrent.futures").futures.ThreadPoolExecutor(8)) for _ in range(3)]
threads = [threading.Thread(target=bytes, args=(1 << 20,)) for _ in range(32)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("alive")
"""


def run(program: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, "-c", program], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_a_hardened_process_leaves_nothing_to_others() -> None:
    assert run(_HARDENED).stdout.splitlines() == ["0", "(0, 0)", "0o77"]


def test_as_many_open_files_as_are_allowed() -> None:
    assert run(_OPEN_FILES).stdout == "300 (300, 300)\n"


def test_a_crash_leaves_no_core(tmp_path: Path) -> None:
    assert run(_ABORTED, cwd=tmp_path).returncode == -6
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wish", [None, (1 << 16, 1 << 16)], ids=["as it is", "a small limit"])
def test_memory_is_locked_or_it_is_said_why_not(wish: tuple[int, int] | None) -> None:
    """Either way the process goes on with all its threads."""
    finished = run(_LOCKED.format(wish=wish))
    why, locked, alive = finished.stdout.splitlines()
    assert (int(locked) > 0) is (why == "")
    assert why == "" or why.startswith(("RLIMIT_MEMLOCK is ", "mlockall: E"))
    assert alive == "alive"


@pytest.mark.parametrize(
    ("open_files", "sockets", "connections"),
    [
        (20_000, 1, 19_800),
        (1_024, 1, 824),
        (1_024, 3, 274),
        (256, 1, 128),
        (2, 3, 1),
        (-1, 1, 1_048_376),
        (2**63 - 1, 1, 1_048_376),
    ],
)
def test_some_open_files_are_not_for_connections(open_files: int, sockets: int, connections: int) -> None:
    assert connections_of(open_files, sockets=sockets) == connections
