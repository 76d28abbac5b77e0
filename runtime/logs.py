"""The logger of every process of ours: JSON lines, with fields instead of sentences.

Fields are names, counts, codes and times; never a message body or an exception's text, which may quote one.
The names of events are constants, and each process has its own.
"""

from __future__ import annotations

import logging
import traceback
from typing import TextIO

import structlog
from structlog.typing import FilteringBoundLogger


def build_logger(stream: TextIO, level: int) -> FilteringBoundLogger:
    """Return a logger that writes lines of at least ``level`` (as in ``logging``) to ``stream``."""
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


def bug_fields(error: BaseException) -> dict[str, object]:
    """Return where a bug happened: type and lines, never the exception's text, which may quote a request."""
    frames = [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    return {"error": type(error).__qualname__, "stack": frames}


class LibraryLines(logging.Handler):
    """Writes where a library logged something, never its text, which may quote a message."""

    def __init__(self, logger: FilteringBoundLogger, event: str) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger
        self._event = event

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self._logger.warning(self._event, library=record.name, where=f"{record.module}:{record.lineno}")
