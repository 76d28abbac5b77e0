"""A registry and its sidecar inside the test's own process, wired as their processes wire themselves.

The wire, the database and the keys are real. Such a registry starts in a tenth of a second, where a pair of
processes takes seconds. What kills, restarts or reads the output of a process needs ``harness``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from runtime.logs import build_logger
from service import app
from service.readmodel import live
from service.sealing.registry_secret import create_registry_secret
from service.settings import load
from tests.support.servers.key_sidecar import KeySidecar, key_sidecar
from tests.support.servers.migrated import copy_migrated
from tests.support.servers.ports import free_port
from tests.support.servers.served import Served

STOP_SECONDS = 60.0
OPEN_FILES = 20_000


@dataclass(slots=True)
class Wired(Served):
    """A registry in this process. ``log`` is all that it has logged."""

    sidecar: KeySidecar
    log: StringIO = field(default_factory=StringIO)
    _sidecar_ends: ExitStack = field(default_factory=ExitStack)

    @property
    def registry_socket(self) -> Path:
        return self.sidecar.registry_socket

    @property
    def router_socket(self) -> Path:
        return self.sidecar.router_socket

    def stop_kms(self) -> None:
        """End the sidecar: its sockets are gone."""
        self._sidecar_ends.close()


@contextmanager
def wired(extra: Mapping[str, str] | None = None) -> Iterator[Wired]:
    """A serving registry with an empty database and keys of its own, and settings beside the defaults."""
    with ExitStack() as stack:
        sidecar_ends = stack.enter_context(ExitStack())
        sidecar = sidecar_ends.enter_context(key_sidecar())
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="cv", dir="/tmp"))
        made = Wired(free_port(), sidecar, _sidecar_ends=sidecar_ends)
        settings = load(
            {
                "CODEVECTOR_HOME": home,
                "CODEVECTOR_GRPC_PORT": str(made.port),
                "CODEVECTOR_KMS_REGISTRY_SOCKET": str(sidecar.registry_socket),
                **(extra or {}),
            }
        )
        # A write's answer waits a second for the read model. On a busy machine that may be too short.
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(live, "REACH_SECONDS", STOP_SECONDS)
        copy_migrated(Path(home) / "registry.db")
        create_registry_secret(settings.registry_secret, os.urandom)
        built = app.build(settings, build_logger(made.log, logging.DEBUG), open_files=OPEN_FILES)
        _run(built.__aenter__())
        stack.push(lambda *failure: _run(built.__aexit__(*failure)))
        made.connect()
        stack.callback(made.disconnect)
        yield made


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run_coroutine_threadsafe(work, _loop()).result(STOP_SECONDS)


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One loop in one thread for all registries of this process, as gRPC likes it."""
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="registries", daemon=True).start()
    return loop
