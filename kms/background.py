"""What a serving sidecar does on its own: notice changes made elsewhere, and destroy what is due."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from structlog.typing import FilteringBoundLogger

from kms import telemetry
from kms.keyring import KeyringError, KeyVersions

REFRESH_SECONDS = 10.0
"""The registry polls every 15 s, so a rotation made in Vault is noticed within half a minute."""


@contextmanager
def upkeep(
    versions: KeyVersions, refreshes: Sequence[Callable[[], None]], logger: FilteringBoundLogger
) -> Iterator[None]:
    """Keep a keyring up to date in a thread of its own until the context ends."""
    stop = threading.Event()

    def run() -> None:
        keeper = Upkeep(versions, refreshes, logger)
        while True:
            keeper.round()
            if stop.wait(REFRESH_SECONDS):
                return

    thread = threading.Thread(target=run, name="kms-upkeep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Upkeep:
    """Runs the tasks in rounds. A failing task is logged when it starts to fail and when it recovers."""

    def __init__(
        self, versions: KeyVersions, refreshes: Sequence[Callable[[], None]], logger: FilteringBoundLogger
    ) -> None:
        self._versions = versions
        self._refreshes = tuple(refreshes)
        self._logger = logger
        self._failing: dict[Callable[[], None], str] = {}

    def round(self) -> None:
        """Refresh, then destroy the key versions that are due."""
        for task in (*self._refreshes, self._destroy_due):
            failure = ""
            try:
                task()
            except KeyringError as error:
                failure = error.message
            except Exception as bug:
                # The top of the thread: if it ended here, no token would be renewed, no line signed and no
                # key destroyed. Only the type is logged, since the text may quote a request.
                failure = type(bug).__name__
            if failure != self._failing.get(task, ""):
                self._failing[task] = failure
                self._logger.warning(telemetry.UPKEEP, failure=failure)

    def _destroy_due(self) -> None:
        for version in self._versions.destroy_due():
            self._logger.warning(telemetry.KEY_VERSION_DESTROYED, key_version=version.name)
