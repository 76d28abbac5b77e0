"""Files that prove something later: canonical JSON with a digest over itself, private to the account.

Canonical means sorted names, no spaces, ASCII, one line feed at the end: equal content is equal bytes.
`sha256` is the hex digest of the canonical bytes of everything else. It shows damage and careless edits;
whoever may write the file may also write another digest, so keep receipts where an attacker cannot.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cli.failures import ExitCode, Failure

DIGEST_FIELD = "sha256"
Document = Mapping[str, Any]


def canonical(content: Document) -> bytes:
    """Return the bytes of a document."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"


def digest(content: Document) -> str:
    """Return SHA-256 over everything but the digest itself, as 64 hex digits."""
    return hashlib.sha256(
        canonical({name: value for name, value in content.items() if name != DIGEST_FIELD})
    ).hexdigest()


def sealed(content: Document) -> dict[str, Any]:
    """Return the document with its digest."""
    return {**content, DIGEST_FIELD: digest(content)}


def write(path: Path, content: Document) -> None:
    """Write ``content`` to ``path``, mode 0600: completely or not at all, and on disk when this returns.

    Raises:
        Failure: the file cannot be written.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(
            fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            with open(descriptor, "wb") as file:
                file.write(canonical(content))
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, path)
        except OSError:
            with suppress(OSError):
                fresh.unlink()
            raise
        _sync(path.parent)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from None


def read(path: Path) -> dict[str, Any] | None:
    """Return the document at ``path``, or None if there is no file.

    Raises:
        Failure: it cannot be read, or is not a JSON object.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise Failure(f"{path} is not a file of providerctl: it is not JSON") from None
    if not isinstance(content, dict):
        raise Failure(f"{path} is not a file of providerctl")
    return content


def read_sealed(path: Path, format_name: str) -> dict[str, Any]:
    """Return the document at ``path``, which has that format and an intact digest.

    Raises:
        Failure: it is missing (exit code 3), of another format, or not as it was written.
    """
    content = read(path)
    if content is None:
        raise Failure(f"{path} does not exist", code=ExitCode.NOT_FOUND)
    if content.get("format") != format_name:
        raise Failure(f"{path} is not of the format {format_name}")
    if content.get(DIGEST_FIELD) != digest(content):
        raise Failure(f"{path} was changed after it was written: its own digest differs")
    return content


def remove(path: Path) -> None:
    """Remove the file if there is one; it is gone from the disk when this returns."""
    with suppress(FileNotFoundError):
        path.unlink()
        _sync(path.parent)


@contextmanager
def only_one(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file ``path``; the kernel releases it even after kill -9.

    Raises:
        Failure: another process holds it (exit code 5), or it cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure(f"another {what} is running in {path.parent}", code=ExitCode.CONFLICT) from None
        yield
    finally:
        os.close(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
