"""The command as an operator meets it: real processes, exit codes, sentences."""

from __future__ import annotations

import json
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest
from codevector.kms.v1 import key_management_service_pb2 as pb2
from codevector.kms.v1 import key_management_service_pb2_grpc as management_grpc

from kms.formats import DekContext

REPOSITORY = Path(__file__).parents[2]


class Sidecar:
    """``python -m kms`` with a home of its own and nothing else from this process's environment."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.own = home / "kms"

    def environment(self, **changes: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        return {**kept, "CODEVECTOR_HOME": str(self.home), **changes}

    def run(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "kms", *arguments],
            cwd=REPOSITORY,
            env=self.environment(**changes),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @contextmanager
    def serving(self, **changes: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """A process that has said that it serves, with that line; killed at the end if still there."""
        with subprocess.Popen(
            [sys.executable, "-m", "kms"],
            cwd=REPOSITORY,
            env=self.environment(**changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                assert select.select([process.stdout], [], [], 60)[0], "the sidecar did not start in time"
                yield process, process.stdout.readline()
            finally:
                process.kill()


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    with TemporaryDirectory(prefix="kms-") as name:
        yield Sidecar(Path(name))


@pytest.fixture(scope="module")
def template() -> Iterator[Sidecar]:
    """A home as ``init`` leaves it, to copy."""
    with TemporaryDirectory(prefix="kms-") as name:
        made = Sidecar(Path(name))
        assert made.run("init").returncode == 0
        yield made


@pytest.fixture
def initialised(sidecar: Sidecar, template: Sidecar) -> Sidecar:
    shutil.copytree(template.home, sidecar.home, dirs_exist_ok=True)
    return sidecar


def refused(finished: subprocess.CompletedProcess[str]) -> str:
    """The sentence of a refusal: alone on stderr, exit code 1, nothing on stdout."""
    assert (finished.returncode, finished.stdout) == (1, ""), finished.stderr
    said = [line for line in finished.stderr.splitlines() if not line.startswith("{")]
    assert len(said) == 1, finished.stderr
    assert said[0].startswith("kms: ")
    return said[0]


class TestServe:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_says_one_line_and_stops_cleanly(self, initialised: Sidecar, number: signal.Signals) -> None:
        own = initialised.own
        with initialised.serving() as (process, line):
            sockets = [f"{role}={own}/{role}.sock" for role in ("registry", "router", "admin")]
            assert line == f"kms serving {' '.join(sockets)}\n"
            assert {path.stat().st_mode & 0o777 for path in own.glob("*.sock")} == {0o600}
            process.send_signal(number)
            out, err = process.communicate(timeout=120)
            assert (process.returncode, out) == (0, "")
            assert [json.loads(each)["event"] for each in err.splitlines()] == [
                "kms_keyring_opened",
                "kms_audit_opened",
                "kms_serving",
                "kms_memory",
                "kms_open_files",
                "kms_stopping",
            ]
        assert not list(own.glob("*.sock"))

    def test_starts_again_after_a_kill(self, initialised: Sidecar) -> None:
        with initialised.serving() as (process, _):
            process.kill()
            process.wait(timeout=120)
        assert len(list(initialised.own.glob("*.sock"))) == 3
        with initialised.serving() as (_, line):
            assert line.startswith("kms serving ")

    def test_leaves_no_core(self, initialised: Sidecar) -> None:
        with initialised.serving() as (process, _):
            assert resource.prlimit(process.pid, resource.RLIMIT_CORE) == (0, 0)

    def test_a_second_process_is_refused(self, initialised: Sidecar) -> None:
        with initialised.serving():
            assert "another process holds the keyring" in refused(initialised.run())

    def test_the_unlock_source_is_said(self, initialised: Sidecar) -> None:
        with initialised.serving() as (process, _):
            process.terminate()
            opened = json.loads(process.communicate(timeout=120)[1].splitlines()[0])
        assert opened["unlocked_by"] == f"key file {initialised.own}/unlock.key"


class TestRefusals:
    def test_no_keyring(self, sidecar: Sidecar) -> None:
        assert "run `python -m kms init`" in refused(sidecar.run())
        assert not sidecar.own.exists(), "serving creates nothing"

    def test_keyring_open_to_others(self, initialised: Sidecar) -> None:
        (initialised.own / "keyring.json").chmod(0o644)
        assert "mode 0600" in refused(initialised.run())

    def test_directory_open_to_others(self, initialised: Sidecar) -> None:
        initialised.own.chmod(0o755)
        assert "mode 0700" in refused(initialised.run())

    def test_keyring_is_a_link(self, initialised: Sidecar) -> None:
        path = initialised.own / "keyring.json"
        path.rename(initialised.own / "real.json")
        path.symlink_to(initialised.own / "real.json")
        assert "symbolic link" in refused(initialised.run())

    def test_keyring_changed(self, initialised: Sidecar) -> None:
        path = initialised.own / "keyring.json"
        path.write_bytes(path.read_bytes().replace(b'"seq":1', b'"seq":2'))
        assert "was changed" in refused(initialised.run())

    def test_another_unlock_key(self, initialised: Sidecar) -> None:
        (initialised.own / "unlock.key").write_bytes(bytes(32))
        assert "unlock secret" in refused(initialised.run())

    def test_no_unlock_key(self, initialised: Sidecar) -> None:
        (initialised.own / "unlock.key").unlink()
        assert "unlock.key is missing" in refused(initialised.run())

    def test_another_deployment_id(self, initialised: Sidecar) -> None:
        assert "disagree" in refused(initialised.run(CODEVECTOR_DEPLOYMENT_ID="00" * 16))

    def test_trace(self, initialised: Sidecar) -> None:
        assert "GRPC_TRACE" in refused(initialised.run(GRPC_TRACE="http"))

    def test_long_socket_path(self, initialised: Sidecar) -> None:
        sentence = refused(initialised.run(CODEVECTOR_KMS_ROUTER_SOCKET="/tmp/" + "x" * 120))  # noqa: S108
        assert "CODEVECTOR_KMS_ROUTER_SOCKET" in sentence

    def test_socket_taken(self, initialised: Sidecar) -> None:
        taken = initialised.own / "router.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(taken))
            listener.listen()
            assert f"another process listens on {taken}" in refused(initialised.run())
        assert not (initialised.own / "registry.sock").exists()

    def test_bad_usage(self, sidecar: Sidecar) -> None:
        assert sidecar.run("frobnicate").returncode == 2


class TestInit:
    def test_prints_places_and_no_secret(self, sidecar: Sidecar) -> None:
        finished = sidecar.run("init")
        assert finished.returncode == 0
        assert str(sidecar.own / "keyring.json") in finished.stdout
        assert (sidecar.own / "deployment-id").read_text().strip() in finished.stdout
        assert (sidecar.own / "unlock.key").read_bytes().hex() not in finished.stdout + finished.stderr

    def test_twice_is_refused(self, initialised: Sidecar) -> None:
        assert "exists already" in refused(initialised.run("init"))

    def test_with_a_passphrase(self, sidecar: Sidecar) -> None:
        passphrase = sidecar.home / "passphrase"
        passphrase.touch(mode=0o600)
        passphrase.write_text("correct horse battery staple\n")
        assert sidecar.run("init", CODEVECTOR_KEYRING_PASSPHRASE_FILE=str(passphrase)).returncode == 0
        assert not (sidecar.own / "unlock.key").exists()
        assert "set CODEVECTOR_KEYRING_PASSPHRASE_FILE" in refused(sidecar.run())
        with sidecar.serving(CODEVECTOR_KEYRING_PASSPHRASE_FILE=str(passphrase)) as (_, line):
            assert line.startswith("kms serving ")

    def test_a_weak_passphrase_makes_no_keyring(self, sidecar: Sidecar) -> None:
        passphrase = sidecar.home / "passphrase"
        passphrase.touch(mode=0o600)
        passphrase.write_text("passwordpassword\n")
        finished = sidecar.run("init", CODEVECTOR_KEYRING_PASSPHRASE_FILE=str(passphrase))
        assert "too weak" in refused(finished)
        assert not (sidecar.own / "keyring.json").exists()


_AS_ANOTHER_ACCOUNT = """
import errno, os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
for path in sys.argv[1:]:
    for act in (lambda: socket.socket(socket.AF_UNIX).connect(path), lambda: open(path).close()):
        try:
            act()
            print("reached")
        except OSError as error:
            print(errno.errorcode[error.errno])
