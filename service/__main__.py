"""``python -m service`` serves, or does one of the commands for the database and for replicas.

The application is imported only where it is needed: a health check runs every few seconds and must be cheap.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from runtime.settings import GRPC_PORT, SettingsError, read


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Exit code 0; 1 for a refusal, one sentence on stderr; 2 for bad usage."""
    parser = argparse.ArgumentParser(
        prog="python -m service", description="The CodeVector provider registry."
    )
    parser.add_argument(
        "command", nargs="?", choices=["serve", "migrate", "restore", "db", "secret"], default="serve"
    )
    parser.add_argument(
        "argument",
        nargs="?",
        metavar="FILE | check | adopt",
        help="restore FILE: the copy of a registry.db; db check: whether replicas may go on while the "
        "database is migrated; secret adopt: make this secret the valid one",
    )
    parser.add_argument(
        "--new", action="store_true", help="with migrate: begin with an empty registry where one is gone"
    )
    parser.add_argument(
        "--to",
        metavar="SCHEMA",
        help="with db check: the schema to migrate to, e.g. 0007; this program's if left out",
    )
    parser.add_argument("--check-config", action="store_true", help="print the effective settings and exit")
    parser.add_argument("--health", action="store_true", help="exit 0 if a running registry serves, else 1")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    options = parser.parse_args(arguments)
    if (options.command in ("restore", "db", "secret")) != (options.argument is not None):
        parser.error("restore takes the backup to restore: python -m service restore FILE")
    if options.command == "db" and options.argument != "check":
        parser.error("db takes what to do: python -m service db check")
    if options.to is not None and options.command != "db":
        parser.error("--to belongs to db check: python -m service db check --to SCHEMA")
    if options.command == "secret" and options.argument != "adopt":
        parser.error("secret takes what to do: python -m service secret adopt")
    if options.health:
        return _health()
    if options.version:
        from runtime.release import release

        print(f"provider-service {release()}")
        return 0
    from service.commands import run

    backup = Path(options.argument) if options.command == "restore" else None
    return run(
        options.command, backup=backup, new=options.new, check_config=options.check_config, to=options.to
    )


def _health() -> int:
    from runtime.health import is_serving

    try:
        port = read(os.environ, [GRPC_PORT])[GRPC_PORT]
    except SettingsError as refusal:
        print(f"service: {refusal}", file=sys.stderr)
        return 1
    return 0 if is_serving([f"127.0.0.1:{port}"]) else 1


if __name__ == "__main__":
    sys.exit(main())
