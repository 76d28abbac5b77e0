"""The registry as it is, but for a note of when it committed: ``python -m benchmarks.committed FILE``.

Each commit adds a line to the file, nanoseconds since 1970. A change set's own commit_time is when the unit
of work began, before its statements and before the disk had it.
"""

from __future__ import annotations

import os
import sys
import time

from sqlalchemy import event
from sqlalchemy.orm import Session

from service.__main__ import main


def _serve(notes: str) -> int:
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    event.listen(Session, "after_commit", lambda _: os.write(file, b"%d\n" % time.time_ns()))
    return main([])


if __name__ == "__main__":
    sys.exit(_serve(sys.argv[1]))
