"""Watches when things go wrong: restarts, kills, other databases, readers that stall, clients that vanish."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from codevector.providers.v1 import provider_pb2
from codevector.providers.v1 import routing_service_pb2 as pb
from google.protobuf.duration_pb2 import Duration

from service.store import open_store
from tests.integration.test_cli_keys import command, create
from tests.integration.test_rollback import database_files, put_back
from tests.support.servers.api import Api, refusal_of
from tests.support.servers.harness import PATIENCE_SECONDS, ROOT, Instance, Process, running, wait_until
from tests.support.servers.postgresql import PostgresServer
from tests.support.servers.registry_pairs import two_registries
from tests.support.servers.watching import NARROW, Watch, connect, watcher_count, watching
from tests.support.values.router_table import Ledger, Reason, RouterTable

QUIET = {"CODEVECTOR_LOG_LEVEL": "info"}
SOON = Duration(seconds=1)
LARGE_MODELS = 130
BIG_LABELS = {f"key-{number:02}".ljust(60, "k"): "v" * 63 for number in range(64)}
LABELS_BYTES = sum(len(key) + len(value) for key, value in BIG_LABELS.items())
STREAMS_AT_ONCE = 100
STREAMS_A_ROUND = 2000
MOST_GROWTH_KIB = 1 << 10
"""In one of ten rounds at least: half a KiB that each stream leaves would be seen."""


@pytest.fixture(scope="module")
def shared() -> Iterator[Instance]:
    with running(QUIET) as instance:
        yield instance


@pytest.fixture
def made(shared: Instance) -> Instance:
    """A registry that runs and may be stopped; what earlier tests left in it is of no matter."""
    if shared.service is None:
        shared.start_service()
    return shared


def history(api: Api, ledger: Ledger) -> list[RouterTable]:
    """Some changes, and the table as a router had it at each of their revisions."""
    with watching(api.instance, ledger=ledger) as watch:
        watch.snapshot()
        tables = [watch.table.copy()]
        provider = api.create()
        first, second = (api.create_provider_model(provider.name, name) for name in ("first", "second"))
        api.create_model(first, second)
        api.disable(first)
        api.disable(provider)
        api.enable(first)
        api.enable(provider)
        head = api.revision()
        while watch.table.revision < head:
            watch.message()
            tables.append(watch.table.copy())
    return tables


def resumes(made: Instance, table: RouterTable, ledger: Ledger) -> RouterTable:
    """The table after a resume that must succeed, up to the bookmark that says that this is all."""
    with watching(made, table.copy(), ledger=ledger, strict_resume=True, bookmark_interval=SOON) as watch:
        while watch.message().WhichOneof("event") != "bookmark":
            pass
        return watch.table


def resumes_once_seen(made: Instance, table: RouterTable, ledger: Ledger) -> RouterTable:
    """The same at a replica that may not have seen the table's revision yet: it waits for it for a second.

    It gives the alarm no sooner; on a machine that pauses for longer, it is asked again.
    """
    while True:
        began = time.monotonic()
        try:
            return resumes(made, table, ledger)
        except grpc.RpcError as error:
            refusal, waited = refusal_of(error), time.monotonic() - began
        assert refusal.reason == "REVISION_AHEAD"
        assert waited >= 1, "an alarm too early"


def begins_anew(made: Instance, table: RouterTable, reason: Reason, error: str) -> dict[str, str]:
    """Hold a resume to failing for this reason; returns what an insistent router is told."""
    with watching(made, table.copy()) as watch:
        assert watch.snapshot()[0].reason == reason
        assert watch.table.rows == RouterTable.of(Api(made).snapshot()).rows
    with watching(made, table.copy(), strict_resume=True) as watch:
        refusal = watch.end()
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.OUT_OF_RANGE, error)
    assert refusal.metadata.keys() == {"current_revision", "compact_revision"}
    assert refusal.metadata["current_revision"] == str(Api(made).revision())
    return refusal.metadata


class TestAnotherLife:
    def test_every_revision_of_the_lives_before_can_be_resumed_from(self, made: Instance) -> None:
        """After a stop and after a kill, and each router is sent the very same bytes as before."""
        ledger = Ledger()
        tables = history(Api(made), ledger)
        for end in (made.stop_service, made.kill_service):
            end()
            made.start_service()
            tables.append(resumes(made, tables[-1], ledger))
            api = Api(made)
            provider = api.create()
            now = RouterTable.of(api.snapshot())
            assert now.revision == provider.revision
            for table in reversed(tables):
                assert resumes(made, table, ledger) == now
        ledger.check()

    def test_what_the_change_log_has_forgotten_begins_anew(self, made: Instance) -> None:
        ledger = Ledger()
        tables = history(Api(made), ledger)
        made.stop_service()
        url = f"sqlite:///{made.home}/registry.db"
        with closing(open_store(url, clock=lambda: datetime.now(UTC))) as store:
            until = tables[-1].revision - 3
            compacted = store.write(lambda unit: unit.log.compact(until)).compact_revision
        made.start_service()
        assert tables[0].revision + 3 < compacted == tables[-1].revision - 3
        for table in tables:
            if 0 < table.revision < compacted:
                told = begins_anew(made, table, Reason.REASON_COMPACTED, "REVISION_COMPACTED")
                floor = int(told["compact_revision"])
                assert resumes(made, next(one for one in tables if one.revision == floor), ledger)
            elif table.revision:
                assert resumes(made, table, ledger) == tables[-1]

    def test_a_change_log_that_is_full_forgets_what_no_longer_fits(self) -> None:
        """More was written than the log may have: the oldest goes, however young it is."""
        with running({**QUIET, "CODEVECTOR_CHANGE_LOG_MIB": "1"}) as made:
            api = Api(made)
            provider = api.create()
            before = RouterTable.of(api.snapshot())
            first = next(iter(BIG_LABELS))
            for number in range(3 * (1 << 20) // LABELS_BYTES):
                provider.labels.update({**BIG_LABELS, first: str(number)})
                provider = api.update(provider, "labels")

            def fits() -> bool:
                with closing(sqlite3.connect(f"file:{made.home}/registry.db?mode=ro", uri=True)) as database:
                    [(size,)] = database.execute("SELECT sum(length(payload)) FROM change_log")
                return bool((1 << 19) < size < (1 << 20) * 9 // 8)

            wait_until(fits, what="the log is cut")
            made.stop_service()
            made.start_service()
            begins_anew(made, before, Reason.REASON_COMPACTED, "REVISION_COMPACTED")

    def test_a_database_that_was_put_back_is_behind_its_routers(self, made: Instance, tmp_path: Path) -> None:
        history(Api(made), Ledger())
        made.stop_service()
        for path in database_files(made.home):
            shutil.copy(path, tmp_path / path.name)
        made.start_service()
        Api(made).create()
        table = RouterTable.of(Api(made).snapshot())
        made.stop_service()
        put_back(made, tmp_path)
        made.start_service()
        begins_anew(made, table, Reason.REASON_REVISION_AHEAD, "REVISION_AHEAD")

    def test_a_database_that_was_made_anew_is_another_store(self, made: Instance) -> None:
        table = history(Api(made), Ledger())[-1]
        made.stop_service()
        for path in database_files(made.home):
            path.unlink()
        assert made.run("service", "migrate", "--new").returncode == 0
        made.start_service()
        begins_anew(made, table, Reason.REASON_STORE_CHANGED, "STORE_CHANGED")
        with watching(made) as watch:
            [chunk] = watch.snapshot()
            assert (chunk.first, chunk.last, watch.table.rows, watch.table.revision) == (True, True, {}, 0)
            assert Api(made).create().revision == watch.change_set().revision == 1


class TestGoodbye:
    def test_a_registry_that_stops_says_so_to_each(self, made: Instance) -> None:
        """Within the goodbye, not by being cut off once the time for calls in flight is up."""
        with ExitStack() as stack:
            channels = [stack.enter_context(connect(made.address)) for _ in range(4)]
            watches = [Watch(channel) for channel in channels for _ in range(50)]
            for watch in watches:
                watch.snapshot()
            head = Api(made).create().revision
            made.stop_service()
            for watch in watches:
                refusal = watch.end()
                assert (refusal.code, refusal.reason) == (
                    grpc.StatusCode.UNAVAILABLE,
                    "SERVER_DRAINING",
                )
                assert refusal.retry_seconds == 5.0
                last = pb.WatchRoutingResponse.FromString(watch.octets[-1])
                assert last.bookmark.draining
                assert last.revision == watch.table.revision == head

    def test_also_while_somebody_does_not_read(self, made: Instance, large: provider_pb2.Provider) -> None:
        with connect(made.address, *NARROW) as deaf, watching(made) as watch:
            Watch(deaf)
            watch.snapshot()
            made.stop_service()
            assert watch.end().reason == "SERVER_DRAINING"


def fill(api: Api) -> provider_pb2.Provider:
    """More than a megabyte of routing table under one provider."""
    provider = api.create(labels=BIG_LABELS)
    models = [
        api.create_provider_model(provider.name, f"m{number:03}", labels=BIG_LABELS)
        for number in range(LARGE_MODELS)
    ]
    api.create_model(*models[:20], labels=BIG_LABELS)
    return provider


@pytest.fixture
def large(made: Instance) -> Iterator[provider_pb2.Provider]:
    api = Api(made)
    provider = fill(api)
    yield provider
    if made.service is not None:
        api.delete(provider.name, force=True)


class TestLargeTables:
    def test_come_in_chunks(self, made: Instance, large: provider_pb2.Provider) -> None:
        """Each of at most 512 KiB, with what it refers to before it, as the watch's table checks."""
        with watching(made) as watch:
            chunks = watch.snapshot()
            assert len(chunks) >= 3
            assert [chunk.first for chunk in chunks] == [True] + [False] * (len(chunks) - 1)
            assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
            assert sum(map(len, watch.octets)) > 1 << 20
            assert watch.table.rows == RouterTable.of(Api(made).snapshot()).rows

    def test_a_change_of_all_of_it_is_not_cut(self, made: Instance, large: provider_pb2.Provider) -> None:
        api = Api(made)
        with watching(made) as watch:
            watch.snapshot()
            rows = dict(watch.table.rows)
            api.disable(large)
            assert len(watch.change_set().change_set.changes) == LARGE_MODELS + 2
            api.enable(large)
            assert watch.change_set().ByteSize() > 1 << 20
            assert watch.table.rows == rows

    def test_who_does_not_read_stalls_alone(self, made: Instance, large: provider_pb2.Provider) -> None:
        """Others get every change and calls are answered; one who reads at last has missed nothing."""
        api, ledger = Api(made), Ledger()
        with ExitStack() as stack:
            deaf = [
                Watch(stack.enter_context(connect(made.address, *NARROW)), ledger=ledger) for _ in range(10)
            ]
            watch = stack.enter_context(watching(made, ledger=ledger))
            watch.snapshot()
            for _ in range(6):
                api.disable(large)
                watch.change_set()
                api.enable(large)
                watch.change_set()
            for each in deaf:
                assert each.snapshot()[0].reason == Reason.REASON_INITIAL
                assert each.table.revision < watch.table.revision, "it began before all this"
                each.until(watch.table.revision)
                assert each.table.rows == watch.table.rows
                each.close()
        ledger.check()


