"""The change sets that watchers may still want, shared by all of them: a watcher is a position in it.

Positions count messages, not revisions: many revisions change nothing for routers and have no message. They
stay valid when old messages are dropped in front, and when older ones are put there for a resuming watcher.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from service.domain.history import RevisionToken

MAX_MESSAGES = 10_000
MAX_BYTES = 64 << 20


@dataclass(slots=True, eq=False)
class History:
    """The commits that this process has seen follow each other; ``broken`` once the store has others."""

    broken: bool = False


class Ring:
    """Ready messages in the order of their revisions, of one store.

    ``begin`` is the position of the oldest message, ``end`` the one after the newest. ``head`` is the newest
    revision, which need not have a message.

    ``floor`` is the oldest revision that can be resumed from: every message after it is here. From
    ``out_of_reach`` and below nobody will be able to: what lies between does not fit. ``floor_id`` is the
    content id there; each message has that of its commit.

    ``history`` is shared by rings of which a later one only does not go back to an earlier one.
    """

    def __init__(
        self,
        at: RevisionToken,
        *,
        history: History | None = None,
        max_messages: int = MAX_MESSAGES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.history = history or History()
        self.store_id = at.store_id
        self.floor = at.revision
        self.floor_id = at.content_id
        self.head = at.revision
        self.out_of_reach = -1
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._revisions: list[int] = []
        self._ids: list[UUID] = []
        self._messages: list[bytes] = []
        self._bytes = 0
        self.begin = 0
        self.end = 0

    def message(self, position: int) -> bytes:
        """Return what is at a position from ``begin`` to before ``end``."""
        return self._messages[position - self.begin]

    def reached(self, position: int) -> int:
        """Return the revision that is reached with everything before a position."""
        if position == self.end:
            return self.head
        return self._revisions[position - self.begin - 1] if position > self.begin else self.floor

    def after(self, revision: int) -> int:
        """Return the position of the first message after a revision, which is not below ``floor``."""
        return self.begin + bisect_right(self._revisions, revision)

    def content_id(self, revision: int) -> UUID:
        """Return the content id at a revision from ``floor`` to ``head``."""
        messages = bisect_right(self._revisions, revision)
        return self._ids[messages - 1] if messages else self.floor_id

    def holds(self, token: RevisionToken) -> bool:
        """Return whether ``token`` is of the history that led to the head, as far back as ``floor``."""
        return (
            token.store_id == self.store_id
            and self.floor <= token.revision <= self.head
            and self.content_id(token.revision) == token.content_id
        )

    def token(self, revision: int) -> RevisionToken:
        """Return the token of a revision from ``floor`` to ``head``."""
        return RevisionToken(self.store_id, self.content_id(revision), revision)

    def append(self, revision: int, commit_id: UUID, message: bytes) -> None:
        """Add the message of a newer revision; the oldest make room for it."""
        self._revisions.append(revision)
        self._ids.append(commit_id)
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

    def extend_back(self, floor: int, floor_id: UUID, older: Sequence[tuple[int, UUID, bytes]]) -> bool:
        """Put all messages after ``floor`` that are older than the oldest here in front, if they all fit."""
        size = sum(len(message) for _, _, message in older)
        if len(older) + len(self._messages) > self._max_messages or size + self._bytes > self._max_bytes:
            self.out_of_reach = max(self.out_of_reach, floor)
            return False
        self._revisions[:0] = [revision for revision, _, _ in older]
        self._ids[:0] = [commit_id for _, commit_id, _ in older]
        self._messages[:0] = [message for _, _, message in older]
        self.begin -= len(older)
        self._bytes += size
        self.floor, self.floor_id = floor, floor_id
        return True

    def _drop(self, count: int) -> None:
        self.floor = self.out_of_reach = self._revisions[count - 1]
        self.floor_id = self._ids[count - 1]
        self._bytes -= sum(map(len, self._messages[:count]))
        del self._revisions[:count]
        del self._ids[:count]
        del self._messages[:count]
        self.begin += count
