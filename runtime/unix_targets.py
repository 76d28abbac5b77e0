"""How gRPC is told of a Unix socket."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote


def unix_target(path: Path) -> str:
    """Return gRPC's target of a socket. It is read as a URI, in which ``#``, ``?`` and ``%`` mean something.

    A comma cannot be said at all: clients take what follows it for another address.
    """
    return f"unix:{quote(os.fsencode(path.absolute()))}"
