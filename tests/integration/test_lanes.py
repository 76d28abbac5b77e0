"""Calls that wait for a locked database, a stopped sidecar or a computation do not hold up others."""

from __future__ import annotations

import itertools
import json
import re
import resource
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from codevector.providers.v1 import provider_service_pb2 as pb
from codevector.providers.v1 import routing_service_pb2, system_service_pb2

from runtime.hardening import connections_of
from tests.support.servers.api import KINDS, Api, api_key
from tests.support.servers.harness import Instance, running, wait_until
from tests.support.servers.postgresql import PostgresServer
from tests.support.servers.replicas import paused

OPENAI = KINDS.PROVIDER_KIND_OPENAI
WAITING = 12
"""More calls than a lane has threads."""
SECONDS = 25.0
TRIES = 10


@contextmanager
def few_open_files() -> Iterator[None]:
    """Children started in the block have the soft limit of a shell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def made() -> Iterator[Instance]:
    with few_open_files(), running() as instance:
        Api(instance).create(kind=OPENAI, credential=api_key(), provider_id="kept")
        yield instance


@pytest.fixture(scope="module")
def replica(postgres_server: PostgresServer) -> Iterator[Instance]:
    database = postgres_server.create_database()
    with running({"CODEVECTOR_DATABASE_URL": postgres_server.url(database)}) as instance:
        Api(instance).create(kind=OPENAI, credential=api_key(), provider_id="kept")
        yield instance
    postgres_server.drop_database(database)


@contextmanager
def waiting(call: Callable[[int], Any], count: int = WAITING) -> Iterator[list[Future[Any]]]:
    """So many calls under way while the block runs, which end when it has."""
    with ThreadPoolExecutor(count) as pool:
        calls = [pool.submit(call, number) for number in range(count)]
        wait_until(lambda: all(each.running() or each.done() for each in calls), what="all calls are made")
        yield calls


def reads_go_on(made: Instance) -> None:
    """What an administrator looks at, and what a router needs to open a credential."""
    made.providers.ListProviders(pb.ListProvidersRequest(), timeout=SECONDS)
    made.providers.GetProvider(pb.GetProviderRequest(name="providers/kept"), timeout=SECONDS)
    sealed = routing_service_pb2.BatchGetSealedCredentialsRequest(providers=["providers/kept"])
    [result] = made.routing.BatchGetSealedCredentials(sealed, timeout=SECONDS).results
    assert result.HasField("sealed_credential")


def disable(made: Instance) -> Callable[[int], object]:
    request = pb.DisableProviderRequest(name="providers/kept", validate_only=True)
    return lambda _: made.providers.DisableProvider(request, timeout=SECONDS)


def held_up_alone(
    block: Callable[[], AbstractContextManager[object]],
    call: Callable[[int], Any],
    others: Callable[[], object],
) -> list[Future[Any]]:
    """Return calls that all still waited when ``others`` were done, once they have ended.

    Each call waits for some seconds at most, which may pass first on a busy machine: then it is tried again.
    """
    for _ in range(TRIES):
        with ExitStack() as blocked:
            blocked.enter_context(block())
            with waiting(call) as calls:
                others()
                held_up = not any(each.done() for each in calls)
                blocked.close()
        if held_up:
            return calls
    raise AssertionError(f"others waited as long as the calls that were held up, {TRIES} times")


def test_reads_go_on_while_sqlite_is_locked(made: Instance) -> None:
    @contextmanager
    def locked() -> Iterator[None]:
        with closing(sqlite3.connect(made.home / "registry.db", isolation_level=None)) as locker:
            locker.execute("BEGIN IMMEDIATE")
            yield

    calls = held_up_alone(locked, disable(made), lambda: reads_go_on(made))
    assert {type(each.exception()) for each in calls} == {type(None)}


def test_reads_go_on_while_a_table_of_postgresql_is_locked(replica: Instance) -> None:
    @contextmanager
    def locked() -> Iterator[None]:
        with closing(psycopg.connect(replica.environment["CODEVECTOR_DATABASE_URL"])) as locker:
            locker.execute("SELECT * FROM revision_counter FOR UPDATE")
            yield

    calls = held_up_alone(locked, disable(replica), lambda: reads_go_on(replica))
    assert {type(each.exception()) for each in calls} == {type(None)}


def test_both_processes_raise_their_soft_limit_of_open_files_and_say_what_it_allows(made: Instance) -> None:
    assert made.service is not None
    assert made.kms is not None
    for process in (made.service, made.kms):
        limits = Path(f"/proc/{process.child.pid}/limits").read_text()
        [(soft, hard)] = re.findall(r"Max open files +(\d+) +(\d+)", limits)
        assert soft == hard
        lines = [json.loads(line) for line in process.stderr.read_text().splitlines()]
        [said] = [line for line in lines if line["event"] in ("open_files", "kms_open_files")]
        sockets = 3 if process is made.kms else 1
        assert said["limit"] == int(hard)
        assert said["connections"] == connections_of(int(hard), sockets=sockets)
    info = made.system.GetSystemInfo(system_service_pb2.GetSystemInfoRequest(), timeout=SECONDS)
    assert info.connection_limit == connections_of(info.open_file_limit)


def test_writes_without_a_key_go_on_while_the_sidecar_hangs(made: Instance) -> None:
    api, numbers = Api(made), itertools.count()

    def create(_: int) -> None:
        try:
            api.create(kind=OPENAI, credential=api_key(), provider_id=f"new-{next(numbers)}")
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise

    def others() -> None:
        reads_go_on(made)
        disable(made)(0)

    calls = held_up_alone(lambda: paused(made.kms), create, others)
    assert {type(each.exception()) for each in calls} == {type(None)}
