"""The change sets that watchers may still want, shared by all of them: a watcher is a position in it.

Positions count messages, not revisions: many revisions change nothing for routers and have no message. They
stay valid when old messages are dropped in front, and when older ones are put there for somebody who resumes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

MAX_MESSAGES = 10_000
MAX_BYTES = 64 << 20


class Ring:
    """Ready messages in the order of their revisions, of one store.

    ``begin`` is the position of the oldest message, ``end`` the one after the newest. ``head`` is the newest
    revision, which need not have a message.

    ``floor`` is the oldest revision that can be resumed from: every message after it is here. From
    ``out_of_reach`` and below nobody will be able to: what lies between does not fit.
    """

    def __init__(self, floor: int, *, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self.floor = floor
        self.head = floor
        self.out_of_reach = -1
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._revisions: list[int] = []
        self._messages: list[bytes] = []
        self._bytes = 0
        self.begin = 0
        self.end = 0

    def message(self, position: int) -> bytes:
        """What is at a position from ``begin`` to before ``end``."""
        return self._messages[position - self.begin]

    def reached(self, position: int) -> int:
        """The revision that is reached with everything before a position."""
        if position == self.end:
            return self.head
        return self._revisions[position - self.begin - 1] if position > self.begin else self.floor

    def after(self, revision: int) -> int:
        """The position of the first message after a revision, which is not below ``floor``."""
        return self.begin + bisect_right(self._revisions, revision)

    def append(self, revision: int, message: bytes) -> None:
        """Add the message of a newer revision; the oldest make room for it."""
        self._revisions.append(revision)
        self._messages.append(message)
        self.end += 1
        self.head = revision
        self._bytes += len(message)
        if len(self._messages) <= self._max_messages and self._bytes <= self._max_bytes:
            return
        # A tenth at once, so that dropping costs little per message; the newest stays, however large it is.
        drop, left = 0, self._bytes
        while drop < len(self._messages) - 1 and (
            len(self._messages) - drop > self._max_messages * 0.9 or left > self._max_bytes * 0.9
        ):
            left -= len(self._messages[drop])
            drop += 1
        if drop:
            self._drop(drop)

    def extend_back(self, floor: int, older: Sequence[tuple[int, bytes]]) -> bool:
        """Put all messages after ``floor`` that are older than the oldest here in front, if they all fit."""
        size = sum(len(message) for _, message in older)
        if len(older) + len(self._messages) > self._max_messages or size + self._bytes > self._max_bytes:
            self.out_of_reach = max(self.out_of_reach, floor)
            return False
        self._revisions[:0] = [revision for revision, _ in older]
        self._messages[:0] = [message for _, message in older]
        self.begin -= len(older)
        self._bytes += size
        self.floor = floor
        return True

    def _drop(self, count: int) -> None:
        self.floor = self.out_of_reach = self._revisions[count - 1]
        self._bytes -= sum(map(len, self._messages[:count]))
        del self._revisions[:count]
        del self._messages[:count]
        self.begin += count
