"""Files that hold one secret for this process: a password, or a URL with one in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

LIMIT = 64 * 1024
"""Bytes; more is not a secret but a wrong path."""


def read_secret_file(path: Path) -> str:
    """Return the text of a file, without the line break at its end.

    Raises:
        ValueError: with what is right: it must be there, UTF-8, not empty, and closed to other accounts.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ValueError(f"must be a file that can be read: {error.strerror}") from None
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid not in (0, os.geteuid()) or facts.st_mode & 0o077:
            raise ValueError("must be a plain file that only this account can read: set its mode to 600")
        octets = os.read(descriptor, LIMIT + 1)
    finally:
        os.close(descriptor)
    try:
        text = octets.decode().strip()
    except UnicodeDecodeError:
        raise ValueError("must be UTF-8 text") from None
    if not text or len(octets) > LIMIT:
        raise ValueError(f"must have from 1 to {LIMIT} bytes")
    return text
