from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import ctypes, os, resource
from kms.hygiene import harden
harden()
PR_GET_DUMPABLE = 3
print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
print(resource.getrlimit(resource.RLIMIT_CORE))
print(oct(os.umask(0)))
"""


def test_a_hardened_process_leaves_nothing_to_others() -> None:
    """In a process of its own: the settings cannot be taken back in this one."""
    finished = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.splitlines() == ["0", "(0, 0)", "0o77"]
