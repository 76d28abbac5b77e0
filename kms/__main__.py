"""`python -m kms` serves, `python -m kms init` makes the keys, `--check-config` prints the settings."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from queue import SimpleQueue

from kms import app, hygiene
from kms.refusal import StartRefused
from kms.settings import Settings, load
from kms.telemetry import LibraryLines, build_logger


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. Exit code 0; 1 for a refusal, told in one sentence on stderr; 2 for bad usage."""
    parser = argparse.ArgumentParser(prog="python -m kms", description="The CodeVector key sidecar.")
    parser.add_argument("command", nargs="?", choices=["serve", "init"], default="serve")
    parser.add_argument("--check-config", action="store_true", help="print the effective settings and exit")
    options = parser.parse_args(arguments)
    hygiene.harden()
    try:
        settings = load(os.environ)
        if options.check_config:
            print(*settings.lines(), sep="\n")
        elif options.command == "init":
            _init(settings)
        else:
            _serve(settings)
    except StartRefused as refusal:
        print(f"kms: {refusal}", file=sys.stderr)
        return 1
    return 0


def _init(settings: Settings) -> None:
    made = app.initialise_installation(settings)
    deployment_id = made.deployment_id
    print(f"kms signs its audit: keep audit_public_key={made.audit_public_key.hex()} elsewhere")
    if not made.has_new_keys:
        return
    if settings.keyring_file is None:
        print(f"kms made deployment_id={deployment_id.hex()}; the keys are in {settings.keyrings[0]}")
        return
    print(
        f"kms made keyring={settings.keyring_file} deployment_id={deployment_id.hex()}; it opens with the "
        f"{settings.unlock}, which belongs in another backup than the keyring"
    )


def _serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT."""
    # Not an Event: a handler that runs while its thread holds the Event's lock never returns.
    stop: SimpleQueue[None] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.put(None))
    logger = build_logger(sys.stderr, settings.logging_level)
    logging.getLogger().addHandler(LibraryLines(logger))
    with app.build(settings, logger):
        sockets = " ".join(f"{role.value}={path}" for role, path in settings.sockets.items())
        print(f"kms serving {sockets}", flush=True)
        stop.get()


if __name__ == "__main__":
    sys.exit(main())
