"""Every log event of the console. Fields never hold a query, a form or a name that a user typed."""

from __future__ import annotations

from typing import Final

CALL_REFUSED: Final = "call_refused"
PAGE_DONE: Final = "page_done"
PAGE_FAILED: Final = "page_failed"
REQUEST_REFUSED: Final = "request_refused"
SERVING: Final = "serving"
STOPPING: Final = "stopping"
