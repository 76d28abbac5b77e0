"""A real PgBouncer in transaction mode: each transaction in whatever session is free."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from tests.support.servers.harness import wait_until
from tests.support.servers.ports import free_port
from tests.support.servers.postgresql import programs

SESSIONS = 3
"""How many sessions PostgreSQL sees, however many connections there are: each is used by several."""
_SETTINGS = """
[databases]
* = host={host} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
"""


@contextmanager
def pooled(program: Path, url: str) -> Iterator[str]:
    """The URL of the same database, through PgBouncer."""
    parts = urlsplit(url)
    [host] = parse_qs(parts.query)["host"]
    port = free_port()
    with programs() as found:
        folder = found.directory("pgbouncer")
        settings = folder / "pgbouncer.ini"
        settings.write_text(_SETTINGS.format(host=host, port=port, sessions=SESSIONS))
        settings.chmod(0o644)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, "-q", settings], stdout=log, stderr=subprocess.STDOUT, cwd="/", **found.identity
            )
        through = f"postgresql://postgres@127.0.0.1:{port}{parts.path}"
        try:
            wait_until(lambda: _answers(process, through, folder / "log"), what="PgBouncer answers")
            yield through
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def _answers(process: subprocess.Popen[bytes], url: str, log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
