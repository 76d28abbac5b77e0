"""How the read model reads the store: each answer is of one moment, and of a history that was checked."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from service.domain.history import RevisionToken
from service.domain.routing import ChangeSet
from service.readmodel.live import Break, Loaded, Newer, Source
from service.readmodel.ring import MAX_MESSAGES
from service.store import ReadUnit, Store, Unreadable


def routing_source(store: Store) -> Source:
    """Return the store as the read model follows it."""

    def load() -> Loaded:
        def work(unit: ReadUnit) -> Loaded:
            head = unit.log.head()
            content_id = unit.log.content_id(head.revision) or head.compact_id
            at = RevisionToken(head.store_id, content_id, head.revision)
            return Loaded(at, head.commit_id, unit.routing_entries())

        return store.read(work)

    def changes(since: RevisionToken, commit_id: UUID) -> Newer | Break:
        def work(unit: ReadUnit) -> Newer | Break:
            head = unit.log.head()
            if (head.revision, head.commit_id) == (since.revision, commit_id):
                return Newer(head.revision, head.commit_id, [])
            if head.store_id != since.store_id or head.revision < since.revision:
                return Break.HISTORY
            if since.revision < head.compact_revision:
                return Break.TOO_FAR
            if unit.log.content_id(since.revision) != since.content_id:
                return Break.HISTORY
            if _too_many(unit, since.revision, head.revision):
                return Break.TOO_FAR
            logged = _logged(unit, since.revision)
            return Break.UNREADABLE if logged is None else Newer(head.revision, head.commit_id, logged)

        return store.read(work)

    def between(since: RevisionToken, until: RevisionToken) -> Sequence[ChangeSet] | Break | None:
        def work(unit: ReadUnit) -> Sequence[ChangeSet] | Break | None:
            head = unit.log.head()
            if head.store_id != until.store_id:
                return Break.HISTORY
            # First of all: of what is compacted it cannot be known any more which history it was of.
            if since.revision < head.compact_revision:
                return Break.TOO_FAR
            if unit.log.content_id(until.revision) != until.content_id:
                return Break.HISTORY
            if unit.log.content_id(since.revision) != since.content_id:
                return None
            if _too_many(unit, since.revision, head.revision):
                return Break.TOO_FAR
            logged = _logged(unit, since.revision)
            if logged is None:
                return Break.UNREADABLE
            return [one for one in logged if one.revision <= until.revision]

        return store.read(work)

    def follows(since: RevisionToken, until: RevisionToken) -> bool | None:
        def work(unit: ReadUnit) -> bool | None:
            head = unit.log.head()
            if head.store_id != until.store_id:
                return False
            if since.revision < head.compact_revision:
                return None
            return all(unit.log.content_id(one.revision) == one.content_id for one in (until, since))

        return store.read(work)

    return Source(load, changes, between, follows)


def _logged(unit: ReadUnit, since: int) -> list[ChangeSet] | None:
    """Return the change sets after a revision; None where one of them cannot be read."""
    try:
        return unit.log.changes_since(since)
    except Unreadable:
        return None


def _too_many(unit: ReadUnit, since: int, head: int) -> bool:
    return head - since > MAX_MESSAGES and unit.log.change_set_count(since) > MAX_MESSAGES