def memory_kib(made: Instance) -> int:
    assert made.service is not None
    status = Path(f"/proc/{made.service.child.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def logged(process: Process) -> list[dict[str, Any]]:
    """The log of a process that has ended."""
    return [json.loads(line) for line in process.stderr.read_text().splitlines()]


def open_and_drop(made: Instance, count: int) -> None:
    """So many streams, a hundred at once: a third named, a third cut before their first message."""
    for begin in range(0, count, STREAMS_AT_ONCE):
        with connect(made.address) as channel:
            watches = [
                Watch(channel, request={"watcher_id": f"dropped-{number}"} if number % 3 == 0 else {})
                for number in range(STREAMS_AT_ONCE)
            ]
            for number, watch in enumerate(watches):
                if number % 3:
                    watch.snapshot()
            if begin % (2 * STREAMS_AT_ONCE):
                for watch in watches:
                    watch.close()


WATCH_FOR_EVER = """
import sys
from tests.support.servers.watching import Watch, connect
watches = [Watch(connect(sys.argv[1]), request={"watcher_id": f"{sys.argv[2]}-{n}"}) for n in range(50)]
for watch in watches:
    watch.snapshot()
print("watching", flush=True)
for message in watches[0].messages():
    pass
"""


class TestGoneClients:
    def test_streams_that_are_opened_and_dropped_leave_nothing(self, made: Instance) -> None:
        made.stop_service()  # it counts how streams ended, also those of tests before
        made.start_service()
        registry = made.service
        assert registry is not None
        # What is kept for each stream grows with every round; what the allocator holds back does not.
        sizes = [memory_kib(made)]
        while len(sizes) < 3 or sizes[-1] - sizes[-2] > MOST_GROWTH_KIB:
            assert len(sizes) < 10, f"memory grows with each {STREAMS_A_ROUND} streams, in KiB: {sizes}"
            open_and_drop(made, STREAMS_A_ROUND)
            sizes.append(memory_kib(made))
        wait_until(lambda: watcher_count(made) == 0, what="no watcher is left")
        assert watcher_count(made, "dropped") == (STREAMS_AT_ONCE + 2) // 3

        made.stop_service()
        lines = logged(registry)
        ended = [line for line in lines if line.get("method") == "WatchRouting"]
        assert {line["code"] for line in ended} == {"CANCELLED"}
        # A stream that was cut before it was sent never began. Two of three have been read from.
        read = (len(sizes) - 1) * STREAMS_A_ROUND * 66 // 100
        assert sum(line.get("count", 1) for line in ended) >= read, "it says how each stream ended"
        assert not [line for line in lines if line["level"] in ("error", "critical")]

    @pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
    def test_a_client_that_is_killed_leaves_nothing(self, made: Instance, end: signal.Signals) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", WATCH_FOR_EVER, made.address, end.name],
            cwd=ROOT,
            env=made.environment,
            stdout=subprocess.PIPE,
        ) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == b"watching\n"
            assert watcher_count(made, f"{end.name} AND watching = true") == 50
            client.send_signal(end)
            client.wait(PATIENCE_SECONDS)
        wait_until(lambda: watcher_count(made) == 0, what="no watcher is left")
        assert watcher_count(made, end.name) == 50, "they count until they are forgotten"


class TestOtherWork:
    def test_rotating_keys_disturbs_no_watcher(self, made: Instance) -> None:
        create(made, 20)
        with watching(made, bookmark_interval=SOON) as watch:
            watch.snapshot()
            head = watch.table.revision
            rotated = command(made, "key", "rotate")
            assert rotated.code == 0, rotated.err
            later = watch.bookmark()
            assert later.revision == head == Api(made).revision()
            status = command(made, "key", "status", "-o", "json").data["encryption"]
            assert "staleDataKeyCount" not in status or int(status["staleDataKeyCount"]) == 0

    def test_a_revision_that_one_replica_has_sent_is_no_alarm_at_another(
        self, postgres_server: PostgresServer
    ) -> None:
        with two_registries(postgres_server) as (first, second):
            api, ledger = Api(first), Ledger()
            with watching(first, ledger=ledger) as watch:
                watch.snapshot()
                for _ in range(10):
                    api.create()
                    watch.change_set()
                    assert resumes_once_seen(second, watch.table, ledger) == watch.table
            ledger.check()
