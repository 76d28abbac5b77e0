"""The database is taken away under a running registry: nothing acknowledged is lost, and it comes back."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path

import grpc
import pytest
from codevector.providers.v1 import system_service_pb2 as pb
from codevector.providers.v1 import system_service_pb2_grpc

from tests.support.servers.api import Api, refused
from tests.support.servers.harness import Instance, running, wait_until

SECONDS_TO_NOTICE = 15
"""Fifteen looks, and the end of a process on a busy machine."""


def ended(made: Instance) -> None:
    """Wait until the registry has ended by itself."""
    assert made.service is not None
    process = made.service.child
    wait_until(lambda: process.poll() is not None, what="the registry ends")
    assert process.returncode == 1
    made.disconnect()


def overwrite(made: Instance, copy: Path) -> None:
    """Copy over the database; again where the registry was just moving its log, which looks the same."""
    assert made.service is not None
    process = made.service.child
    for _ in range(5):
        shutil.copyfile(copy, made.home / "registry.db")
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_NOTICE)
            return


def logged(made: Instance) -> dict[str, object]:
    """The line in which the registry said what happened to its database."""
    assert made.service is not None
    lines = [json.loads(line) for line in made.service.stderr.read_text().splitlines() if line[:1] == "{"]
    found: dict[str, object]
    [found] = [line for line in lines if line["event"] == "database_lost" and "what" in line]
    return found


def breaks(made: Instance) -> int:
    """How often the registry has found that its history was lost."""
    assert made.channel is not None
    system = system_service_pb2_grpc.SystemServiceStub(made.channel)
    return int(system.GetSystemInfo(pb.GetSystemInfoRequest(), timeout=10).history_break_count)


def remove(database: Path) -> None:
    for end in ("", "-wal", "-shm"):
        database.with_name(database.name + end).unlink()


def test_a_deleted_database_is_rescued_and_restored() -> None:
    with running() as made:
        api, database = Api(made), made.home / "registry.db"
        name = api.create().name
        remove(database)
        refusal = refused(api.create)
        assert refusal.code is grpc.StatusCode.UNAVAILABLE
        assert "was deleted or replaced" in refusal.message
        ended(made)
        kept = logged(made)["kept"]

        gone = made.run("service", "migrate")
        assert (gone.returncode, "is gone" in gone.stderr, "restore FILE" in gone.stderr) == (1, True, True)
        assert not database.exists()
        done = made.run("service", "restore", str(kept))
        assert done.returncode == 0, done.stderr
        assert "goes on from revision" in done.stdout
        made.start_service()
        assert api.get(name).name == name
        assert breaks(made) == 1


def test_it_is_noticed_without_a_write() -> None:
    with running() as made:
        remove(made.home / "registry.db")
        ended(made)
        assert logged(made)["what"] == "was deleted or replaced"


def test_an_older_copy_over_it_is_opened_whole() -> None:
    with running() as made:
        api, database = Api(made), made.home / "registry.db"
        early = api.create().name
        older = made.home / "older.db"
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("VACUUM INTO ?", (str(older),))
        made.stop_service()
        made.start_service()
        assert breaks(made) == 0
        late = api.create().name
        overwrite(made, older)
        ended(made)
        assert logged(made)["what"] == "was overwritten"
        made.start_service()
        assert api.get(early).name == early
        assert refused(lambda: api.get(late)).code is grpc.StatusCode.NOT_FOUND


def test_a_registry_is_begun_anew_only_where_that_is_meant() -> None:
    with running() as made:
        made.stop_service()
        (made.home / "registry.db").unlink()
        assert made.run("service", "migrate").returncode == 1
        made.execute("service", "migrate", "--new")
        made.start_service()
        assert Api(made).revision() == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param(("restore",), "restore takes the backup", id="no backup"),
        pytest.param(("migrate", "x.db"), "restore takes the backup", id="a backup to migrate"),
    ],
)
def test_a_wrong_command_line_is_refused(arguments: tuple[str, ...], text: str) -> None:
    with running() as made:
        done = made.run("service", *arguments)
        assert (done.returncode, text in done.stderr) == (2, True)
