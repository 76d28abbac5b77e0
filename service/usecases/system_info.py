"""Which version runs, and where its data is."""

from __future__ import annotations

from dataclasses import dataclass

from service.store import Head, Storage
from service.usecases.context import Context


@dataclass(frozen=True, slots=True)
class Release:
    """The process that answers.

    ``build`` is the source it was built from, empty where that is unknown. ``open_files`` is how many files,
    connections among them, it may have open, and ``connections`` how many of clients it takes.
    """

    version: str
    build: str
    open_files: int
    connections: int


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """The store behind the registry."""

    head: Head
    storage: Storage


def system_info(ctx: Context) -> SystemInfo:
    """Return where the store is.

    Raises:
        Unavailable: STORE_UNAVAILABLE.
    """
    return SystemInfo(ctx.store.read(lambda unit: unit.log.head()), ctx.store.storage)
