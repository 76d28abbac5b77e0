"""providerctl as a person or a cron job runs it: killed, watched on a terminal, lied to by a database."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import sqlite3
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import codevector_providers
import pytest
from codevector.providers.v1 import provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from tests.support.servers.harness import ROOT, Instance, running

CREDENTIALS = 200
SECONDS = 120


@dataclass(frozen=True)
class Told:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


def command(made: Instance, *arguments: str) -> Told:
    """One command to its end, its output in pipes."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT,
        env=made.environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Told(done.returncode, done.stdout, done.stderr)


def killed_at(made: Instance, line: str, *arguments: str) -> None:
    """One command, killed with SIGKILL as soon as it says a line on stderr that begins so."""
    with subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT,
        env=made.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        for said in child.stderr:
            if said.startswith(line):
                child.kill()
                break
        else:
            raise AssertionError(f"it never said {line!r}")
        assert child.wait(SECONDS) == -9


def on_a_terminal(made: Instance, *arguments: str, **extra: str) -> tuple[int, str]:
    """Exit code and everything that a terminal of 100 columns was told, data and talk together."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    child = subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT,
        env={**made.environment, "TERM": "xterm-256color", **extra},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        close_fds=True,
    )
    os.close(follower)
    octets = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # EIO: the last one that held the other end is gone
            break
        if not piece:
            break
        octets += piece
    os.close(leader)
    return child.wait(SECONDS), octets.decode()


def create(made: Instance, count: int, *, prefix: str = "p") -> dict[str, str]:
    """The key of each new provider by its name."""
    keys = {f"{prefix}{number}": f"sk-proj-{number:032d}" for number in range(count)}
    for name, key in keys.items():
        made.providers.CreateProvider(
            pb.CreateProviderRequest(
                provider_id=name,
                provider=provider_pb2.Provider(display_name=name, kind=provider_pb2.PROVIDER_KIND_OPENAI),
                credential=api_key(key),
            )
        )
    return keys


def api_key(key: str) -> provider_pb2.CredentialInput:
    return provider_pb2.CredentialInput(api_key=provider_pb2.ApiKeyCredential(api_key=key))


def opened(made: Instance, *names: str) -> dict[str, str]:
    """The keys as a router opens them."""
    with codevector_providers.connect(made.address, kms_socket=made.router_socket) as router:
        table = router.snapshot()
        assert table is not None
        routing = {provider.name.removeprefix("providers/"): provider for provider in table.providers}
        return {name: router.credential(routing[name]).reveal("api_key") for name in names}


def versions(made: Instance) -> list[dict[str, str]]:
    told = command(made, "key", "list", "-o", "json")
    assert told.code == 0, told.err
    return list(told.data)


@pytest.fixture(scope="module")
def stocked() -> Iterator[tuple[Instance, dict[str, str]]]:
    """A running installation with 200 credentials."""
    with running({"CODEVECTOR_LOG_LEVEL": "info"}) as made:
        yield made, create(made, CREDENTIALS)


class TestRotate:
    @pytest.mark.parametrize("line", ["created", "local-", "rewrap: 0 of", "verify: 0 of"])
    def test_killed_in_the_middle_and_run_again(
        self, stocked: tuple[Instance, dict[str, str]], line: str
    ) -> None:
        made, keys = stocked
        before = len(versions(made))
        killed_at(made, line, "key", "rotate")
        told = command(made, "key", "rotate", "-o", "json")
        assert told.code == 0, told.err
        assert "resuming the rotation that began" in told.err
        after = versions(made)
        assert len(after) == before + 1, "the second run began another rotation"
        receipt = told.data
        assert receipt["new_key_version"] == after[-1]["name"]
        assert receipt["run_count"] == 2
        assert receipt["data_keys"]["usage_after"] == {after[-1]["name"]: CREDENTIALS}
        assert receipt["data_keys"]["left_behind_count"] == 0
        assert receipt["provider_rows"]["comparison"] == "EQUAL"
        (newest,) = [
            path
            for path in (made.home / "receipts").glob("rotation-2*.json")
            if json.loads(path.read_bytes())["sha256"] == receipt["sha256"]
        ]
        checked = command(made, "key", "receipt", "check", str(newest), "-o", "json")
        assert checked.code == 0, checked.out
        assert {each["level"] for each in checked.data} == {"OK"}
        some = list(keys)[::20]
        assert opened(made, *some) == {name: keys[name] for name in some}

    def test_an_old_receipt_still_holds_after_newer_rotations(
        self, stocked: tuple[Instance, dict[str, str]], tmp_path: Path
    ) -> None:
        made, _ = stocked
        first = tmp_path / "first.json"
        assert command(made, "key", "rotate", "--receipt", str(first)).code == 0
        assert command(made, "key", "rotate", "--receipt", str(tmp_path / "second.json")).code == 0
        assert first.stat().st_mode & 0o777 == 0o600
        assert command(made, "key", "receipt", "check", str(first)).code == 0

    def test_in_pipes_it_speaks_plain_lines(self, stocked: tuple[Instance, dict[str, str]]) -> None:
        told = command(stocked[0], "key", "rotate")
        assert told.code == 0, told.err
        assert "\x1b" not in told.out + told.err
        assert re.search(r"^rewrap: 200 of 200 data keys$", told.err, re.MULTILINE)
        assert re.search(r"^not moved: 0$", told.out, re.MULTILINE)

    def test_on_a_terminal_it_draws_a_bar(self, stocked: tuple[Instance, dict[str, str]]) -> None:
        code, shown = on_a_terminal(stocked[0], "key", "rotate")
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
        assert code == 0
        assert re.search(r"rewrap \[#+\] 100%, 200 of 200", text)
        assert "not moved      0" in text

    def test_no_color(self, stocked: tuple[Instance, dict[str, str]]) -> None:
        _, shown = on_a_terminal(stocked[0], "key", "status", NO_COLOR="1")
        assert "PRIMARY" in shown
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", shown)


class TestOutput:
    @pytest.mark.parametrize(
        "arguments",
        [
            ("key", "status"),
            ("key", "list"),
            ("key", "verify"),
            ("key", "rewrap"),
            ("key", "audit", "verify"),
            ("key", "audit", "exposure", "--since", "1h"),
            ("doctor",),
        ],
        ids=" ".join,
    )
    def test_is_one_json_document(
        self, stocked: tuple[Instance, dict[str, str]], arguments: tuple[str, ...]
    ) -> None:
        told = command(stocked[0], *arguments, "-o", "json")
        assert told.code == 0, told.err + told.out
        assert told.data

    def test_holds_no_credential(self, stocked: tuple[Instance, dict[str, str]]) -> None:
        made, keys = stocked
        secret = next(iter(keys.values()))
        for arguments in (("key", "status"), ("doctor",), ("key", "audit", "exposure", "--since", "1h")):
            told = command(made, *arguments, "-o", "json", "-v")
            assert secret not in told.out + told.err


class TestCompromise:
    def test_from_the_list_to_the_last_replacement(self) -> None:
        """Of five credentials a router opened two; the case is closed when these two are replaced."""
        with running({"CODEVECTOR_LOG_LEVEL": "info"}) as made:
            create(made, 5)
            opened(made, "p1", "p3")
            told = command(
                made, "key", "compromise", "start", "--since", "1h", "--principal", "router", "-o", "json"
            )
            assert told.code == 0, told.err
            case = told.data
            assert case["scope"] == "AUDIT"
            assert {each["provider"]: each["use"] for each in case["exposed"]} == {
                "providers/p1": "IN_USE",
                "providers/p3": "IN_USE",
            }
            assert case["rotation"]["new_key_version"] == versions(made)[-1]["name"]
            (path,) = (made.home / "receipts").glob("compromise-*.json")
            assert command(made, "key", "compromise", "status", str(path)).code == 1
            for name in ("p1", "p3"):
                made.providers.SetProviderCredential(
                    pb.SetProviderCredentialRequest(
                        name=f"providers/{name}", credential=api_key("sk-proj-" + "n" * 32)
                    )
                )
            told = command(made, "key", "compromise", "status", str(path), "-o", "json")
            assert told.code == 0, told.err
            assert told.data["in_use_count"] == 0


class TestSickRows:
    @pytest.fixture
    def small(self) -> Iterator[Instance]:
        with running({"CODEVECTOR_LOG_LEVEL": "info"}) as made:
            create(made, 4)
            yield made

    def rows(self, made: Instance) -> list[tuple[bytes, bytes, str]]:
        with closing(sqlite3.connect(made.home / "registry.db")) as database:
            return list(
                database.execute(
                    "SELECT data_keys.dek_id, wrapped, key_version FROM data_keys "
                    "JOIN credentials USING (dek_id) ORDER BY provider_id"
                )
            )

    def edit(self, made: Instance, statement: str, *values: object) -> None:
        """By hand, past a registry that is stopped."""
        made.stop_service()
        with closing(sqlite3.connect(made.home / "registry.db")) as database, database:
            assert database.execute(statement, values).rowcount == 1
        made.start_service()

    def test_retire_believes_the_wrappers_and_not_the_column(self, small: Instance) -> None:
        """A row names the new version and holds a wrapper of the old one, which only the wrapper tells."""
        (dek_id, wrapped, old), *_ = self.rows(small)
        assert command(small, "key", "rotate").code == 0
        self.edit(small, "UPDATE data_keys SET wrapped = ? WHERE dek_id = ?", wrapped, dek_id)
        status = command(small, "key", "status", "-o", "json").data["encryption"]
        assert [each["keyVersion"] for each in status["usage"]] != [old]
        told = command(small, "key", "retire", old)
        assert told.code == 5
        assert "1 of 4 data keys still need it" in told.err
        assert {each["name"]: each["state"] for each in versions(small)}[old] == "STATE_DECRYPT_ONLY"
        sick = command(small, "doctor", "-o", "json")
        assert sick.code == 1
        found = {each["subject"]: each["sentence"] for each in sick.data if each["level"] == "FAILED"}
        assert "KEY_VERSION_MISMATCH" in found["providers/p0"]

    def test_doctor_names_exchanged_wrappers(self, small: Instance) -> None:
        rows = self.rows(small)
        self.edit(small, "UPDATE data_keys SET wrapped = ? WHERE dek_id = ?", rows[1][1], rows[2][0])
        sick = command(small, "doctor", "-o", "json")
        assert sick.code == 1
        failed = {each["subject"] for each in sick.data if each["level"] == "FAILED"}
        assert failed == {"data keys", "providers/p2"}

    def test_rotate_does_not_succeed_over_a_wrapper_that_does_not_open(self, small: Instance) -> None:
        (dek_id, wrapped, _), *_ = self.rows(small)
        damaged = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
        self.edit(small, "UPDATE data_keys SET wrapped = ? WHERE dek_id = ?", damaged, dek_id)
        told = command(small, "key", "rotate")
        assert told.code == 1
        assert "providers/p0: CREDENTIAL_CORRUPT" in told.err
        assert not list((small.home / "receipts").glob("rotation-2*.json"))
        self.edit(small, "UPDATE data_keys SET wrapped = ? WHERE dek_id = ?", wrapped, dek_id)
        assert command(small, "key", "rotate").code == 1
        told = command(small, "key", "rotate", "--release-quarantined", "-o", "json")
        assert told.code == 0, told.err
        assert told.data["run_count"] == 3
        assert len(versions(small)) == 2


class TestAway:
    def test_each_server_that_is_not_there_is_named(self) -> None:
        with running({"CODEVECTOR_LOG_LEVEL": "info"}) as made:
            create(made, 1)
            made.stop_kms()
            told = command(made, "key", "rotate")
            assert (told.code, told.out) == (6, "")
            assert "admin.sock" in told.err
            assert command(made, "key", "status").code == 0
            made.stop_service()
            told = command(made, "key", "verify")
            assert told.code == 6
            assert f"registry {made.address}: cannot connect" in told.err
            sick = command(made, "doctor", "-o", "json")
            assert sick.code == 1
            assert {each["level"] for each in sick.data} == {"FAILED"}

    def test_a_socket_that_is_closed_to_the_account(self) -> None:
        """Exit code 4; the doctor takes it for what it is: a note, and the rest is looked at."""
        # The first commands are for what is imported when it is first used.
        as_somebody = (
            "import io, os, sys; from cli.__main__ import main, run; "
            "stdout, sys.stdout = sys.stdout, io.StringIO(); "
            "[run([*each.split(), '--home', '/none'], None) for each in ('key list', 'doctor')]; "
            "sys.stdout = stdout; os.getuid() or os.setuid(65534); main()"
        )
        with running({"CODEVECTOR_LOG_LEVEL": "info"}) as made:
            create(made, 1)
            made.home.chmod(0o711)
            sockets = made.home / "kms"
            if os.getuid():
                sockets.chmod(0o000)

            def run(*arguments: str) -> subprocess.CompletedProcess[str]:
                return subprocess.run(
                    [sys.executable, "-c", as_somebody, *arguments],
                    cwd=ROOT,
                    env=made.environment,
                    capture_output=True,
                    text=True,
                    timeout=SECONDS,
                    check=False,
                )

            try:
                refused, sick = run("key", "list"), run("doctor", "-o", "json")
            finally:
                sockets.chmod(0o700)
            assert refused.returncode == 4
            assert "this account may not use the socket" in refused.stderr
            assert sick.returncode == 0, sick.stdout
            levels = {each["subject"]: each["level"] for each in json.loads(sick.stdout)}
            assert levels["admin socket"] == "NOTE"
            assert levels["data keys"] == "OK"
