"""What the commands of ``python -m service`` do."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import uvloop

from runtime.hardening import leave_no_core_dump, raise_open_files
from runtime.log_files import log_stream
from runtime.logs import LibraryLines, build_logger
from runtime.settings import SettingsError
from service import app
from service.catalog_files import CatalogFileError
from service.domain.errors import Unavailable
from service.rpc.enums import EnumWithoutRules
from service.rpc.options import freeze_startup_objects, share_the_interpreter
from service.rpc.server import PortTaken
from service.sealing.registry_secret import RegistrySecretError
from service.settings import Settings, load
from service.store import StoreStartError
from service.telemetry import LIBRARY_MESSAGE

_REFUSALS = (
    SettingsError,
    EnumWithoutRules,
    StoreStartError,
    Unavailable,
    RegistrySecretError,
    CatalogFileError,
    PortTaken,
)


def run(command: str, *, backup: Path | None, new: bool, check_config: bool, to: str | None = None) -> int:
    """Run one command and return the exit code. A refusal is one sentence on stderr.

    ``to`` is the schema that ``db check`` is asked about.
    """
    try:
        settings = load(os.environ)
        if check_config:
            print(*settings.lines(), sep="\n")
        elif command == "migrate":
            app.prepare(settings, new=new)
        elif command == "secret":
            _adopt(settings)
        elif command == "db":
            return _check_database(settings, to)
        elif backup is not None:
            _restore(settings, backup)
        else:
            leave_no_core_dump()
            uvloop.run(_serve(settings))
    except _REFUSALS as refusal:
        print(f"service: {refusal}", file=sys.stderr)
        return 1
    return 0


def _restore(settings: Settings, backup: Path) -> None:
    done = app.restore_backup(settings, backup)
    print(f"restored {backup}: the registry goes on from revision {done.revision}, and routers start over")
    if done.kept is not None:
        print(f"the previous database is kept as {done.kept}")


def _check_database(settings: Settings, to: str | None) -> int:
    """Say whether replicas may go on while the database is migrated. Exit code 0 if they may, else 1."""
    found = app.check_database(settings, to)
    print(f"the database has schema {found.current}; programs of schema {found.oldest} and newer may use it")
    if found.target == found.current:
        print("there is nothing to migrate")
    elif found.rolling:
        print(
            f"a rolling update to {found.target} is possible: migrate, then replace the replicas one by one"
        )
    else:
        print(f"a rolling update to {found.target} is not possible: stop all replicas, migrate, start them")
    return 0 if found.rolling else 1


def _adopt(settings: Settings) -> None:
    app.adopt(settings)
    print(f"{settings.registry_secret} is valid now: copy it to the other replicas and restart them")
    print("void now: page tokens, previews of deletions, and request ids: a repeated request is done again")


async def _serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log = build_logger(log_stream(settings.log_file, settings.log_file_bytes), settings.logging_level)
    logging.getLogger().addHandler(LibraryLines(log, LIBRARY_MESSAGE))
    open_files = raise_open_files()
    async with app.build(settings, log, open_files=open_files):
        freeze_startup_objects()
        share_the_interpreter()
        print(f"service serving grpc={settings.address}", flush=True)
        await stop.wait()
