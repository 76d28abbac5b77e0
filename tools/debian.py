"""Programs of Debian that only the long suites need: root installs them here, and nobody else needs them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tools.steps import StepFailed, environment, one_at_a_time, run, say


def provide(package: str, found: Callable[[], Path | None], *, why: str) -> Path:
    """Return what ``found`` finds, after installing the package if it finds nothing.

    Raises:
        StepFailed: it is not there, and this account cannot install it; ``why`` says what needs it.
    """
    with one_at_a_time():
        there = found()
        if there is None and os.geteuid() == 0 and shutil.which("apt-get"):
            _install(package)
            there = found()
    if there is None:
        raise StepFailed(f"{why} (Debian: apt-get install {package})")
    return there


def _install(package: str) -> None:
    say(f"installing {package}")
    fix = f"Debian's package {package} could not be installed: install it, then run make again."
    env = environment(DEBIAN_FRONTEND="noninteractive")
    run(["apt-get", "update", "-q"], fix=fix, env=env)
    run(["apt-get", "install", "-y", "-q", "--no-install-recommends", package], fix=fix, env=env)
