"""Remembers over a restart which table was served last, so that a history lost meanwhile is noticed.

The token stands in a file of the data directory, written each minute and at the end. It is for operators
alone: what routers are sent never depends on it.
"""

from __future__ import annotations

import os
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from service.background.tasks import Run
from service.domain.history import RevisionToken, parse_token
from service.readmodel.breaks import HistoryBreaks
from service.readmodel.live import LiveTable
from service.readmodel.snapshot import SnapshotReason
from service.telemetry import HISTORY_CHANGED

SEEN_FILE = "registry.seen"
SEEN_SECONDS = 60.0


async def compare_seen(file: Path, live: LiveTable, breaks: HistoryBreaks, log: FilteringBoundLogger) -> None:
    """Note a break of the history between what was served last and what the database has now.

    A file that is missing or unreadable says nothing, nor does a token that is older than the change log.

    Raises:
        Unavailable: the store is away.
    """
    seen = _read(file)
    if seen is None:
        return
    has = live.current.at
    is_ahead = seen.store_id == has.store_id and seen.revision > has.revision  # the table was just loaded
    if is_ahead or await live.place(seen) is SnapshotReason.STORE_CHANGED:
        log.warning(HISTORY_CHANGED, had=str(seen), has=str(has), revision=seen.revision)
        breaks.note(seen, has)


async def keep_seen(file: Path, live: LiveTable, run: Run) -> None:
    """Write down which table is served now.

    Raises:
        OSError: the data directory cannot be written.
    """
    token = live.current.token

    def write() -> None:
        draft = file.with_name(f"{file.name}.new")
        draft.write_text(f"{token}\n")
        os.replace(draft, file)

    await run(write)


def _read(file: Path) -> RevisionToken | None:
    try:
        return parse_token(file.read_text("ascii").strip())
    except (OSError, ValueError):
        return None
