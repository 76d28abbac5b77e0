"""`python -m service` serves, `python -m service migrate` prepares the database; see --help."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence

import grpc
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc

from runtime.hardening import leave_no_core_dump
from runtime.logs import LibraryLines, build_logger
from service import app
from service.catalog_files import CatalogFileError
from service.rpc.options import settle_collector
from service.rpc.server import PortTaken
from service.sealing.registry_secret import RegistrySecretError
from service.settings import Settings, SettingsError, load
from service.store import StoreStartError
from service.telemetry import LIBRARY_MESSAGE

HEALTH_SECONDS = 3.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Exit code 0; 1 for a refusal, told in one sentence on stderr; 2 for bad usage."""
    parser = argparse.ArgumentParser(
        prog="python -m service", description="The CodeVector provider registry."
    )
    parser.add_argument("command", nargs="?", choices=["serve", "migrate"], default="serve")
    parser.add_argument("--check-config", action="store_true", help="print the effective settings and exit")
    parser.add_argument(
        "--health", action="store_true", help="exit 0 if a running service is serving, else 1"
    )
    options = parser.parse_args(arguments)
    try:
        settings = load(os.environ)
        if options.check_config:
            print(*settings.lines(), sep="\n")
        elif options.health:
            return 0 if _is_serving(settings) else 1
        elif options.command == "migrate":
            app.prepare(settings)
        else:
            leave_no_core_dump()
            uvloop.run(_serve(settings))
    except (SettingsError, StoreStartError, RegistrySecretError, CatalogFileError, PortTaken) as refusal:
        print(f"service: {refusal}", file=sys.stderr)
        return 1
    return 0


async def _serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log = build_logger(sys.stderr, settings.logging_level)
    logging.getLogger().addHandler(LibraryLines(log, LIBRARY_MESSAGE))
    async with app.build(settings, log):
        settle_collector()
        print(f"service serving grpc={settings.address}", flush=True)
        await stop.wait()


def _is_serving(settings: Settings) -> bool:
    with grpc.insecure_channel(settings.address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(  # type: ignore[attr-defined]
                health_pb2.HealthCheckRequest(), timeout=HEALTH_SECONDS
            )
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


if __name__ == "__main__":
    sys.exit(main())
