"""Brings a database to the schema this program knows, or says in one sentence why it may not.

One migrator at a time: the database's file lock on SQLite, an advisory lock on PostgreSQL. All migrations
that are due, and the rows every database begins with, are one transaction.

Alembic is imported where it migrates: a server that only checks its database starts half a second earlier.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import Connection, column, insert, inspect, select, table, text, update
from sqlalchemy.exc import DBAPIError

from service.store import engines
from service.store.failures import StoreStartError
from service.store.ground import DatabaseLock
from service.store.rows import SINGLE_ROW, RegistryInfoRow, RevisionCounterRow

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

HEAD = "0008"
"""The newest migration; a test holds it to the scripts."""
_VERSION = table("alembic_version", column("version_num"), column("oldest_schema"))
"""Alembic's own table, to which migration 0007 added a column."""
_ADVISORY_LOCK = 0x636F6465766563  # "codevec": any constant that no other program is likely to use
_SET_UP_POSTGRESQL = (
    "SET LOCAL lock_timeout = '60s'",
    "SET LOCAL statement_timeout = 0",
    f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})",
)
EMPTY = "the database is empty: migrate it first"
NEWER = "the database was written by a newer version of this program: start that version"


def migrate(url: str, *, how: engines.Connecting = engines.AS_USUAL) -> None:
    """Create or upgrade the schema. Does nothing to a database that is up to date.

    Raises:
        StoreStartError: another instance runs on the database file, the database cannot be reached, or a
            newer version has written it.
    """
    parsed = engines.parse_url(url)
    path = engines.sqlite_path(parsed)
    with ExitStack() as stack:
        if path is not None:
            stack.callback(DatabaseLock(path).release)
        engine = engines.create(parsed, how)
        engines.leave_unchecked(engine)
        stack.callback(engine.dispose)
        try:
            with engine.execution_options(**engines.WRITE).begin() as connection:
                _upgrade(connection)
        except DBAPIError as error:
            raise engines.unusable(parsed, error) from error


@dataclass(frozen=True, slots=True)
class SchemaCheck:
    """What a database holds, and what migrating it takes. A schema is a migration's number, sorted as text.

    ``oldest`` is the oldest schema whose programs may use the database. ``rolling`` says whether programs of
    the database's schema may go on while it is migrated to ``target``.
    """

    current: str
    oldest: str
    target: str
    rolling: bool


def check_current(connection: Connection) -> None:
    """Refuse a database that this program may not use: a newer one may say that it still works.

    Raises:
        StoreStartError: too new, older, or no schema at all.
    """
    current = _current(connection)
    if current == HEAD:
        return
    if current is None:
        raise StoreStartError(EMPTY)
    if _is_newer(connection, current):
        return
    raise StoreStartError("the database was written by an older version of this program: migrate it first")


def check_schema(url: str, *, to: str | None, how: engines.Connecting = engines.AS_USUAL) -> SchemaCheck:
    """Return what the database holds, and whether it can be migrated while programs use it.

    ``to`` is the schema to migrate to, that of this program where it is None.

    Raises:
        StoreStartError: the database cannot be reached or is empty, or this program does not know ``to``.
    """
    parsed = engines.parse_url(url)
    engine = engines.create(parsed, how)
    try:
        with engine.connect() as connection:
            current = _current(connection)
            if current is None:
                raise StoreStartError(EMPTY)
            oldest = _oldest_of(connection)
    except DBAPIError as error:
        raise engines.unusable(parsed, error) from error
    finally:
        engine.dispose()
    allowed = _allowed()
    if to is not None and to not in allowed:
        raise StoreStartError(f"this program knows schemas up to {HEAD}: ask the version that you update to")
    target = max(to or HEAD, current)
    rolling = all(allows <= current for number, allows in allowed.items() if current < number <= target)
    return SchemaCheck(current, oldest or current, target, rolling)


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION.name):
        return None
    version: str | None = connection.scalar(select(_VERSION.c.version_num))
    return version


def _oldest_of(connection: Connection) -> str | None:
    """Return the oldest schema whose programs may use the database, None if it does not say."""
    columns = {each["name"] for each in inspect(connection).get_columns(_VERSION.name)}
    if "oldest_schema" not in columns:
        return None
    oldest: str | None = connection.scalar(select(_VERSION.c.oldest_schema))
    return oldest


def _allowed() -> dict[str, str]:
    """Return the oldest schema that each migration of this program allows, by the migration's number.

    One that names none allows its own only: it changes or drops what older programs use.
    """
    scripts = _scripts(_config()).walk_revisions()
    return {script.revision: getattr(script.module, "oldest", script.revision) for script in scripts}


def _is_newer(connection: Connection, current: str) -> bool:
    """Return whether a newer program has migrated the database, and this one may use it.

    Raises:
        StoreStartError: a newer one has, and this one may not.
    """
    if current <= HEAD:
        return False
    oldest = _oldest_of(connection)
    if not oldest or oldest > HEAD:
        raise StoreStartError(NEWER)
    return True


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        for statement in _SET_UP_POSTGRESQL:
            connection.execute(text(statement))
    from alembic import command

    current = _current(connection)
    if current is not None and _is_newer(connection, current):
        return
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    _first_rows(connection, store_id=uuid4())
    if current != HEAD:
        connection.execute(update(_VERSION).values(oldest_schema=max(_allowed().values())))


def _first_rows(connection: Connection, *, store_id: UUID) -> None:
    if connection.scalar(select(RevisionCounterRow.id)) is not None:
        return
    first = uuid4()
    connection.execute(
        insert(RevisionCounterRow).values(
            id=SINGLE_ROW,
            revision=0,
            compact_revision=0,
            store_id=store_id,
            commit_id=first,
            parent_id=first,
            compact_id=first,
        )
    )
    connection.execute(
        insert(RegistryInfoRow).values(
            id=SINGLE_ROW, deployment_id=None, primary_key_version="", key_names_seen=[], keyring_seq=0
        )
    )


def _scripts(config: Config) -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(config)


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
