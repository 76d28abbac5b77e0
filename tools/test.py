"""Run the tests: `python -m tools.test [PYTEST'S ARGUMENTS…]`, as `make test` does.

Builds what the tests start. Tests of a toolchain that this machine cannot have are skipped, with one line at
the end. Under CI=true that is a failure, before anything is built, and random choices are the same each time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from tools import go_tools, toolchains
from tools.clients import __main__ as clients
from tools.steps import StepFailed, environment, main_of

GO_TOOLS = ("grpcurl", "ghz")
CI_SEED = 20261130


def main(arguments: Sequence[str]) -> int:
    """Return pytest's exit code.

    Raises:
        StepFailed: a program does not build, or a toolchain is missing under CI.
    """
    missing = toolchains.unavailable()
    refuse_under_ci(missing, os.environ)
    if "go" not in missing:
        go_tools.main(GO_TOOLS)
    clients.build([client for client in clients.CLIENTS.values() if client.toolchain not in missing])
    command = [sys.executable, "-m", "pytest", *repeatable(os.environ), *arguments]
    ended = subprocess.run(command, env=environment(**toolchains.without(list(missing))), check=False)
    if missing:
        print(f"test: skipped some tests: {'; '.join(missing.values())}", flush=True)
    return ended.returncode


def repeatable(variables: Mapping[str, str]) -> Sequence[str]:
    """Return pytest's arguments for one order of tests and one seed of `random`, under CI=true.

    A failure there is the change's, and comes again. Elsewhere a run has its own seed, which pytest prints.
    """
    return [f"--randomly-seed={CI_SEED}"] if variables.get("CI") == "true" else []


def refuse_under_ci(missing: Mapping[str, str], variables: Mapping[str, str]) -> None:
    """Raise `StepFailed` under CI=true if a toolchain is missing."""
    if missing and variables.get("CI") == "true":
        raise StepFailed(f"CI skips no test: {'; '.join(missing.values())}")


if __name__ == "__main__":
    sys.exit(main_of(lambda: main(sys.argv[1:])))
