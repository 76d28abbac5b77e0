"""A routing table kept as the API tells routers to keep it, held at each message to what the API promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from codevector.providers.v1 import routing_service_pb2 as pb

from service.domain.history import RevisionToken, parse_token

MOST_BYTES_OF_A_CHUNK = 512 << 10
Row = pb.RoutingProvider | pb.ActiveProviderModel | pb.ActiveModel
Rows = dict[str, Row]
Reason = pb.SnapshotChunk.Reason


def rows_of(table: pb.RoutingSnapshot | pb.SnapshotChunk) -> Rows:
    """The entries by name; their lists are ordered by it, and nothing is there twice."""
    rows: Rows = {}
    for entries in (table.providers, table.provider_models, table.models):
        names = [entry.name for entry in entries]
        assert names == sorted(names)
        rows |= {entry.name: entry for entry in entries}
    assert len(rows) == len(table.providers) + len(table.provider_models) + len(table.models)
    return rows


def refers_to(row: Row) -> set[str]:
    """The names that must be there before this entry and for as long as it is."""
    if isinstance(row, pb.ActiveProviderModel):
        return {row.provider}
    if isinstance(row, pb.ActiveModel):
        assert row.backends, f"{row.name} has no backend"
        return {backend.provider_model for backend in row.backends}
    return set()


def check_references(rows: Mapping[str, Row]) -> None:
    """Every provider model has its provider, and every backend its provider model."""
    for name, row in rows.items():
        assert refers_to(row) <= rows.keys(), f"{name} refers to what is not there"


@dataclass(slots=True)
class RouterTable:
    """What one router has. ``reasons`` are those of the snapshots it was sent."""

    store_id: str = ""
    revision: int = 0
    token: str = field(default="", compare=False)
    rows: Rows = field(default_factory=dict)
    reasons: list[Reason] = field(default_factory=list, compare=False)
    _coming: Rows | None = field(default=None, compare=False)

    @classmethod
    def of(cls, snapshot: pb.RoutingSnapshot) -> RouterTable:
        rows = rows_of(snapshot)
        check_references(rows)
        return cls(snapshot.store_id, snapshot.revision, snapshot.token, rows)

    @property
    def resume(self) -> RevisionToken | None:
        """What a watch is to be resumed from; None for a router that has nothing."""
        return parse_token(self.token)

    def copy(self) -> RouterTable:
        """As another router that has the same would have it."""
        return RouterTable(self.store_id, self.revision, self.token, dict(self.rows))

    def forget_unfinished(self) -> None:
        """The stream has ended: what came of a snapshot is of no use without the rest."""
        self._coming = None

    def take(self, message: pb.WatchRoutingResponse) -> None:
        """Apply one message of a watch."""
        assert message.store_id
        match message.WhichOneof("event"):
            case "snapshot_chunk":
                self._take_chunk(message)
            case "change_set":
                self._take_change_set(message)
            case "bookmark":
                assert self._coming is None, "a bookmark inside a snapshot"
                assert message.store_id == self.store_id
                assert message.revision >= self.revision
                assert message.bookmark.server_time.seconds
                self._reach(message)
            case other:
                raise AssertionError(f"a message with {other}")

    def _take_chunk(self, message: pb.WatchRoutingResponse) -> None:
        chunk = message.snapshot_chunk
        assert message.ByteSize() <= MOST_BYTES_OF_A_CHUNK
        assert chunk.first == (self._coming is None), "a snapshot begins once, after the one before has ended"
        assert (chunk.reason != Reason.REASON_UNSPECIFIED) == chunk.first
        if chunk.first:
            self.reasons.append(chunk.reason)
        coming = self._coming or {}
        latest = {type(row): name for name, row in coming.items()}
        for name, row in rows_of(chunk).items():
            assert latest.get(type(row), "") < name, "ordered by name over all chunks"
            assert refers_to(row) <= coming.keys(), f"{name} before what it refers to"
            coming[name], latest[type(row)] = row, name
        if chunk.last:
            self.rows, self._coming = coming, None
            self._reach(message)
        else:
            assert message.revision == 0, "no revision is reached inside a snapshot"
            assert message.token == "", "no token inside a snapshot"
            assert coming, "an empty chunk that is not the last"
            self._coming = coming

    def _take_change_set(self, message: pb.WatchRoutingResponse) -> None:
        assert self._coming is None, "a change set inside a snapshot"
        assert message.store_id == self.store_id
        assert message.revision > self.revision, f"{message.revision} after {self.revision}"
        assert message.change_set.commit_time.seconds
        assert message.change_set.changes, "an empty change set"
        seen: set[str] = set()
        for change in message.change_set.changes:
            which = change.WhichOneof("change")
            assert which is not None
            put: Row | None = None if which == "removed" else getattr(change, which)
            name = change.removed if put is None else put.name
            assert name not in seen, f"{name} twice in revision {message.revision}"
            assert self.rows.get(name) != put, f"{name} is no change in revision {message.revision}"
            seen.add(name)
            if put is None:
                del self.rows[name]
                users = [each for each, row in self.rows.items() if name in refers_to(row)]
                assert not users, f"{name} is taken out before {users}"
            else:
                assert refers_to(put) <= self.rows.keys(), f"{name} before what it refers to"
                self.rows[name] = put
        self._reach(message)

    def _reach(self, message: pb.WatchRoutingResponse) -> None:
        token = parse_token(message.token)
        assert token is not None
        assert (str(token.store_id), token.revision) == (message.store_id, message.revision)
        self.store_id, self.revision, self.token = message.store_id, message.revision, message.token


@dataclass(slots=True)
class Ledger:
    """The change sets that any router was sent: all are sent the same bytes, and nobody is left out."""

    messages: dict[int, bytes] = field(default_factory=dict)
    spans: list[tuple[int, int, list[int]]] = field(default_factory=list)

    def note(self, revision: int, message: bytes) -> None:
        """A router was sent this."""
        assert self.messages.setdefault(revision, message) == message, f"two versions of revision {revision}"

    def check(self) -> None:
        """Whoever went through some revisions had every change set that anybody had of them."""
        revisions = sorted(self.messages)
        for begin, end, had in self.spans:
            assert had == [one for one in revisions if begin < one <= end], f"a gap from {begin} to {end}"


@dataclass(slots=True)
class Follower:
    """One stream of a router: brings its table up to date, and puts into the ledger what it was sent."""

    table: RouterTable
    ledger: Ledger
    _begin: int = -1
    _had: list[int] = field(default_factory=list)

    def take(self, octets: bytes) -> pb.WatchRoutingResponse:
        """Apply a message as it came."""
        message = pb.WatchRoutingResponse.FromString(octets)
        if self._begin < 0:
            self._begin = self.table.revision
        if message.snapshot_chunk.last:
            self._close_span()
        self.table.take(message)
        if message.snapshot_chunk.last:
            self._begin = message.revision
        elif message.WhichOneof("event") == "change_set":
            self.ledger.note(message.revision, octets)
            self._had.append(message.revision)
        return message

    def end(self) -> None:
        """The stream has ended."""
        self._close_span()
        self.table.forget_unfinished()

    def _close_span(self) -> None:
        if self._begin >= 0:
            self.ledger.spans.append((self._begin, self.table.revision, self._had))
        self._begin, self._had = -1, []


def token_with(token: str, **parts: Any) -> str:
    """A well-formed token that differs from one in these parts."""
    parsed = parse_token(token)
    assert parsed is not None
    return str(replace(parsed, **parts))
