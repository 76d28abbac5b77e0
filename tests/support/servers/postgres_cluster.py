"""A PostgreSQL that is archived and has a standby, for what operators do when one is lost.

Both servers are reached through one URL that names them both, as libpq and the registry take it. Each has a
socket directory of its own, so that a server keeps its place whatever data it runs on.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.support.servers.harness import wait_until
from tests.support.servers.postgresql import Programs, programs

DATABASE = "registry"
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",  # processes are killed here, not the machine
    "max_connections": "100",
    "wal_level": "replica",
    "archive_mode": "on",
    "hot_standby": "on",
}


@dataclass(slots=True)
class Cluster:
    """Two places for a server, ``a`` and ``b``; the first server runs in ``a``."""

    found: Programs
    places: dict[str, Path]
    archive: Path
    servers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    database: str = DATABASE

    def create_database(self) -> str:
        """Make the one database. Returns its name."""
        self.execute("a", f"CREATE DATABASE {DATABASE}")
        return DATABASE

    def drop_database(self, name: str) -> None:
        """Leave it: the cluster goes as a whole."""

    def url(self, database: str) -> str:
        """The URL that names both places, for the one that takes writes."""
        hosts = "&".join(f"host={place}" for place in self.places.values())
        return f"postgresql+psycopg://postgres@/{database}?{hosts}&target_session_attrs=read-write"

    def start(self, place: str, data: Path, **settings: str) -> None:
        """Start a server."""
        archiving = {"archive_command": f"cp %p {self.archive}/%f"}
        self.servers[place] = self.found.start(
            data, self.places[place], {**_SETTINGS, **archiving, **settings}
        )

    def kill(self, place: str) -> None:
        """End a server at once, as a lost machine does: nothing more is written or sent."""
        server = self.servers.pop(place)
        server.send_signal(signal.SIGQUIT)
        server.wait()

    def copy(self, name: str) -> Path:
        """Take a base backup of the server in ``a``. Returns the data directory."""
        data = self.found.root / name
        self.found.run(
            "pg_basebackup", "-h", self.places["a"], "-U", "postgres", "-D", data, "-c", "fast", "--no-sync"
        )
        return data

    def start_standby(self) -> None:
        """Start a server in ``b`` that follows the one in ``a``, and return once it does."""
        data = self.copy("standby")
        (data / "standby.signal").touch()
        primary = f"host={self.places['a']} user=postgres application_name=b"
        self.start("b", data, primary_conninfo=primary)
        wait_until(self.is_followed, what="the standby follows")

    def is_followed(self) -> bool:
        """Whether the standby receives what the server in ``a`` writes."""
        return self.ask("a", "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == 1

    def confirm_writes(self) -> None:
        """Answer no write from now on before the standby has it."""
        self.execute("a", "ALTER SYSTEM SET synchronous_standby_names = 'b'")
        self.ask("a", "SELECT pg_reload_conf()")
        state = "SELECT sync_state FROM pg_stat_replication"
        wait_until(lambda: self.ask("a", state) == "sync", what="the standby is synchronous")

    def cut_off(self) -> None:
        """Let the standby receive nothing more, as when the line between the two is lost."""
        self.kill("b")
        self.start("b", self.found.root / "standby", primary_conninfo="")

    def promote(self) -> None:
        """Let the standby take writes from now on."""
        assert self.ask("b", "SELECT pg_promote(true, 60)") is True

    def dump(self) -> Path:
        """Take a logical backup of the database."""
        file = self.found.root / "dump"
        self.found.run("pg_dump", "-h", self.places["a"], "-U", "postgres", "-Fc", "-f", file, DATABASE)
        return file

    def restore(self, dump: Path) -> None:
        """Restore a dump beside the database, and put it in its place."""
        self.execute("a", "CREATE DATABASE restored")
        self.found.run("pg_restore", "-h", self.places["a"], "-U", "postgres", "-d", "restored", dump)
        self.execute("a", f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false")
        ending = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{DATABASE}'"  # noqa: S608
        self.ask("a", ending)
        wait_until(lambda: self.ask("a", ending) == 0, what="nobody is connected to the database")
        self.execute("a", f"ALTER DATABASE {DATABASE} RENAME TO lost")
        self.execute("a", f"ALTER DATABASE restored RENAME TO {DATABASE}")

    def recover(self, backup: Path, *, until: str) -> None:
        """Take a base backup forward to a restore point, and let it take the place of the server in ``a``."""
        last = self.ask("a", "SELECT pg_walfile_name(pg_switch_wal())")
        archived = f"SELECT last_archived_wal >= '{last}' FROM pg_stat_archiver"  # noqa: S608
        wait_until(lambda: self.ask("a", archived) is True, what="everything is archived")
        self.kill("a")
        (backup / "recovery.signal").touch()
        self.start(
            "a",
            backup,
            restore_command=f"cp {self.archive}/%f %p",
            recovery_target_name=until,
            recovery_target_action="promote",
        )
        wait_until(lambda: self.ask("a", "SELECT pg_is_in_recovery()") is False, what="recovery ends")

    def execute(self, place: str, statement: str) -> None:
        """Run a statement that returns nothing, in a session of its own."""
        with self._connect(place) as connection:
            connection.execute(statement.encode())

    def ask(self, place: str, statement: str) -> object:
        """The first value that a statement returns, in a session of its own."""
        with self._connect(place) as connection:
            row = connection.execute(statement.encode()).fetchone()
            return row[0] if row else None

    def _connect(self, place: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self.places[place]), user="postgres", dbname="postgres", autocommit=True
        )


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A cluster with a server in ``a``."""
    with programs() as found:
        places = {name: found.directory(name) for name in ("a", "b")}
        made = Cluster(found, places, found.directory("archive"))
        data = found.root / "first"
        found.initialise(data)
        made.start("a", data)
        try:
            yield made
        finally:
            for place in list(made.servers):
                made.kill(place)
