"""No plaintext of a credential or of a data key anywhere after rotations, audits, receipts and crashes."""

from __future__ import annotations

import base64
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import codevector_providers
import grpc
import pytest
from codevector.kms.v1 import key_management_service_pb2 as kms_pb
from codevector.kms.v1 import key_management_service_pb2_grpc as kms_grpc
from codevector.providers.v1 import routing_service_pb2

from tests.integration.test_canary import TALKATIVE, TYPES, Conversation, create, submit
from tests.support.servers.harness import ROOT, Instance, Process, instance
from tests.support.values.canaries import Canaries

CREDENTIALS = 20
DEADLINE_SECONDS = 60
COMMANDS = (
    ("key", "rotate"),
    ("key", "status"),
    ("key", "list", "-o", "json"),
    ("key", "verify"),
    ("key", "audit", "verify"),
    ("key", "audit", "exposure", "--since", "1h", "-o", "json"),
    ("key", "compromise", "start", "--since", "1h"),
    ("key", "rotate", "-o", "json"),
)


@pytest.fixture
def cores(tmp_path: Path) -> Path:
    """Where both processes run, so that a core dump would be written there."""
    directory = tmp_path / "cores"
    directory.mkdir()
    return directory


@pytest.fixture
def made(cores: Path) -> Iterator[Instance]:
    """Both processes, with core dumps allowed as far as this account may allow them."""
    with instance(TALKATIVE) as prepared:
        prepared.kms = start_in(cores, prepared, "kms")
        prepared.service = start_in(cores, prepared, "service")
        prepared.channel = grpc.insecure_channel(prepared.address)
        yield prepared


def start_in(directory: Path, made: Instance, module: str) -> Process:
    logs = made.home / "test-logs"
    logs.mkdir(exist_ok=True)
    stdout, stderr = logs / f"{module}.out", logs / f"{module}.err"
    inherited = made.environment.get("PYTHONPATH", "").split(os.pathsep)
    with stdout.open("wb") as out, stderr.open("wb") as err:
        child = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=directory,
            env={**made.environment, "PYTHONPATH": os.pathsep.join([*filter(None, inherited), str(ROOT)])},
            stdout=out,
            stderr=err,
            preexec_fn=allow_core_dumps,
        )
    process = Process(module, child, stdout, stderr)
    process.wait_for_line(f"{module} serving")
    return process


def allow_core_dumps() -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def data_keys(made: Instance, names: list[str]) -> list[bytes]:
    """The data keys themselves, as a router gets them."""
    request = routing_service_pb2.BatchGetSealedCredentialsRequest(providers=names)
    sealed = [
        result.sealed_credential
        for result in made.routing.BatchGetSealedCredentials(request, timeout=DEADLINE_SECONDS).results
    ]
    items = [
        kms_pb.UnwrapItem(
            wrapped=kms_pb.WrappedDataKey(
                wrapped_data_key=each.wrapped_data_key,
                key_version=each.key_version,
                commitment=each.commitment,
                context=each.context,
            )
        )
        for each in sealed
    ]
    with grpc.insecure_channel(f"unix:{made.router_socket}") as channel:
        router = kms_grpc.KeyManagementServiceStub(channel)
        answer = router.BatchUnwrapDataKeys(
            kms_pb.BatchUnwrapDataKeysRequest(items=items), timeout=DEADLINE_SECONDS
        )
    return [result.plaintext for result in answer.results]


def hits_of_keys(keys: list[bytes], directory: Path) -> list[tuple[str, str]]:
    """Files that hold a data key, or half of one, in plain, in hexadecimal or in base64."""
    assert all(len(key) == 32 for key in keys)
    needles = {
        "raw": [half for key in keys for half in (key[:16], key[16:])],
        "hex": [half.hex().encode() for key in keys for half in (key[:16], key[16:])],
        "base64": [base64.b64encode(key[start:])[:20] for key in keys for start in range(3)],
        "URL": [base64.urlsafe_b64encode(key[start:])[:20] for key in keys for start in range(3)],
    }
    return [
        (str(path), encoding)
        for path in sorted(directory.rglob("*"))
        if path.is_file()
        for encoding, some in needles.items()
        if any(needle in path.read_bytes() for needle in some)
    ]


def test_in_files_logs_audit_receipts_and_core_dumps(made: Instance, cores: Path) -> None:
    canaries, conversation = Canaries(random.Random(random.getrandbits(64))), Conversation()
    ways = [
        create(f"{kind}-{number}", kind, credential(canaries))
        for number in range(CREDENTIALS // len(TYPES))
        for kind, credential in TYPES.items()
    ]
    assert submit(conversation, made, iter(ways)) == CREDENTIALS
    names = [f"providers/{kind}-{n}" for n in range(CREDENTIALS // len(TYPES)) for kind in TYPES]
    for arguments in COMMANDS:
        done = made.run("cli", *arguments)
        assert done.returncode == 0, (arguments, done.stderr)
        conversation.said.append((" ".join(arguments), (done.stdout + done.stderr).encode()))
    with codevector_providers.connect(made.address, kms_socket=made.router_socket) as router:
        for name in names:
            assert canaries.hits(name, str(router.credential(name).reveal_all()).encode())
    keys = data_keys(made, names)

    written = {path.relative_to(made.home).parts[0] for path in made.home.rglob("*") if path.is_file()}
    assert {"kms", "receipts", "registry.db", "test-logs"} <= written
    assert canaries.hits_under(made.home) == []
    assert hits_of_keys(keys, made.home) == []
    assert [hit for each in conversation.said for hit in canaries.hits(*each)] == []

    for process in (made.service, made.kms):
        assert process is not None
        process.child.send_signal(signal.SIGABRT)
        assert process.child.wait(DEADLINE_SECONDS) == -signal.SIGABRT
    assert list(cores.iterdir()) == []
    assert canaries.hits_under(made.home) == []
    assert hits_of_keys(keys, made.home) == []


def test_a_core_dump_would_have_been_found(cores: Path) -> None:
    """Where this account may allow core dumps and the system writes them into the directory, one is."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    allowed = resource.getrlimit(resource.RLIMIT_CORE)[1] != 0 and not pattern.startswith(("|", "/"))
    done = subprocess.run(
        [sys.executable, "-c", "import os; os.abort()"],
        cwd=cores,
        preexec_fn=allow_core_dumps,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGABRT
    assert bool(list(cores.iterdir())) is allowed


def test_the_search_finds_a_data_key(tmp_path: Path) -> None:
    """However it is written."""
    key = os.urandom(32)
    for number, octets in enumerate((key, key.hex().encode(), base64.b64encode(b"x" + key))):
        (tmp_path / str(number)).write_bytes(b"before " + octets + b" after")
    assert len({path for path, _ in hits_of_keys([key], tmp_path)}) == 3
