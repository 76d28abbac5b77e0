"""Log files of bounded size: a process that fills one moves it aside and goes on in a new one.

It needs no signal and no second process, and no line is lost. Whatever else writes to stderr, such as gRPC's
own lines and tracebacks, follows: the new file takes over the descriptor.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TextIO, cast

from runtime.settings import LOG_FILE, SettingsError

KEPT_FILES = 4
"""How many full files stay beside the one that is written: ``service.log.1`` is the newest of them."""

_STDERR = 2


def log_stream(file: Path | None, limit: int) -> TextIO:
    """Return where log lines go: to stderr, or to a file, which stderr is turned to as well.

    Args:
        limit: How many bytes a file may have.

    Raises:
        SettingsError: the file cannot be opened.
    """
    if file is None:
        return sys.stderr
    try:
        return cast(TextIO, LogFile(file, limit))
    except OSError as error:
        raise SettingsError(f"{LOG_FILE.name} {file} cannot be opened: {error.strerror}") from None


class LogFile:
    """Stderr in files of at most ``limit`` bytes, a longer line alone excepted. Has what a logger calls."""

    def __init__(self, path: Path, limit: int, *, descriptor: int = _STDERR) -> None:
        """Turn ``descriptor`` to the file. Raises OSError."""
        self._path = path
        self._limit = limit
        self._descriptor = descriptor
        self._lock = Lock()
        self._turn_to(_open(path))

    def write(self, text: str) -> int:
        """Write whole lines, into a new file if they do not fit. Raises OSError."""
        left = memoryview(text.encode("utf-8", "backslashreplace"))
        with self._lock:
            size = os.fstat(self._descriptor).st_size
            if size and size + len(left) > self._limit:
                # If there cannot be a new one now, the old one grows: better than to lose lines.
                with suppress(OSError):
                    self._begin()
            while left:
                left = left[os.write(self._descriptor, left) :]
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def _begin(self) -> None:
        """Move the full file aside and go on in a new one, which is made first: without it nothing moves."""
        new = self._numbered("new")
        opened = _open(new)
        try:
            for number in range(KEPT_FILES - 1, 0, -1):
                with suppress(FileNotFoundError):
                    os.replace(self._numbered(str(number)), self._numbered(str(number + 1)))
            with suppress(FileNotFoundError):
                os.replace(self._path, self._numbered("1"))
            os.replace(new, self._path)
        except OSError:
            os.close(opened)
            raise
        self._turn_to(opened)

    def _numbered(self, end: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{end}")

    def _turn_to(self, opened: int) -> None:
        os.dup2(opened, self._descriptor)
        os.close(opened)


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
