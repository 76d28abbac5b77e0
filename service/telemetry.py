"""Every log event of the registry, and the logger: JSON lines on stderr, fields instead of sentences.

Fields are names, counts, codes and times; never a message body, a credential, a filter, or an exception's
text.
"""

from __future__ import annotations

import logging
import traceback
from typing import Final, TextIO

import structlog
from structlog.typing import FilteringBoundLogger

COMPACTED: Final = "change_log_compacted"
COMPACTION_FAILED: Final = "change_log_compaction_failed"
KMS_AWAY: Final = "kms_away"
KMS_BACK: Final = "kms_back"
LIBRARY_MESSAGE: Final = "library_message"
ROUTERS_NOT_KEPT: Final = "routers_not_kept"
RPC_DONE: Final = "rpc_done"
RPC_FAILED: Final = "rpc_failed"
SERVING: Final = "serving"
SNAPSHOT_FAILED: Final = "snapshot_failed"
STOPPING: Final = "stopping"
SWEEP_ENDED: Final = "sweep_ended"
SWEEP_FAILED: Final = "sweep_failed"
TASK_ENDED: Final = "background_task_ended"


def build_logger(stream: TextIO, level: int) -> FilteringBoundLogger:
    """A logger that writes lines of at least ``level`` (as in ``logging``) to ``stream``."""
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    ).bind()
    return logger


def bug_fields(error: Exception) -> dict[str, object]:
    """Where a bug happened: types and lines, never the exception's text, which may quote what was sent."""
    frames = [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    return {"error": type(error).__qualname__, "stack": frames}


class LibraryLines(logging.Handler):
    """Turns what libraries log into lines of ours: where it was said, not a text that may quote a message."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self._logger.warning(LIBRARY_MESSAGE, library=record.name, where=f"{record.module}:{record.lineno}")
