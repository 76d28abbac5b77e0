"""Writes nonsense into single columns past every constraint, as whoever has the database's shell can."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Boolean, Connection, Integer, LargeBinary, Table, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeDecorator

DEEP = "[" * 100_000
TEXTS: tuple[str, ...] = ("", "NaN", "a/b\x00", "{", "[]", "[99]", '{"a": 1}', '{"a": "\\ud800"}', DEEP)
NUMBERS: tuple[int, ...] = (-1, 99, 10**18)
OCTETS: tuple[bytes, ...] = (b"\xff\xfe",)
_UNCHECKED = ("foreign_keys = OFF", "ignore_check_constraints = ON", "wal_autocheckpoint = 0")
"""The last, because a store ends when another process writes its database file."""
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
        with self._connected() as connection:
            before = connection.exec_driver_sql(
                f"SELECT * FROM {table.name} ORDER BY {_key(table)} LIMIT 1"  # noqa: S608 - names of the schema
            ).one()
        try:
            self._write(table, [*before], {column: value})
        except (DBAPIError, ValueError):
            yield False
            return
        try:
            yield True
        finally:
            after = {name: (value if name == column else old) for name, old in before._mapping.items()}
            self._write(table, [*after.values()], dict(before._mapping))

    def _write(self, table: Table, row: Sequence[object], values: dict[str, object]) -> None:
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
        with self._connected() as connection:
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
                for pragma in _UNCHECKED:
                    connection.exec_driver_sql(f"PRAGMA {pragma}")
                connection.commit()
            else:
                connection.execute(text("SET session_replication_role = replica"))
            yield connection
            connection.commit()

    def drop_checks(self) -> None:
        """Let PostgreSQL take what CHECK constraints would refuse: it has no switch for them."""
        if self._is_sqlite:
            return
        with self._engine.begin() as connection:
            found = connection.execute(
                text(
                    "SELECT conrelid::regclass::text, conname FROM pg_constraint "
                    "WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
                )
            )
            for table, name in found.all():
                connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))


def _key(table: Table) -> str:
    return ", ".join(column.name for column in table.primary_key)
