"""What the groups of one write unit share: its connection, its stamps, and the record of what it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.exc import IntegrityError

from service.domain.errors import AlreadyExists
from service.store.mapping import Values
from service.store.rows import Base
from service.store.units.changes import Touched

FRESH: Mapping[str, Any] = MappingProxyType({"populate_existing": True})
"""Execution options of an ORM read. A unit's writes bypass the session: loaded rows may be stale."""


def table(row: type[Base]) -> Table:
    """Return the table of a row class. Writes go to the tables, past the ORM."""
    return cast(Table, row.__table__)


class Savepoints(Enum):
    """Whether a unit goes on after a violated constraint: without one PostgreSQL aborts the transaction."""

    NONE = "no statement is guarded"
    EACH = "each statement that may violate a constraint is guarded"


@dataclass(slots=True)
class Writing:
    """The state of a write unit. ``revision`` and ``now`` are what its changes are stamped with."""

    connection: Connection
    revision: int
    now: datetime
    savepoints: Savepoints
    touched: Touched = field(default_factory=Touched)
    bookkeeping: bool = False
    """Whether something was written that takes no revision."""
    shredded: bool = False
    """Whether a sealed credential was destroyed: SQLite's log may still hold its bytes."""

    def execute(self, statement: Executable, values: Values | Sequence[Values] | None = None) -> None:
        """Run a statement that returns no rows."""
        self.connection.execute(statement, values)

    @contextmanager
    def unique(self, clash: Callable[[], AlreadyExists | None]) -> Iterator[None]:
        """Turn a violated constraint into the error that names the holder, which ``clash`` returns.

        Raises:
            IntegrityError: the unit has no savepoints, or nobody is the holder.
        """
        if self.savepoints is Savepoints.NONE:
            yield
            return
        try:
            with self.connection.begin_nested():
                yield
        except IntegrityError:
            taken = clash()
            if taken is None:
                raise
            raise taken from None
