"""What a failing database means: try again, it is busy, it is away, or a bug; and what is wrong with it.

Messages to callers hold neither SQL nor parameters; the cause stays chained for the log, where the engine
hides parameters too (`hide_parameters`), since they hold ciphertext.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.domain.errors import Reason, Unavailable

READ_ONLY_TRANSACTION = "25006"
_SQLITE_PRIMARY_CODE = 0xFF


class StoreStartError(Exception):
    """The store cannot be opened; the message is one sentence for the person who starts the service."""


class Failure(Enum):
    """What to do about a database error."""

    CONFLICT = "run the unit of work again"
    LOST = "the connection broke: run the unit of work again, once"
    BUSY = "others are in the way: the caller may try again"
    AWAY = "the database cannot do its work now"


class Cause(StrEnum):
    """What is wrong with the database, as logs and the metadata of errors name it."""

    CONTENTION = "CONTENTION"
    LOCK = "LOCK"
    POOL = "POOL"
    SLOW = "SLOW"
    CONNECTION = "CONNECTION"
    TLS = "TLS"
    LOGIN = "LOGIN"
    POOLER = "POOLER"
    NO_DATABASE = "NO_DATABASE"
    CONNECTIONS = "CONNECTIONS"
    STARTING = "STARTING"
    READ_ONLY = "READ_ONLY"
    RIGHTS = "RIGHTS"
    SCHEMA = "SCHEMA"
    DISK = "DISK"
    MEMORY = "MEMORY"
    DAMAGE = "DAMAGE"
    FILE = "FILE"


_WORDS: Mapping[Cause, str] = MappingProxyType(
    {
        Cause.CONTENTION: "is busy: other transactions were in the way each time",
        Cause.LOCK: "is busy: another transaction holds a lock",
        Cause.POOL: "is busy: all connections of this replica are in use",
        Cause.SLOW: "is busy: a statement took too long",
        Cause.CONNECTION: "is not available",
        Cause.TLS: "does not offer the TLS that sslmode demands, or its certificate is not trusted",
        Cause.LOGIN: "refuses this account, its password or this host",
        Cause.POOLER: "is behind PgBouncer: set CODEVECTOR_DATABASE_PGBOUNCER=1",
        Cause.NO_DATABASE: "does not exist under this name, or lets nobody in",
        Cause.CONNECTIONS: "has no connection left for this account",
        Cause.STARTING: "is starting or stopping",
        Cause.READ_ONLY: "is read-only: the URL leads to a standby, or the account may only read",
        Cause.RIGHTS: "refuses this account a right",
        Cause.SCHEMA: "lacks a table or column: migrate it, or restore a backup",
        Cause.DISK: "has no disk space left",
        Cause.MEMORY: "is out of memory",
        Cause.DAMAGE: "reports damage: restore a backup",
        Cause.FILE: "file cannot be read or written",
    }
)
"""What follows "the database" in a message."""

_OF_SQLSTATE: Mapping[str, tuple[Failure, Cause]] = MappingProxyType(
    {
        "40001": (Failure.CONFLICT, Cause.CONTENTION),
        "40P01": (Failure.CONFLICT, Cause.CONTENTION),
        "55P03": (Failure.BUSY, Cause.LOCK),
        "57014": (Failure.BUSY, Cause.SLOW),
        # The session leads to a server that was demoted: another one may lead to the new primary.
        READ_ONLY_TRANSACTION: (Failure.LOST, Cause.READ_ONLY),
        "25P03": (Failure.LOST, Cause.CONNECTION),
        "57P01": (Failure.LOST, Cause.STARTING),
        "57P02": (Failure.LOST, Cause.STARTING),
        "57P03": (Failure.LOST, Cause.STARTING),
        "57P04": (Failure.LOST, Cause.NO_DATABASE),
        "42501": (Failure.AWAY, Cause.RIGHTS),
        "42P01": (Failure.AWAY, Cause.SCHEMA),
        "42703": (Failure.AWAY, Cause.SCHEMA),
        "3F000": (Failure.AWAY, Cause.SCHEMA),
        "3D000": (Failure.AWAY, Cause.NO_DATABASE),
        "53100": (Failure.AWAY, Cause.DISK),
        "53300": (Failure.AWAY, Cause.CONNECTIONS),
    }
)
_OF_CLASS: Mapping[str, tuple[Failure, Cause]] = MappingProxyType(
    {
        "08": (Failure.LOST, Cause.CONNECTION),
        "28": (Failure.AWAY, Cause.LOGIN),
        "53": (Failure.AWAY, Cause.MEMORY),
        "57": (Failure.AWAY, Cause.CONNECTION),
        "58": (Failure.AWAY, Cause.DAMAGE),
        "XX": (Failure.AWAY, Cause.DAMAGE),
    }
)
"""By the first two characters of a SQLSTATE, where `_OF_SQLSTATE` has no more to say. Source: PostgreSQL's
appendix A."""
_OF_SQLITE: Mapping[int, tuple[Failure, Cause]] = MappingProxyType(
    {
        5: (Failure.BUSY, Cause.LOCK),
        6: (Failure.BUSY, Cause.LOCK),
        7: (Failure.AWAY, Cause.MEMORY),
        8: (Failure.AWAY, Cause.READ_ONLY),
        10: (Failure.AWAY, Cause.FILE),
        11: (Failure.AWAY, Cause.DAMAGE),
        13: (Failure.AWAY, Cause.DISK),
        14: (Failure.AWAY, Cause.FILE),
        26: (Failure.AWAY, Cause.DAMAGE),
    }
)
"""By the primary result code. Source: https://www.sqlite.org/rescode.html"""
_OF_TEXT: tuple[tuple[tuple[str, ...], str, Cause], ...] = (
    (("authentication failed",), "28P01", Cause.LOGIN),
    (("no password supplied",), "28P01", Cause.LOGIN),
    (("pg_hba.conf",), "28000", Cause.LOGIN),
    (('FATAL:  role "', "does not exist"), "28000", Cause.LOGIN),
    (("is not permitted to log in",), "28000", Cause.LOGIN),
    (('FATAL:  database "', "does not exist"), "3D000", Cause.NO_DATABASE),
    (("not currently accepting connections",), "55000", Cause.NO_DATABASE),
    (("permission denied for database",), "42501", Cause.RIGHTS),
    (("too many c",), "53300", Cause.CONNECTIONS),  # "clients already", "connections for role"
    (("remaining connection slots",), "53300", Cause.CONNECTIONS),
    (("unsupported startup parameter",), "08P01", Cause.POOLER),
    (("the database system is",), "57P03", Cause.STARTING),
    (("session is read-only",), "", Cause.READ_ONLY),
    (("server is in hot standby mode",), "", Cause.READ_ONLY),
    (("SSL",), "", Cause.TLS),
    (("certificate",), "", Cause.TLS),
    (("no such table",), "", Cause.SCHEMA),
    (("no such column",), "", Cause.SCHEMA),
)
"""By what is said where there is no code: of refused connections libpq keeps no SQLSTATE, and SQLite has one
for all that is wrong with a statement. What is said in another language is `CONNECTION`."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a database error means and what is wrong. ``sqlstate`` is "" where there is none."""

    failure: Failure
    cause: Cause
    sqlstate: str = ""
    right: str = ""
    """The right that is missing, e.g. "UPDATE on providers"."""

    @property
    def words(self) -> str:
        """What follows "the database" in a message."""
        if self.right:
            return f"refuses this account a right: grant it {self.right}"
        return _WORDS[self.cause]

    @property
    def metadata(self) -> dict[str, str]:
        """What logs and errors say beside the words."""
        found = {"cause": self.cause.value, "sqlstate": self.sqlstate, "right": self.right}
        return {name: value for name, value in found.items() if value}


