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

    ``floor`` is the oldest revision that can be resumed from: every message behind it is here. From
    ``out_of_reach`` and below nobody will be able to: what lies between does not fit.
    """

    def __init__(self, floor: int, *, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self.floor = floor
        self.out_of_reach = -1
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._revisions: list[int] = []
        self._messages: list[bytes] = []
        self._bytes = 0
        self._begin = 0

    @property
    def begin(self) -> int:
        """The position of the oldest message."""
        return self._begin

    @property
    def end(self) -> int:
        """The position behind the newest message."""
        return self._begin + len(self._messages)

    def at(self, position: int) -> tuple[int, bytes]:
        """Revision and message at a position from ``begin`` to before ``end``."""
        index = position - self._begin
        return self._revisions[index], self._messages[index]

    def behind(self, revision: int) -> int:
        """The position of the first message behind a revision, which is not below ``floor``."""
        return self._begin + bisect_right(self._revisions, revision)

    def append(self, revision: int, message: bytes) -> None:
        """Add the message of a newer revision; the oldest make room for it."""
        self._revisions.append(revision)
        self._messages.append(message)
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
        """Put all messages behind ``floor`` that are older than the oldest here in front, if they all fit."""
        size = sum(len(message) for _, message in older)
        if len(older) + len(self._messages) > self._max_messages or size + self._bytes > self._max_bytes:
            self.out_of_reach = max(self.out_of_reach, floor)
            return False
        self._revisions[:0] = [revision for revision, _ in older]
        self._messages[:0] = [message for _, message in older]
        self._begin -= len(older)
        self._bytes += size
        self.floor = floor
        return True

    def _drop(self, count: int) -> None:
        self.floor = self.out_of_reach = self._revisions[count - 1]
        self._bytes -= sum(map(len, self._messages[:count]))
        del self._revisions[:count]
        del self._messages[:count]
        self._begin += count
