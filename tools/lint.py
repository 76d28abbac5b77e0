"""Check the sources without running them: `python -m tools.lint [JOBS]`, as `make lint` does.

Steps depend on nothing but the sources, so several run at once, the longest first. What a step has printed is
shown if it fails.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.steps import main_of

BIN = Path(sys.executable).parent
STEPS = (
    "mypy",
    "python -m tools.generate --check",
    "lint-imports",
    "buf lint --config buf.comments.yaml",
    "buf lint",
    "buf breaking --against protos/baseline.binpb",
    "buf format -d --exit-code --path protos/codevector",
    "python -m tools.errors --check",
    "python -m tools.settings --check",
    "python -m tools.commands --check",
    "ruff format --check .",
    "ruff check .",
)


def main(arguments: Sequence[str]) -> int:
    """Return 1 if a step found something."""
    with ThreadPoolExecutor(int(arguments[0]) if arguments else 1) as pool:
        return 0 if all(list(pool.map(run, STEPS))) else 1


def run(step: str) -> bool:
    """Return whether a step passed, and print that or what it said."""
    program, *arguments = shlex.split(step)
    began = time.monotonic()
    done = subprocess.run(
        [BIN / program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    passed = done.returncode == 0
    print(f"{'ok' if passed else 'FAILED':6} {step} ({time.monotonic() - began:.1f} s)", flush=True)
    if not passed:
        print(done.stdout, flush=True)
    return passed


if __name__ == "__main__":
    sys.exit(main_of(lambda: main(sys.argv[1:])))
