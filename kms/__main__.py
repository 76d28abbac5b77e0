"""``python -m kms`` serves, ``init`` makes keys, ``audit`` reads the audit; see --help.

The application is imported only where it is needed: a health check runs every few seconds and must be cheap.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from kms.arguments import parse
from runtime.settings import ADMIN_SOCKET, HOME, REGISTRY_SOCKET, ROUTER_SOCKET, SettingsError, read


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Exit code 0; 2 for bad usage; 1 for a refusal, one sentence on stderr.

    An audit that is not intact is exit code 1, too.
    """
    options = parse(arguments)
    if options.health:
        return _health()
    if options.version:
        from runtime.release import release

        print(f"provider-kms {release()}")
        return 0
    from kms.commands import run

    return run(options)


def _health() -> int:
    """Return 0 if all three sockets serve."""
    from runtime.health import is_serving
    from runtime.unix_targets import unix_target

    sockets = (REGISTRY_SOCKET, ROUTER_SOCKET, ADMIN_SOCKET)
    try:
        values = read(os.environ, (HOME, *sockets))
    except SettingsError as refusal:
        print(f"kms: {refusal}", file=sys.stderr)
        return 1
    return 0 if is_serving(unix_target(values[socket]) for socket in sockets) else 1


if __name__ == "__main__":
    sys.exit(main())