class CommitInDoubt(Exception):
    """The connection broke while committing: the transaction may or may not have taken place."""


def trouble_of(error: DBAPIError | PoolTimeout) -> Trouble | None:
    """Return what a database error means for the unit of work it ended, or None for a bug of ours."""
    if isinstance(error, PoolTimeout):
        return Trouble(Failure.BUSY, Cause.POOL)
    sqlstate = getattr(error.orig, "sqlstate", None) or ""
    if error.connection_invalidated and sqlstate != READ_ONLY_TRANSACTION:
        return Trouble(Failure.LOST, Cause.CONNECTION, sqlstate)
    known = _OF_SQLSTATE.get(sqlstate) or _OF_CLASS.get(sqlstate[:2])
    if known is None:
        known = _OF_SQLITE.get(getattr(error.orig, "sqlite_errorcode", 0) & _SQLITE_PRIMARY_CODE)
    if known is not None:
        failure, cause = known
        return Trouble(failure, cause, sqlstate, _missing_right(error) if cause is Cause.RIGHTS else "")
    return _said(str(error.orig)) if isinstance(error, OperationalError | InterfaceError) else None


def unavailable(trouble: Trouble) -> Unavailable:
    """Return the error for a database that is busy or away; nothing was written."""
    is_busy = trouble.failure in (Failure.BUSY, Failure.CONFLICT)
    return Unavailable(
        f"the database {trouble.words}: retry",
        reason=Reason.STORE_BUSY if is_busy else Reason.STORE_UNAVAILABLE,
        metadata=trouble.metadata,
    )


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


def _missing_right(error: DBAPIError) -> str:
    """Return the right that is missing: the statement has its kind, the message ends with the object."""
    kind = (error.statement or "").strip().partition(" ")[0].upper()
    said = getattr(getattr(error.orig, "diag", None), "message_primary", None) or ""
    name = said.rpartition(" ")[2].strip('"')
    return f"{kind} on {name}" if kind.isalpha() and name else ""


def _said(said: str) -> Trouble:
    for fragments, sqlstate, cause in _OF_TEXT:
        if all(fragment in said for fragment in fragments):
            return Trouble(Failure.AWAY, cause, sqlstate)
    return Trouble(Failure.AWAY, Cause.CONNECTION)
