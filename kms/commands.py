"""What the commands of ``python -m kms`` do."""

from __future__ import annotations

import logging
import os
import signal
import sys
from argparse import Namespace

from kms import app, telemetry
from kms.audit.command import expose_files, verify_files
from kms.errors import StartError
from kms.settings import Settings, load
from runtime import hardening
from runtime.log_files import log_stream
from runtime.logs import LibraryLines, build_logger
from runtime.settings import SettingsError


def run(options: Namespace) -> int:
    """Run the command and return the exit code. A refusal is one sentence on stderr."""
    hardening.harden()
    try:
        settings = load(os.environ)
        if options.check_config:
            print(*settings.lines(), sep="\n")
        elif options.command == "init":
            _init(settings)
        elif options.command == "audit":
            return _audit(settings, options)
        else:
            _serve(settings)
    except (StartError, SettingsError) as refusal:
        print(f"kms: {refusal}", file=sys.stderr)
        return 1
    return 0


def _init(settings: Settings) -> None:
    made = app.initialise_installation(settings)
    deployment_id = made.deployment_id
    if made.has_new_keys:
        print(f"New installation. Deployment id: {deployment_id.hex()}.")
        if settings.keyring_file is None:
            print(f"The keys are in {settings.keyrings[0]}: back up that server.")
        else:
            print(
                f"Back up: the keyring {settings.keyring_file}; and in another place the {settings.unlock}, "
                "which opens it. Without both, stored credentials are lost."
            )
    print(f"Store this audit public key off this machine: {made.audit_public_key.hex()}")


def _audit(settings: Settings, options: Namespace) -> int:
    if options.audit_command == "begin":
        kept = app.begin_audit(settings)
        print(f"The audit is kept as {kept}." if kept else "There is no audit to keep.")
        print("The next start begins a new one at line 1.")
        return 0
    place, as_json = options.file or settings.audit_directory, options.output == "json"
    if options.audit_command == "exposure":
        answer = expose_files(place, since=options.since, principal=options.principal, as_json=as_json)
    else:
        public_key = app.audit_public_key(settings, options.public_key)
        answer = verify_files(place, public_key=public_key, expected=options.expected, as_json=as_json)
    print(*answer.lines, sep="\n")
    return answer.exit_code


def _serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    # Blocked before any thread starts and taken where we wait: a handler would miss a signal that arrives
    # between its last check and the wait.
    signals = (signal.SIGTERM, signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    logger = build_logger(log_stream(settings.log_file, settings.log_file_bytes), settings.logging_level)
    logging.getLogger().addHandler(LibraryLines(logger, telemetry.LIBRARY_MESSAGE))
    unlocked = hardening.lock_memory()
    open_files = hardening.raise_open_files()
    connections = hardening.connections_of(open_files, sockets=len(settings.sockets))
    with app.build(settings, logger, connections=connections):
        # Not earlier: a refused start prints its one sentence and nothing else.
        logger.info(telemetry.MEMORY, locked=not unlocked, why_not=unlocked)
        logger.info(telemetry.OPEN_FILES, limit=open_files, connections=connections)
        sockets = " ".join(f"{role.value}={path}" for role, path in settings.sockets.items())
        print(f"kms serving {sockets}", flush=True)
        signal.sigwait(signals)
