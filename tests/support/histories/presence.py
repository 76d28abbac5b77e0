"""What replicas store of their routers, in memory, as the database would hold it.

`service.store.units.routers` says the same in SQL, and contract tests hold it to that on both databases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from service.domain.history import RevisionToken
from service.domain.routers import Flush, Heard, ReplicaRecord, RouterKey, RouterRecord, Shared, Stamp
from tests.support.histories.truth import Truth


@dataclass
class Presence:
    """The rows. All are values, so a copy of the tables is a copy of everything."""

    replicas: dict[str, ReplicaRecord] = field(default_factory=dict)
    routers: dict[RouterKey, RouterRecord] = field(default_factory=dict)
    watches: frozenset[tuple[str, RouterKey]] = frozenset()

    def copied(self) -> Presence:
        """Return the rows as they are now: what a backup holds."""
        return Presence(dict(self.replicas), dict(self.routers), self.watches)

    def flush(self, flush: Flush) -> bool:
        """Write what a replica has heard. Returns whether its row was as it left it."""
        name, seq = flush.stamp
        stamp = Stamp(name, seq + 1)
        mine = self.replicas.get(name)
        if flush.leaves:
            if mine is None:
                return False
            del self.replicas[name]
            self._end(name)
        else:
            if flush.joins:
                assert mine is None, "each name is used once"
            elif mine is None or mine.stamp.flush_seq != seq:
                return False
            self.replicas[name] = ReplicaRecord(stamp, flush.table)
            self.watches = (self.watches - {(name, key) for key in flush.closed}) | {
                (name, key) for key in flush.opened
            }
        for key, heard in flush.heard:
            self._hear(key, heard, stamp)
        for dead in flush.dead:
            if dead.replica_id in self.replicas and self.replicas[dead.replica_id].stamp == dead:
                del self.replicas[dead.replica_id]
                self._end(dead.replica_id)
        for key, written in flush.forgotten:
            if key in self.routers and self.routers[key].stamp == written:
                del self.routers[key]
        return True

    def read(self, seen: Mapping[str, int], truth: Truth) -> Shared:
        """Return all replicas, and the routers that flushes wrote which are not ``seen``."""
        new = [
            one for one in self.routers.values() if one.stamp.flush_seq > seen.get(one.stamp.replica_id, -1)
        ]
        watching = [
            replace(
                one,
                replicas=tuple(sorted(name for name, key in self.watches if key == one.key)),
                proven=one.applied is not None and _is_proven(one.applied, truth),
            )
            for one in new
        ]
        return Shared(list(self.replicas.values()), watching)

    def _hear(self, key: RouterKey, heard: Heard, stamp: Stamp) -> None:
        had = self.routers.get(key)
        if had is None:
            if not heard.began:
                return
            had = RouterRecord(key, None, False, None, heard.seen_time, heard.peer, False, (), stamp)
        applied, time, new = had.applied, had.apply_time, heard.applied
        takes = new is not None and (
            applied is None
            or applied.revision < new.revision
            or applied.content_id == heard.over
            or applied.store_id != new.store_id
        )
        if heard.sets or takes:
            applied, time = new, heard.apply_time
        self.routers[key] = replace(
            had,
            applied=applied,
            apply_time=time,
            seen_time=heard.seen_time,
            peer=heard.peer,
            stopped=had.stopped if heard.stopped is None else heard.stopped,
            stamp=stamp,
        )

    def _end(self, name: str) -> None:
        self.watches = frozenset(one for one in self.watches if one[0] != name)


def _is_proven(applied: RevisionToken, truth: Truth) -> bool:
    log = truth.log
    return (
        applied.store_id == log.store_id
        and log.floor <= applied.revision <= log.revision
        and log.content_id(applied.revision) == applied.content_id
    )