"""


class TestOtherAccounts:
    """Where tests run as root another account really tries; elsewhere what would stop it is looked at."""

    @pytest.mark.parametrize("mode", [0o700, 0o750], ids=["own directory", "a group's directory"])
    def test_reach_no_socket_and_no_file(self, initialised: Sidecar, mode: int) -> None:
        initialised.home.chmod(0o755)
        place = initialised.home / "router"
        place.mkdir(mode=0o700)
        place.chmod(mode)
        router = place / "router.sock"
        with initialised.serving(CODEVECTOR_KMS_ROUTER_SOCKET=str(router)) as (_, line):
            assert line
            own = initialised.own
            found = [own / "registry.sock", own / "admin.sock", router, own / "unlock.key", own / "audit.key"]
            found += [own / "keyring.json", *own.joinpath("audit").iterdir()]
            assert {path.parent.stat().st_mode & 0o007 for path in found} == {0}
            assert {path.stat().st_mode & 0o007 for path in found} == {0}
            if os.geteuid() == 0:
                tried = subprocess.run(
                    [sys.executable, "-c", _AS_ANOTHER_ACCOUNT, *map(str, found)],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                assert tried.stdout.split() == ["EACCES"] * 2 * len(found)


class TestAudit:
    def test_init_prints_the_public_key_and_puts_it_beside(self, sidecar: Sidecar) -> None:
        printed = sidecar.run("init").stdout
        public_key = (sidecar.own / "audit.pub").read_text().strip()
        assert f"Store this audit public key off this machine: {public_key}\n" in printed
        assert (sidecar.own / "audit.key").read_bytes().hex() not in printed

    def test_init_adds_the_key_that_an_older_installation_lacks(self, initialised: Sidecar) -> None:
        keyring = (initialised.own / "keyring.json").read_bytes()
        (initialised.own / "audit.key").unlink()
        (initialised.own / "audit.pub").unlink()
        assert "`python -m kms init` makes it" in refused(initialised.run())
        assert initialised.run("init").returncode == 0
        assert (initialised.own / "keyring.json").read_bytes() == keyring
        with initialised.serving() as (_, line):
            assert line.startswith("kms serving ")

    def test_of_a_stopped_sidecar_verifies_from_its_files(self, initialised: Sidecar) -> None:
        with initialised.serving() as (process, _):
            process.terminate()
            process.communicate(timeout=120)
        finished = initialised.run("audit", "verify")
        assert finished.stdout.startswith("intact: lines 1 to 4, signed up to line 4\n")
        head = finished.stdout.split()[-1]
        cut = initialised.own / "audit" / "audit-000000000001.jsonl"
        cut.write_bytes(b"".join(cut.read_bytes().splitlines(keepends=True)[:2]))
        assert initialised.run("audit", "verify").returncode == 0
        finished = initialised.run("audit", "verify", "--expect-seq", "4", "--expect-head", head)
        assert (finished.returncode, "cut tail" in finished.stdout) == (1, True)

    def test_a_full_disk_keeps_keys_in_and_does_not_end_the_process(self, initialised: Sidecar) -> None:
        """A real process whose files may not grow any more, as the system itself tells it."""
        with initialised.serving() as (process, _), ExitStack() as stack:
            registry, router = (
                management_grpc.KeyManagementServiceStub(
                    stack.enter_context(grpc.insecure_channel(f"unix:{initialised.own}/{role}.sock"))
                )
                for role in ("registry", "router")
            )
            deployment_id = bytes.fromhex((initialised.own / "deployment-id").read_text().strip())
            context = DekContext(deployment_id, bytes(16), bytes(16), 1).encode()
            item = pb2.WrapItem(context=context, plaintext=bytes(range(32)))
            wrap = pb2.BatchWrapDataKeysRequest(items=[item])
            wrapped = registry.BatchWrapDataKeys(wrap, timeout=60).results[0].wrapped
            unwrap = pb2.BatchUnwrapDataKeysRequest(items=[pb2.UnwrapItem(wrapped=wrapped)])
            size = (initialised.own / "audit" / "audit-000000000001.jsonl").stat().st_size
            unlimited = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size + 100, unlimited[1]))
            with pytest.raises(grpc.RpcError) as refused:
                router.BatchUnwrapDataKeys(unwrap, timeout=60)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            with pytest.raises(grpc.RpcError) as refused:
                registry.BatchWrapDataKeys(wrap, timeout=60)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            status = router.GetStatus(pb2.GetStatusRequest(), timeout=60)
            assert (status.unwrap_healthy, status.message) == (False, "the audit cannot be written")
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
            assert router.BatchUnwrapDataKeys(unwrap, timeout=60).results[0].plaintext == bytes(range(32))
            assert router.GetStatus(pb2.GetStatusRequest(), timeout=60).unwrap_healthy
            process.terminate()
            process.communicate(timeout=120)
        assert initialised.run("audit", "verify").stdout.startswith("intact")

    def test_a_damaged_one_is_not_gone_on_with(self, initialised: Sidecar) -> None:
        with initialised.serving() as (process, _):
            process.terminate()
            process.communicate(timeout=120)
        path = initialised.own / "audit" / "audit-000000000001.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"event":"start"', b'"event":"stop"'))
        assert "damaged at its line 1" in refused(initialised.run())


@dataclass(frozen=True, slots=True)
class Clients:
    """A wrapped key of a running sidecar, and who may use it."""

    registry: management_grpc.KeyManagementServiceStub
    router: management_grpc.KeyManagementServiceStub
    wrap: pb2.BatchWrapDataKeysRequest
    unwrap: pb2.BatchUnwrapDataKeysRequest

    def refusal(self) -> str:
        """No key leaves and none is wrapped, and the status says why."""
        status = self.router.GetStatus(pb2.GetStatusRequest(), timeout=60)
        for call in (
            lambda: self.router.BatchUnwrapDataKeys(self.unwrap, timeout=60),
            lambda: self.registry.BatchWrapDataKeys(self.wrap, timeout=60),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                call()
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        status = self.router.GetStatus(pb2.GetStatusRequest(), timeout=60)
        assert (status.wrap_healthy, status.unwrap_healthy) == (False, False)
        return status.message

    def opens(self) -> bool:
        answer = self.router.BatchUnwrapDataKeys(self.unwrap, timeout=60)
        return answer.results[0].plaintext == bytes(range(32))


@contextmanager
def clients(sidecar: Sidecar) -> Iterator[Clients]:
    with ExitStack() as stack:
        registry, router = (
            management_grpc.KeyManagementServiceStub(
                stack.enter_context(grpc.insecure_channel(f"unix:{sidecar.own}/{role}.sock"))
            )
            for role in ("registry", "router")
        )
        deployment_id = bytes.fromhex((sidecar.own / "deployment-id").read_text().strip())
        context = DekContext(deployment_id, bytes(16), bytes(16), 1).encode()
        wrap = pb2.BatchWrapDataKeysRequest(items=[pb2.WrapItem(context=context, plaintext=bytes(range(32)))])
        wrapped = registry.BatchWrapDataKeys(wrap, timeout=60).results[0].wrapped
        unwrap = pb2.BatchUnwrapDataKeysRequest(items=[pb2.UnwrapItem(wrapped=wrapped)])
        yield Clients(registry, router, wrap, unwrap)


def rotated_by_copytruncate(file: Path) -> None:
    shutil.copy(file, file.with_name("rotated"))
    os.truncate(file, 0)


def replaced(file: Path) -> None:
    shutil.copy(file, file.with_name("copy"))
    file.with_name("copy").rename(file)


AUDIT_HARMS: dict[str, Callable[[Path], object]] = {
    "deleted": lambda file: file.unlink(),
    "moved": lambda file: file.rename(file.parent.parent / "elsewhere.jsonl"),
    "replaced": replaced,
    "truncated": rotated_by_copytruncate,
    "folder deleted": lambda file: shutil.rmtree(file.parent),
    "folder moved": lambda file: file.parent.rename(file.parent.with_name("elsewhere")),
}


class TestGround:
    """What becomes of the sidecar's files under it is noticed before the next key leaves."""

    @pytest.mark.parametrize("harm", AUDIT_HARMS.values(), ids=AUDIT_HARMS)
    def test_the_audit(self, initialised: Sidecar, harm: Callable[[Path], object]) -> None:
        with initialised.serving() as (process, _):
            with clients(initialised) as held:
                assert held.opens()
                harm(initialised.own / "audit" / "audit-000000000001.jsonl")
                assert "audit-000000000001.jsonl" in held.refusal()
            process.terminate()
            process.communicate(timeout=120)

    @pytest.mark.parametrize("harm", ["deleted", "truncated", "folder deleted", "folder moved"])
    def test_a_start_without_it_names_the_command(self, initialised: Sidecar, harm: str) -> None:
        with initialised.serving() as (process, _):
            AUDIT_HARMS[harm](initialised.own / "audit" / "audit-000000000001.jsonl")
            process.kill()
        sentence = refused(initialised.run())
        assert "but line 2 was written" in sentence
        assert "`python -m kms audit begin`" in sentence
        begun = initialised.run("audit", "begin")
        assert begun.returncode == 0
        assert begun.stdout.endswith("The next start begins a new one at line 1.\n")
        with initialised.serving() as (_, line):
            assert line.startswith("kms serving ")
            assert "another process writes the audit" in refused(initialised.run("audit", "begin"))

    @pytest.mark.parametrize(
        "harm",
        [
            lambda file: file.unlink(),
            lambda file: file.rename(file.with_name("elsewhere")),
            lambda file: file.write_bytes(file.read_bytes()[:-9]),
            lambda file: shutil.copy(file.with_name("older"), file),
        ],
        ids=["deleted", "moved", "cut", "copied over"],
    )
    def test_the_keyring(self, initialised: Sidecar, harm: Callable[[Path], object]) -> None:
        file = initialised.own / "keyring.json"
        file.with_name("older").write_bytes(file.read_bytes().replace(b'"seq":1', b'"seq":0'))
        content = file.read_bytes()
        with initialised.serving(), clients(initialised) as held:
            assert held.opens()
            harm(file)
            assert held.refusal().startswith("the keyring file was deleted, moved or replaced")
            with suppress(FileNotFoundError):
                file.unlink()
            file.touch(mode=0o600)
            file.write_bytes(content)
            assert held.opens(), "the same content is the same keyring"
            assert held.router.GetStatus(pb2.GetStatusRequest(), timeout=60).unwrap_healthy


class TestCheckConfig:
    def test_prints_the_settings_and_touches_nothing(self, sidecar: Sidecar) -> None:
        finished = sidecar.run("--check-config")
        assert finished.returncode == 0
        assert f"CODEVECTOR_KEYRING=local:{sidecar.own}/keyring.json" in finished.stdout.splitlines()
        assert not sidecar.own.exists()

    def test_refuses_as_serving_would(self, sidecar: Sidecar) -> None:
        finished = sidecar.run("--check-config", CODEVECTOR_KEYRING="file:/x")
        assert "CODEVECTOR_KEYRING" in refused(finished)
