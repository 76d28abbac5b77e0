"""Every log event of the console.

Fields are methods, routes, codes and times; never a query, a form or a name that a user typed.
"""

from __future__ import annotations

from typing import Final

LIBRARY_MESSAGE: Final = "library_message"
PAGE_DONE: Final = "page_done"
PAGE_FAILED: Final = "page_failed"
REQUEST_REFUSED: Final = "request_refused"
SERVING: Final = "serving"
STOPPING: Final = "stopping"
