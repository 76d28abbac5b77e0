"""Brings a database to the schema this program knows, or says in one sentence why it may not.

One migrator at a time: the database's file lock on SQLite, an advisory lock on PostgreSQL. All migrations
that are due, and the rows every database begins with, are one transaction.

Alembic is imported where it migrates: a server that only checks its database starts half a second earlier.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import Connection, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError

from service.store import engines
from service.store.failures import StoreStartError
from service.store.ground import DatabaseLock
from service.store.rows import SINGLE_ROW, RegistryInfoRow, RevisionCounterRow

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

HEAD = "0006"
"""The newest migration; a test holds it to the scripts."""
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


def check_current(connection: Connection) -> None:
    """Refuse a database whose schema is not the one this program knows.

    Raises:
        StoreStartError: newer, older, or no schema at all.
    """
    current = _current(connection)
    if current == HEAD:
        return
    if current is None:
        raise StoreStartError(EMPTY)
    _refuse_newer(_scripts(_config()), current)
    raise StoreStartError("the database was written by an older version of this program: migrate it first")


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        for statement in _SET_UP_POSTGRESQL:
            connection.execute(text(statement))
    from alembic import command

    config = _config()
    current = _current(connection)
    if current is not None:
        _refuse_newer(_scripts(config), current)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    _first_rows(connection, store_id=uuid4())


def _refuse_newer(script: ScriptDirectory, current: str) -> None:
    if current not in {known.revision for known in script.walk_revisions()}:
        raise StoreStartError(NEWER)


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
