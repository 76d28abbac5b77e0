"""libfaketime, by which `make torture` gives each process a wall clock of its own.

It comes from Debian's package, which root installs here; nobody else needs it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tools.steps import StepFailed, environment, one_at_a_time, run, say

PACKAGE = "libfaketime"
PLACES = "*/faketime/libfaketimeMT.so.1"
"""Below /usr/lib. The one for programs with threads."""


def provide() -> Path:
    """Return the library, after installing it if it is not there.

    Raises:
        StepFailed: it is not there, and this account cannot install it.
    """
    with one_at_a_time():
        there = found()
        if there is None and os.geteuid() == 0 and shutil.which("apt-get"):
            there = _install()
    if there is None:
        raise StepFailed(f"skewed clocks need libfaketime (Debian: apt-get install {PACKAGE})")
    return there


def found(root: Path = Path("/usr/lib")) -> Path | None:
    """Return the library where Debian puts it."""
    return next(iter(sorted(root.glob(PLACES))), None)


def _install() -> Path | None:
    say(f"installing {PACKAGE}")
    fix = f"Debian's package {PACKAGE} could not be installed: install it, then run make again."
    env = environment(DEBIAN_FRONTEND="noninteractive")
    run(["apt-get", "update", "-q"], fix=fix, env=env)
    run(["apt-get", "install", "-y", "-q", "--no-install-recommends", PACKAGE], fix=fix, env=env)
    return found()
