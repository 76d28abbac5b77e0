"""Writes of one and of three registries on one PostgreSQL, beside the same statements by bare psycopg.

PostgreSQL syncs each commit to disk. The bare transaction holds the counter row over as many trips as the
registry did with a savepoint around each write: what is missing to 1 is what a registry adds. With a delay,
each trip to the database takes a millisecond more.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

import psycopg
from codevector.providers.v1 import provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

from service.store import migrate, open_store
from tests.support.servers.harness import Instance, instance
from tests.support.servers.ports import free_port
from tests.support.servers.postgresql import running_server
from tests.support.values.registry_values import a_provider

SETTINGS = {"listen_addresses": "", "max_connections": "200"}
"""With these each commit is on disk before it is answered."""
CLIENTS = 8
SECONDS = 4.0
DELAYS_MS = (0, 1)
JOIN = "SELECT * FROM providers LEFT JOIN credentials USING (provider_id) WHERE provider_id = %s"
TRIPS: Sequence[tuple[str, tuple[object, ...]]] = (
    ("UPDATE revision_counter SET revision = revision + 1, parent_id = commit_id RETURNING revision", ()),
    (JOIN, ("bench",)),
    ("SAVEPOINT a", ()),
    ("UPDATE providers SET labels = %s WHERE provider_id = %s", ('{"n":"1"}', "bench")),
    ("RELEASE a", ()),
    (JOIN, ("bench",)),
    (
        "INSERT INTO change_log (revision, ordinal, kind, name, op, payload, commit_time, commit_id) "
        "SELECT revision, 0, 'provider', 'providers/bench', 'put', '', 0, commit_id FROM revision_counter",
        (),
    ),
)
"""After BEGIN and before COMMIT."""


def shared_writes(rounds: int) -> None:
    """Print writes a second, medians of rounds that take turns."""
    print(f"\n## Writes on PostgreSQL, {CLIENTS} clients a registry, medians of {rounds}\n")
    print("| a trip takes | bare psycopg | one registry | of bare | three together | of one |")
    print("|---|---|---|---|---|---|")
    with running_server(SETTINGS) as server:
        for delay in DELAYS_MS:
            with _network(server.socket_directory, delay) as url_of:
                bare, one, three = _measured(url_of, rounds)
                trip = _trip(url_of("postgres"))
            print(
                f"| {trip:.1f} ms | {bare:,.0f} | {one:,.0f} | {one / bare:.2f} "
                f"| {three:,.0f} | {three / one:.2f} |"
            )


def _measured(url_of: Callable[[str], str], rounds: int) -> tuple[float, float, float]:
    databases = [f"{name}_{time.monotonic_ns()}" for name in ("bare", "shared")]
    with psycopg.connect(url_of("postgres"), autocommit=True) as connection:
        for name in databases:
            connection.execute(f"CREATE DATABASE {name}".encode())
    bare, shared = (url_of(name) for name in databases)
    for url in (bare, shared):
        migrate(url)
        with closing(open_store(url, clock=lambda: datetime.now(UTC))) as store:
            store.write(lambda unit: unit.providers.insert(a_provider("bench"), None))
    with ExitStack() as stack:
        registries = [stack.enter_context(_registry(shared)) for _ in range(3)]
        connections = [stack.enter_context(psycopg.connect(bare)) for _ in range(CLIENTS)]
        transactions = [partial(_transaction, each) for each in connections]
        updates = [[partial(_update, each) for _ in range(CLIENTS)] for each in registries]
        figures = [
            (_rate(transactions), _rate(updates[0]), _rate([update for each in updates for update in each]))
            for _ in range(rounds)
        ]
    return tuple(median(column) for column in zip(*figures, strict=True))


def _rate(clients: Sequence[Callable[[int], None]]) -> float:
    """How often all of them together do their work in a second, each in a thread."""
    end = time.monotonic() + SECONDS

    def work(client: Callable[[int], None]) -> int:
        for done in count():
            if time.monotonic() >= end:
                return done
            client(done)
        raise AssertionError("it counts for ever")

    with ThreadPoolExecutor(len(clients)) as pool:
        return sum(pool.map(work, clients)) / SECONDS


def _transaction(connection: psycopg.Connection, _number: int) -> None:
    for statement, values in TRIPS:
        connection.execute(statement.encode(), values)
    connection.commit()


def _update(made: Instance, number: int) -> None:
    provider = provider_pb2.Provider(name="providers/bench", labels={"n": str(number)})
    request = pb.UpdateProviderRequest(provider=provider, update_mask=FieldMask(paths=["labels"]))
    made.providers.UpdateProvider(request, timeout=60)


def _trip(url: str) -> float:
    """Milliseconds of a statement that does nothing."""
    with psycopg.connect(url, autocommit=True) as connection:
        started = time.perf_counter()
        for _ in range(100):
            connection.execute("SELECT 1")
        return (time.perf_counter() - started) * 10


@contextmanager
def _registry(url: str) -> Iterator[Instance]:
    settings = {"CODEVECTOR_DATABASE_URL": url, "CODEVECTOR_LOG_LEVEL": "info"}
    with instance(settings) as made:
        made.start_service()
        yield made


@contextmanager
def _network(sockets: Path, delay_ms: int) -> Iterator[Callable[[str], str]]:
    """From a database's name to its URL: through the socket, or over a network where there is a delay."""
    if not delay_ms:
        yield lambda name: f"postgresql://postgres@/{name}?host={sockets}"
        return
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.delay", str(port), f"{sockets}/.s.PGSQL.5432", str(delay_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield lambda name: f"postgresql://postgres@127.0.0.1:{port}/{name}"
        finally:
            process.kill()
