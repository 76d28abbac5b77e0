"""Writes nonsense into single columns past every constraint, as whoever has the database's shell can."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Boolean, Connection, Integer, LargeBinary, Table, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeDecorator

from service.store.engines import broken_check

DEEP = "[" * 100_000
TEXTS: tuple[str, ...] = ("", "NaN", "a/b\x00", "{", "[]", "[99]", '{"a": 1}', '{"a": "\\ud800"}', DEEP)
NUMBERS: tuple[int, ...] = (-1, 99, 10**18)
OCTETS: tuple[bytes, ...] = (b"\xff\xfe",)
_SQLITE_PRAGMAS = ("foreign_keys = OFF", "wal_autocheckpoint = 0")
"""The last, because a store ends when another process writes its database file."""
_CHECKS_OF = text(
    "SELECT conname, pg_get_constraintdef(pg_constraint.oid) FROM pg_constraint JOIN pg_attribute "
    "ON attrelid = conrelid AND attnum = ANY (conkey) "
    "WHERE contype = 'c' AND conrelid = CAST(:table AS regclass) AND attname = :column"
)
NOT_UTF8 = "CAST(x'fffe' AS TEXT)"


class Vandal:
    """Edits one row of each table, and puts back what was there."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)
        self._is_sqlite = self._engine.dialect.name == "sqlite"

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def nonsense(self, table: Table, column: str) -> Iterator[object]:
        """Yield what the column may be made to hold; a text that begins with CAST is SQL."""
        declared = table.columns[column]
        if declared.nullable:
            yield None
        kind = declared.type.impl_instance if isinstance(declared.type, TypeDecorator) else declared.type
        if self._is_sqlite:
            yield from (*TEXTS, *NUMBERS, 1.5, *OCTETS, NOT_UTF8)
        elif isinstance(kind, Boolean):
            yield from (True, False)
        elif isinstance(kind, Integer):
            yield from NUMBERS
        elif isinstance(kind, LargeBinary):
            yield from OCTETS
        else:
            yield from (value for value in TEXTS if "\x00" not in value)
        others = f"SELECT {column} FROM {table.name}"  # noqa: S608 - names of the schema
        with self._connected() as connection:
            found = connection.exec_driver_sql(others).scalars().all()
        yield from found

    @contextmanager
    def edited(self, table: Table, column: str, value: object) -> Iterator[bool]:
        """Put a value into the first row; False where the database refuses it even now."""
        before = self._first(table)
        try:
            self.edit(table, column, value)
        except (DBAPIError, ValueError):
            yield False
            return
        try:
            yield True
        finally:
            with self._connected() as connection:
                self._write(connection, table, [*{**before, column: value}.values()], before)
                connection.commit()

    def edit(self, table: Table, column: str, value: object) -> None:
        """Put a value into the first row for good. Raises what the database says if it refuses even now."""
        before = self._first(table)
        with self._connected() as connection, self._checks_off(connection, table, column):
            self._write(connection, table, [*before.values()], {column: value})
            connection.commit()

    def fill(self, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        """Have a table hold these rows and no others."""
        with self._connected() as connection:
            connection.exec_driver_sql(f"DELETE FROM {table.name}")  # noqa: S608 - a name of the schema
            for row in rows:
                marks = ", ".join([self._mark] * len(row))
                statement = f"INSERT INTO {table.name} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608
                connection.exec_driver_sql(statement, tuple(row.values()))
            connection.commit()

    def rows(self, table: Table) -> list[dict[str, object]]:
        """Return all rows as the database has them."""
        with self._connected() as connection:
            found = connection.exec_driver_sql(f"SELECT * FROM {table.name}")  # noqa: S608
            return [dict(row._mapping) for row in found]

    def refused(self, table: Table, column: str, value: object) -> bool:
        """Return whether a CHECK constraint refuses a value in the first row. Changes nothing."""
        with self._connected() as connection:
            try:
                self._write(connection, table, [*self._first(table).values()], {column: value})
            except (DBAPIError, ValueError) as error:
                return broken_check(getattr(error, "orig", None)) is not None
            finally:
                connection.rollback()
        return False

    def _first(self, table: Table) -> dict[str, object]:
        statement = f"SELECT * FROM {table.name} ORDER BY {_key(table)} LIMIT 1"  # noqa: S608 - of the schema
        with self._connected() as connection:
            return dict(connection.exec_driver_sql(statement).one()._mapping)

    def _write(
        self, connection: Connection, table: Table, row: Sequence[object], values: dict[str, object]
    ) -> None:
        """Replace the one row that is like ``row``, whatever stands in it."""
        names = [column.name for column in table.columns]
        terms, arguments = [], []
        for name, value in values.items():
            raw = isinstance(value, str) and value.startswith("CAST(")
            terms.append(f"{name} = {value if raw else self._mark}")
            arguments += [] if raw else [value]
        places = []
        for name, value in zip(names, row, strict=True):
            raw = isinstance(value, str) and value.startswith("CAST(")
            same = "IS" if self._is_sqlite else "IS NOT DISTINCT FROM"
            places.append(f"{name} {same} {value if raw else self._mark}")
            arguments += [] if raw else [value]
        statement = f"UPDATE {table.name} SET {', '.join(terms)} WHERE {' AND '.join(places)}"  # noqa: S608
        done = connection.exec_driver_sql(statement, tuple(arguments))
        if done.rowcount != 1:
            raise AssertionError(f"{done.rowcount} rows of {table.name} were edited")

    @property
    def _mark(self) -> str:
        return "?" if self._is_sqlite else "%s"

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            if self._is_sqlite:
                raw: Any = connection.connection.dbapi_connection
                assert isinstance(raw, sqlite3.Connection)
                raw.text_factory = lambda octets: octets.decode("utf-8", "surrogateescape")
                for pragma in _SQLITE_PRAGMAS:
                    connection.exec_driver_sql(f"PRAGMA {pragma}")
                connection.commit()
            else:
                connection.execute(text("SET session_replication_role = replica"))
            yield connection

    @contextmanager
    def _checks_off(self, connection: Connection, table: Table, column: str) -> Iterator[None]:
        """Let a transaction write past CHECK constraints, which hold for all others.

        PostgreSQL has no switch for them: those of the column are dropped, and made again for rows to come.
        """
        if self._is_sqlite:
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
            yield
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = OFF")
            return
        found = connection.execute(_CHECKS_OF, {"table": table.name, "column": column}).all()
        if found:
            dropped = ", ".join(f"DROP CONSTRAINT {name}" for name, _ in found)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} {dropped}")
        yield
        if found:
            made = ", ".join(
                f"ADD CONSTRAINT {name} {definition.removesuffix(' NOT VALID')} NOT VALID"
                for name, definition in found
            )
            connection.exec_driver_sql(f"ALTER TABLE {table.name} {made}".replace("%", "%%"))


def _key(table: Table) -> str:
    return ", ".join(column.name for column in table.primary_key)
