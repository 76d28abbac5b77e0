"""Tests that need another language's toolchain: skipped where `make test` found that it is not available."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tools.clients.__main__ import CLIENTS
from tools.steps import ROOT
from tools.toolchains import VARIABLE


def skip_without(toolchain: str) -> None:
    """Skip the test that calls this if the toolchain is not available."""
    if toolchain in os.environ.get(VARIABLE, "").split(","):
        pytest.skip(f"{toolchain} is not available: `make test` says how to have it")


def build_client(name: str) -> None:
    """Build this client unless it is current; skip the test without its toolchain."""
    skip_without(CLIENTS[name].toolchain)
    command = [sys.executable, "-m", "tools.clients", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
