"""Plays a scenario: what administrators do, what happens to the processes, what the program answers."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codevector.providers.v1 import (
    model_service_pb2,
    provider_service_pb2,
    system_service_pb2,
    system_service_pb2_grpc,
)
from google.protobuf import json_format

from tests.conformance import variants
from tests.conformance.matching import differences, filled
from tests.conformance.programs import Client
from tests.support.servers.desk import Desk
from tests.support.servers.harness import Instance, wait_until

CALL_SECONDS = 60.0
UNTIL_SECONDS = 120.0


@dataclass(slots=True)
class Player:
    """One installation and one program. ``kept`` is what steps refer to by name."""

    instance: Instance
    client: Client
    kept: dict[str, Any] = field(default_factory=lambda: {"token": []})

    def play(self, step: dict[str, Any]) -> None:
        """One step; an answer that is not as expected fails the test."""
        step = filled(step, self.kept)
        match step:
            case {"client": request, "until": expected}:
                self._wait(request, expected)
            case {"client": request}:
                self._check(self.client.ask(request), step)
            case {"admin": method, "request": request}:
                self._check(self._call(method, request), step)
            case {"installation": act}:
                self._installation()[act]()
            case {"sql": statements}:
                self._execute(statements)
            case {"vectors": "opened and garbled"}:
                self._open_vectors()
            case unknown:
                raise AssertionError(f"no such step: {unknown}")

    def _check(self, answer: dict[str, Any], step: dict[str, Any]) -> None:
        found = differences(step["expect"], answer) if "expect" in step else []
        assert not found, found
        for name, member in step.get("keep", {}).items():
            self.kept[name] = answer[member]

    def _wait(self, request: dict[str, Any], expected: dict[str, Any]) -> None:
        found: list[str] = []

        def holds() -> bool:
            found[:] = differences(expected, self.client.ask(request))
            return not found

        try:
            wait_until(holds, seconds=UNTIL_SECONDS)
        except AssertionError:
            raise AssertionError(f"not within {UNTIL_SECONDS} s: {found}") from None

    def _call(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        """Call as an administrator; of a write, keep the revision, the token, and tokens made from it."""
        channel = self.instance.channel
        assert channel is not None
        services = (
            (provider_service_pb2, self.instance.providers),
            (model_service_pb2, self.instance.models),
            (system_service_pb2, system_service_pb2_grpc.SystemServiceStub(channel)),
        )
        module, stub = next(each for each in services if hasattr(each[1], method))
        message = json_format.ParseDict(request, getattr(module, f"{method}Request")())
        answer, call = getattr(stub, method).with_call(message, timeout=CALL_SECONDS)
        trailers = dict(call.trailing_metadata())
        if "x-revision" in trailers:
            self.kept["revision"] = int(trailers["x-revision"])
            token = str(trailers["x-revision-token"])
            self.kept["token"].append(token)
            self.kept.update(variants.tokens(token))
        document = json_format.MessageToDict(
            answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        return _with_numbers(document)

    def _installation(self) -> dict[str, Callable[[], None]]:
        return {
            "start registry": self.instance.start_service,
            "stop registry": self.instance.stop_service,
            "kill registry": self.instance.kill_service,
            "start sidecar": self.instance.start_kms,
            "kill sidecar": self.instance.kill_kms,
            "save database": lambda: self._save("saved.db"),
            "put database back": lambda: self._put_back("saved.db"),
            "save fork": lambda: self._save("fork.db"),
            "put fork back": lambda: self._put_back("fork.db"),
            "make database anew": self._make_database_anew,
            "let another router watch": lambda: Desk(self.instance).meet("another", ""),
        }

    def _save(self, name: str) -> None:
        with self._database() as database, closing(sqlite3.connect(self.instance.home / name)) as saved:
            database.backup(saved)

    def _put_back(self, name: str) -> None:
        self._remove_database()
        shutil.copy(self.instance.home / name, self._path)

    def _make_database_anew(self) -> None:
        self._remove_database()
        done = self.instance.run("service", "migrate", "--new")
        assert done.returncode == 0, done.stderr

    def _execute(self, statements: list[str]) -> None:
        with self._database() as database:
            database.create_function("flip", 2, _flip)
            for statement in statements:
                assert database.execute(statement).rowcount, f"changed nothing: {statement}"
            database.commit()

    def _open_vectors(self) -> None:
        for what, request, expected in variants.openings():
            found = differences(expected, self.client.ask(request), what)
            assert not found, found

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path)) as database:
            yield database

    def _remove_database(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return self.instance.home / "registry.db"


def _with_numbers(document: dict[str, Any]) -> dict[str, Any]:
    """Revisions, which JSON has as strings, as numbers: steps compute with them."""

    def number(key: str, value: Any) -> Any:
        match value:
            case dict():
                return _with_numbers(value)
            case list():
                return [number(key, item) for item in value]
            case str() if key.endswith("revision"):
                return int(value)
        return value

    return {key: number(key, value) for key, value in document.items()}


def _flip(octets: bytes, index: int) -> bytes:
    changed = bytearray(octets)
    changed[index] ^= 1
    return bytes(changed)
