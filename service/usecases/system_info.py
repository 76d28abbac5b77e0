"""Which version runs, and where its data is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    unreadable_rows: Mapping[str, Sequence[str]]
    """The columns at fault of rows that belong to no resource that can be asked for, by table."""


def system_info(ctx: Context) -> SystemInfo:
    """Return where the store is, and what of it cannot be read as far as is known.

    Raises:
        Unavailable: STORE_UNAVAILABLE.
    """
    head = ctx.store.read(lambda unit: unit.log.head())
    return SystemInfo(head, ctx.store.storage, ctx.store.unreadable_rows)
