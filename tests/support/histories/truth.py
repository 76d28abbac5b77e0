"""What really happened to a store: each commit that ever was, whatever became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from uuid import UUID

from codevector_providers._follower import _OTHER_HISTORY

from service.domain.history import RevisionToken
from service.domain.model import CredentialType, ProviderConfig, ProviderKind
from service.domain.routing import Change, ChangeSet, EntryKind, RoutingProvider
from service.readmodel.snapshot import SnapshotReason
from tests.support.doubles.hand_log import HandLog
from tests.support.histories.plain_codec import Value

UNRELATED = frozenset(SnapshotReason(reason.value) for reason in _OTHER_HISTORY)
"""For which reasons the Python library drops all credentials; the other libraries have the same ones."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit with the table after it, and all commits that led to it."""

    token: RevisionToken
    logged: bool
    rows: Mapping[str, Value]
    before: frozenset[UUID]


@cache
def putting(name: str, value: Value) -> Change:
    """Return the change that puts a provider with this credential into the table."""
    version, which = value
    row = RoutingProvider(
        name=name,
        uid=UUID(int=1),
        kind=ProviderKind.OPENAI_COMPATIBLE,
        display_name=name,
        config=ProviderConfig({}, {}),
        credential_type=CredentialType.API_KEY,
        credential_version=version,
        labels={"credential": which},
    )
    return Change(EntryKind.PROVIDER, name, row)


class Truth:
    """The log that replicas read, and beside it what they cannot know."""

    def __init__(self) -> None:
        self.log = HandLog()
        start = self.log.head_id
        self.commits = {start: Commit(self.log.load().at, False, {}, frozenset())}
        self._line = [start]
        self._by_content: dict[UUID, Commit] = {start: self.commits[start]}
        self._forks = 0

    @property
    def head(self) -> RevisionToken:
        """The token of the store's table now."""
        return replace(self.commits[self.log.head_id].token, store_id=self.log.store_id)

    def commit(self, name: str, *, quiet: bool) -> ChangeSet:
        """Commit a new credential, or what routers do not see."""
        parent_id, parent = self.log.head_id, self.commits[self.log.head_id]
        rows = dict(parent.rows)
        if not quiet:
            version = rows.get(name, (0, ""))[0] + 1
            rows[name] = (version, f"{self.log.history}{self.log.revision + 1}")
        made = self.log.commit(*(() if quiet else (putting(name, rows[name]),)))
        content_id = parent.token.content_id if quiet else made.commit_id
        token = RevisionToken(self.log.store_id, content_id, made.revision)
        commit = Commit(token, not quiet, rows, parent.before | {parent_id})
        self.commits[made.commit_id] = commit
        self._by_content.setdefault(content_id, commit)
        self._line.append(made.commit_id)
        return made

    def fork(self, at: int) -> None:
        """Go back to a revision; what follows is another history."""
        self._forks += 1
        del self._line[at + 1 :]
        self.log.fork(at, chr(ord("a") + self._forks))
        self.log.head_id = self._line[-1]

    def rename(self, store_id: UUID) -> None:
        """Give the store another id, as a restore does."""
        self.log.store_id = store_id

    def compact(self, floor: int) -> None:
        """Forget the change sets up to a revision."""
        self.log.compact(floor)

    def has(self, commit_id: UUID) -> bool:
        """Return whether a commit is in the store."""
        return commit_id == self.log.head_id or commit_id in self.commits[self.log.head_id].before

    def rows(self, token: RevisionToken) -> Mapping[str, Value]:
        """Return the table that a token really is of."""
        return self._by_content[token.content_id].rows

    def follows(self, earlier: RevisionToken, later: RevisionToken) -> bool:
        """Return whether two tables are of one history and store, in this order."""
        if earlier.store_id != later.store_id or earlier.revision > later.revision:
            return False
        content = self._by_content[later.content_id]
        ids = {*content.before, later.content_id}
        return earlier.content_id in ids
