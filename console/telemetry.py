"""Every log event of the console: JSON lines on stderr.

Fields are methods, routes, codes and times; never a query, a form or a name that a user typed.
"""

from __future__ import annotations

import traceback
from typing import Final, TextIO

import structlog
from structlog.typing import FilteringBoundLogger

CALL_REFUSED: Final = "call_refused"
PAGE_DONE: Final = "page_done"
PAGE_FAILED: Final = "page_failed"
REQUEST_REFUSED: Final = "request_refused"
SERVING: Final = "serving"
STOPPING: Final = "stopping"


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
    """Return where a bug happened: types and lines, never the text, which may quote what was typed."""
    frames = [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    return {"error": type(error).__qualname__, "stack": frames}
