"""PgBouncer, behind which `make torture` runs the registry once."""

from __future__ import annotations

from pathlib import Path

from tools import debian

PACKAGE = "pgbouncer"
PLACE = Path("/usr/sbin/pgbouncer")


def provide() -> Path:
    """Return the program, after installing it if it is not there.

    Raises:
        StepFailed: it is not there, and this account cannot install it.
    """
    return debian.provide(
        PACKAGE, lambda: PLACE if PLACE.exists() else None, why="a connection pooler is PgBouncer"
    )
