"""A store's change log changed by hand, for tests of the read model: commits, forks and compaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from service.domain.history import RevisionToken
from service.domain.routing import Change, ChangeSet, Entry, EntryKind, routing_provider
from service.readmodel.live import Break, Loaded, Newer, Source
from tests.support.values.registry_values import START, a_provider

ONE = UUID(int=1, version=4)
TWO = UUID(int=2, version=4)
"""Two store ids."""


def commit_id(revision: int, history: str = "a") -> UUID:
    """The id of a commit in a history that is named by a letter."""
    return UUID(int=ord(history) << 64 | revision, version=4)


def token(revision: int, *, store_id: UUID = ONE, history: str = "a") -> RevisionToken:
    """The token of a revision that changed something for routers."""
    return RevisionToken(store_id, commit_id(revision, history), revision)


def change_set(revision: int, *changes: Change, history: str = "a", parent: UUID | None = None) -> ChangeSet:
    """A change set whose parent is the revision before it in the same history."""
    parent = commit_id(revision - 1, history) if parent is None else parent
    return ChangeSet(revision, changes, START, commit_id(revision, history), parent)


def putting(provider_id: str, **parts: object) -> Change:
    """A change that puts a provider into the table."""
    entry = routing_provider(a_provider(provider_id, **parts))  # type: ignore[arg-type]
    assert entry is not None
    return Change(EntryKind.PROVIDER, entry.name, entry)


@dataclass
class HandLog:
    """What a store holds for routers. ``floor`` is the revision up to which change sets are compacted."""

    revision: int = 0
    store_id: UUID = ONE
    history: str = "a"
    floor: int = 0
    sets: list[ChangeSet] = field(default_factory=list)
    head_id: UUID = field(default_factory=lambda: commit_id(0))
    loads: int = 0
    reads: list[int] = field(default_factory=list)
    fails_with: list[Exception] = field(default_factory=list)
    floor_id: UUID = field(default_factory=lambda: commit_id(0))

    def put(self, provider_id: str, **parts: object) -> ChangeSet:
        """Commit a revision that puts a provider in."""
        return self.commit(putting(provider_id, **parts))

    def commit(self, *changes: Change) -> ChangeSet:
        """Commit a revision, of which routers may see nothing."""
        parent, self.revision = self.head_id, self.revision + 1
        made = change_set(self.revision, *changes, history=self.history, parent=parent)
        self.head_id = made.commit_id
        if changes:
            self.sets.append(made)
        return made

    def fork(self, at: int, history: str) -> None:
        """Go back to a revision, as a restore or a failover does; what follows is another history."""
        self.sets = [one for one in self.sets if one.revision <= at]
        self.revision, self.history = at, history
        self.head_id = commit_id(at)

    def compact(self, floor: int) -> None:
        """Forget the change sets up to a revision; the table stays as it is."""
        self.floor_id = self.content_id(floor) or self.floor_id
        self.floor = floor

    def content_id(self, revision: int) -> UUID | None:
        """The content id at a revision, None where it is compacted."""
        if revision < self.floor:
            return None
        logged = [one.commit_id for one in self.sets if self.floor < one.revision <= revision]
        return logged[-1] if logged else self.floor_id

    @property
    def source(self) -> Source:
        """As the read model follows it."""
        return Source(self.load, self.changes, self.between, self.follows)

    def load(self) -> Loaded:
        self.loads += 1
        table: dict[str, Entry] = {}
        for one in self.sets:
            for change in one.changes:
                if change.entry is None:
                    table.pop(change.name, None)
                else:
                    table[change.name] = change.entry
        at = RevisionToken(self.store_id, self.content_id(self.revision) or self.floor_id, self.revision)
        return Loaded(at, self.head_id, list(table.values()))

    def changes(self, since: RevisionToken, head_id: UUID) -> Newer | Break:
        if self.fails_with:
            raise self.fails_with.pop()
        if self.store_id != since.store_id or self.revision < since.revision:
            return Break.HISTORY
        if since.revision < self.floor:
            return Break.TOO_FAR
        if self.content_id(since.revision) != since.content_id:
            return Break.HISTORY
        return Newer(self.revision, self.head_id, [one for one in self.sets if one.revision > since.revision])

    def between(self, since: RevisionToken, until: RevisionToken) -> Sequence[ChangeSet] | Break | None:
        self.reads.append(since.revision)
        if self.store_id != until.store_id:
            return Break.HISTORY
        if since.revision < self.floor:
            return Break.TOO_FAR
        if self.content_id(until.revision) != until.content_id:
            return Break.HISTORY
        if self.content_id(since.revision) != since.content_id:
            return None
        return [one for one in self.sets if since.revision < one.revision <= until.revision]

    def follows(self, since: RevisionToken, until: RevisionToken) -> bool | None:
        if self.store_id != until.store_id:
            return False
        if since.revision < self.floor:
            return None
        return all(self.content_id(one.revision) == one.content_id for one in (until, since))
