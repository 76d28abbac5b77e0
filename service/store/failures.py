"""What a failing database means: try again, the database is away, or a bug.

Messages to callers hold neither SQL nor parameters; the cause stays chained for the log, where the engine
hides parameters too (`hide_parameters`), since they hold ciphertext.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.domain.errors import Aborted, Reason, Unavailable

_SERIALIZATION_FAILURES = frozenset({"40001", "40P01"})
_SQLITE_BUSY = 5
_SQLITE_LOCKED = 6
_SQLITE_PRIMARY_CODE = 0xFF
_CONNECTION_EXCEPTION_CLASS = "08"
_SERVER_GOING_AWAY = frozenset({"57P01", "57P02", "57P03"})


class StoreStartError(Exception):
    """The store cannot be opened; the message is one sentence for the person who starts the service."""


class Failure(Enum):
    """What to do about a database error."""

    CONFLICT = "run the unit of work again"
    LOST = "the connection broke: run the unit of work again, once"
    AWAY = "the database cannot do its work now"
    BUG = "ours to mend"


class CommitInDoubt(Exception):
    """The connection broke while committing: the transaction may or may not have taken place."""


def failure_of(error: DBAPIError | PoolTimeout) -> Failure:
    """Return what a database error means for the unit of work it ended."""
    if isinstance(error, PoolTimeout):
        return Failure.AWAY
    sqlstate = getattr(error.orig, "sqlstate", None)
    sqlite_code = getattr(error.orig, "sqlite_errorcode", 0) & _SQLITE_PRIMARY_CODE
    if sqlstate in _SERIALIZATION_FAILURES or sqlite_code in (_SQLITE_BUSY, _SQLITE_LOCKED):
        return Failure.CONFLICT
    if error.connection_invalidated or sqlstate in _SERVER_GOING_AWAY:
        return Failure.LOST
    if sqlstate is not None and sqlstate.startswith(_CONNECTION_EXCEPTION_CLASS):
        return Failure.LOST
    if isinstance(error, OperationalError | InterfaceError):
        return Failure.AWAY
    return Failure.BUG


def unavailable() -> Unavailable:
    """Return the error for a database that is away; nothing was written."""
    return Unavailable("the database is not available: retry", reason=Reason.STORE_UNAVAILABLE)


def commit_in_doubt() -> Unavailable:
    """Return the error for the one case in which the registry does not know whether it wrote."""
    return Unavailable(
        "the database went away during the commit: read again whether it took place, or repeat the request "
        "with the same request_id",
        reason=Reason.STORE_UNAVAILABLE,
    )


def database_lost(what: str) -> Unavailable:
    """Return the error for a database whose files were removed. The last write may be lost."""
    return Unavailable(
        f"the database file {what} while the registry was running: the registry stops; read again whether "
        "the write took place once it is back",
        reason=Reason.STORE_UNAVAILABLE,
    )


def unreadable(columns: Sequence[str]) -> Unavailable:
    """Return the error for a value that the registry needs and cannot read; nothing was written."""
    what = ", ".join(columns) or "a row"
    return Unavailable(
        f"the database holds what cannot be read: {what}. Restore a backup, or mend it as the runbook on "
        "corrupt rows says",
        reason=Reason.STORE_UNAVAILABLE,
    )


def conflict() -> Aborted:
    """Other writers were in the way each time."""
    return Aborted("other writes were in the way each time: retry", reason=Reason.CONFLICT)
