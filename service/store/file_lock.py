"""One process per SQLite database: a lock on a file beside it, held as long as the store is open.

SQLite itself would let two servers share the file; each would then miss the other's commits in its memory.
The kernel drops the lock when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from service.store.engines import make_private
from service.store.failures import StoreStartError


class FileLock:
    """An exclusive lock on ``<database>.lock``.

    Raises:
        StoreStartError: another process holds it.
    """

    def __init__(self, database: Path) -> None:
        path = database.with_name(database.name + ".lock")
        make_private(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise StoreStartError(f"another instance is running on {database}: stop it first") from error

    def release(self) -> None:
        """Let another process have the database. Calling it twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
