"""A disk that fails at a chosen call."""

from __future__ import annotations

import os
from collections.abc import Callable

from kms.files.disk import Disk


class FaultyDisk(Disk):
    """Counts its calls and notes them; `fault` is called in place of the `at`-th (from 1), if any.

    A write that fails writes half of its bytes first, as a full disk does.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.at = 0
        self.fault: Callable[[], object] = lambda: None

    def fail(self, at: int, fault: Callable[[], object]) -> None:
        """Arms the fault, counting from now."""
        self.calls.clear()
        self.at, self.fault = at, fault

    def open(self, name: str, flags: int, *, directory: int) -> int:
        self._call(f"open {name}")
        return super().open(name, flags, directory=directory)

    def write(self, descriptor: int, octets: bytes | memoryview) -> int:
        self._call("write", lambda: os.write(descriptor, octets[: len(octets) // 2]))
        return super().write(descriptor, octets)

    def truncate(self, descriptor: int, length: int) -> None:
        self._call("truncate")
        super().truncate(descriptor, length)

    def sync(self, descriptor: int) -> None:
        self._call("sync")
        super().sync(descriptor)

    def rename(self, source: str, target: str, *, directory: int) -> None:
        self._call(f"rename {source} {target}")
        super().rename(source, target, directory=directory)

    def unlink(self, name: str, *, directory: int) -> None:
        self._call(f"unlink {name}")
        super().unlink(name, directory=directory)

    def _call(self, name: str, first: Callable[[], object] = lambda: None) -> None:
        self.calls.append(name)
        if len(self.calls) == self.at:
            first()
            self.fault()
