"""Every log event of the sidecar, and the logger: JSON lines on stderr, fields instead of sentences.

Fields are names, counts, codes and times; never a message body, a context, a wrapper or a key.
"""

from __future__ import annotations

import logging
from typing import TextIO

import structlog
from structlog.typing import FilteringBoundLogger

AUDIT_NOT_CLOSED = "kms_audit_not_closed"
AUDIT_OPENED = "kms_audit_opened"
CALL = "kms_call"
CALL_FAILED = "kms_call_failed"
KEYRING_OPENED = "kms_keyring_opened"
KEY_VERSION_DESTROYED = "kms_key_version_destroyed"
LIBRARY_MESSAGE = "kms_library_message"
MEMORY = "kms_memory"
SERVING = "kms_serving"
STOPPING = "kms_stopping"
UPKEEP = "kms_upkeep"


def build_logger(stream: TextIO, level: int) -> FilteringBoundLogger:
    """A logger that writes lines of at least `level` (as in `logging`) to `stream`."""
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


class LibraryLines(logging.Handler):
    """Turns what libraries log into lines of ours: where it was said, not a text that may quote a message."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line."""
        self._logger.warning(LIBRARY_MESSAGE, library=record.name, where=f"{record.module}:{record.lineno}")
