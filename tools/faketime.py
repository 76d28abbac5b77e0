"""libfaketime, by which `make torture` gives each process a wall clock of its own."""

from __future__ import annotations

from pathlib import Path

from tools import debian

PACKAGE = "libfaketime"
PLACES = "*/faketime/libfaketimeMT.so.1"
"""Below /usr/lib. The one for programs with threads."""


def provide() -> Path:
    """Return the library, after installing it if it is not there.

    Raises:
        StepFailed: it is not there, and this account cannot install it.
    """
    return debian.provide(PACKAGE, found, why="skewed clocks need libfaketime")


def found(root: Path = Path("/usr/lib")) -> Path | None:
    """Return the library where Debian puts it."""
    return next(iter(sorted(root.glob(PLACES))), None)
