"""Moving wrappers in bulk: compare-and-swap by key, without the counter row and without a revision.

Touches ``data_keys`` and the sweep's lease and nothing else. That is what keeps a rotation away from
providers: a unit of this kind has no statement that could reach them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Table, and_, or_, update

from service.store.rows import DataKeyRow, RegistryInfoRow
from service.store.units.data_keys import QUARANTINE_AFTER

_KEYS: Table = DataKeyRow.__table__  # type: ignore[assignment]
_REGISTRY: Table = RegistryInfoRow.__table__  # type: ignore[assignment]

# One prepared statement run for each row: the fastest that SQLite has.
_SWAP_SQLITE = (
    "UPDATE data_keys SET wrapped = ?, key_version = ?, failed_count = 0, fault = '' "
    "WHERE dek_id = ? AND key_version = ?"
)
# One statement for all rows: one round trip.
_SWAP_POSTGRESQL = (
    "UPDATE data_keys "
    "SET wrapped = swap.wrapped, key_version = swap.to_version, failed_count = 0, fault = '' "
    "FROM unnest(%s::bytea[], %s::text[], %s::text[], %s::text[]) "
    "AS swap(wrapped, to_version, dek_id, from_version) "
    "WHERE data_keys.dek_id = swap.dek_id AND data_keys.key_version = swap.from_version"
)
_FAIL_SQLITE = (
    "UPDATE data_keys SET failed_count = failed_count + ?, fault = ? WHERE dek_id = ? AND key_version = ?"
)
_FAIL_POSTGRESQL = (
    "UPDATE data_keys SET failed_count = failed_count + failed.counted, fault = failed.fault "
    "FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[]) "
    "AS failed(counted, fault, dek_id, from_version) "
    "WHERE data_keys.dek_id = failed.dek_id AND data_keys.key_version = failed.from_version"
)


@dataclass(frozen=True, slots=True)
class Swap:
    """A wrapper to store, if the row is still under the version that was read."""

    dek_id: str
    from_version: str
    wrapped: bytes
    to_version: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A wrapper that could not be moved. Transient faults are not ``counted`` towards quarantine."""

    dek_id: str
    from_version: str
    fault: str
    counted: bool


class RewrapUnit:
    """One short transaction over data keys."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self._is_sqlite = connection.dialect.name == "sqlite"
        self.now = now
        self.shredded = False
        """Whether wrapped keys were replaced: SQLite's log may still hold the old ones."""

    def swap(self, swaps: Sequence[Swap]) -> int:
        """Store the wrappers whose rows are as they were read. Returns how many: others won the rest.

        A row that is moved is no longer counted as failed.
        """
        rows = [(swap.wrapped, swap.to_version, swap.dek_id, swap.from_version) for swap in swaps]
        moved = self._bulk(rows, _SWAP_SQLITE, _SWAP_POSTGRESQL)
        self.shredded |= moved > 0
        return moved

    def fail(self, failures: Sequence[Failed]) -> None:
        """Note why rows could not be moved, unless another replica has moved them meanwhile."""
        rows = [(int(one.counted), one.fault, one.dek_id, one.from_version) for one in failures]
        self._bulk(rows, _FAIL_SQLITE, _FAIL_POSTGRESQL)

    def release_quarantined(self) -> int:
        """Forget the failures of all that is quarantined, so that it is tried again. Returns how many."""
        return self._release(_KEYS.c.failed_count >= QUARANTINE_AFTER)

    def release_faults(self, fault: str, key_versions: Sequence[str]) -> int:
        """Forget the failures with this fault under these versions, which work again. Returns how many."""
        return self._release(
            and_(
                _KEYS.c.failed_count >= QUARANTINE_AFTER,
                _KEYS.c.fault == fault,
                _KEYS.c.key_version.in_(key_versions),
            )
        )

    def take_lease(self, holder: str, *, seconds: float) -> bool:
        """Hold the sweep for so long, or renew it. Returns False while another replica holds it.

        Without it two replicas would do the same work twice, no more: what they store is compared anyway.
        """
        mine_or_free = or_(
            _REGISTRY.c.sweep_holder.in_((holder, "")),
            _REGISTRY.c.sweep_expire_time <= self.now,
        )
        taken = self._connection.execute(
            update(_REGISTRY)
            .where(mine_or_free)
            .values(sweep_holder=holder, sweep_expire_time=self.now + timedelta(seconds=seconds))
        )
        return taken.rowcount == 1

    def give_lease(self, holder: str) -> None:
        """Let another replica sweep."""
        self._connection.execute(
            update(_REGISTRY)
            .where(_REGISTRY.c.sweep_holder == holder)
            .values(sweep_holder="", sweep_expire_time=None)
        )

    def _release(self, which: ColumnElement[bool]) -> int:
        return self._connection.execute(update(_KEYS).where(which).values(failed_count=0, fault="")).rowcount

    def _bulk(self, rows: Sequence[tuple[bytes | str | int, ...]], sqlite: str, postgresql: str) -> int:
        if not rows:
            return 0
        # In key order everywhere: two units that meet on PostgreSQL wait for each other, and never in a ring.
        ordered = sorted(rows, key=lambda row: row[2])
        if self._is_sqlite:
            return self._connection.exec_driver_sql(sqlite, ordered).rowcount
        columns = tuple(list(column) for column in zip(*ordered, strict=True))
        return self._connection.exec_driver_sql(postgresql, columns).rowcount
