"""The Go client: its own tests, and its example against real processes."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from codevector.providers.v1 import (
    provider_pb2,
    provider_service_pb2,
    system_service_pb2,
    system_service_pb2_grpc,
)

from tests.support.servers.harness import Instance, Process, running
from tests.support.toolchains import build_client
from tools.clients.go import MODULE, ROUTER, SOURCES, run_go
from tools.steps import StepFailed

CANARY = "sk-go-canary-0123456789abcdef"


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    build_client("go")


def go(*arguments: object, folder: Path = SOURCES) -> str:
    try:
        return run_go(*arguments, folder=folder, fix=f"go {arguments[0]}")
    except StepFailed as failure:
        raise AssertionError(f"{failure} failed:\n{failure.output}") from None


class TestSources:
    def test_are_formatted(self) -> None:
        gofmt = Path(go("env", "GOROOT").strip(), "bin", "gofmt")
        own = sorted(path for path in SOURCES.rglob("*.go") if SOURCES / "gen" not in path.parents)
        done = subprocess.run([gofmt, "-l", *own], capture_output=True, text=True, check=True)
        assert done.stdout == ""

    def test_pass_vet(self) -> None:
        go("vet", "./...")

    def test_pass_their_tests(self) -> None:
        assert f"ok  \t{MODULE}\t" in go("test", "-count=1", "-shuffle=on", "./...")

    def test_the_readme_builds_in_another_module(self, tmp_path: Path) -> None:
        (program,) = re.findall(r"```go\n(.*?)```", (SOURCES / "README.md").read_text(), re.DOTALL)
        (tmp_path / "main.go").write_text(program)
        shutil.copy(SOURCES / "go.sum", tmp_path)
        go("mod", "init", "example", folder=tmp_path)
        go("mod", "edit", f"-require={MODULE}@v0.0.0", f"-replace={MODULE}={SOURCES}", folder=tmp_path)
        go("build", "-mod=mod", "-o", tmp_path / "example", folder=tmp_path)


@contextmanager
def router(instance: Instance) -> Iterator[Process]:
    logs = instance.home / "test-logs"
    stdout, stderr = logs / "router.out", logs / "router.err"
    sidecar = str(instance.router_socket)
    arguments = ["-registry", instance.address, "-kms-socket", sidecar, "-watcher-id", "go-router"]
    with stdout.open("wb") as out, stderr.open("wb") as err:
        child = subprocess.Popen([str(ROUTER), *arguments], env=instance.environment, stdout=out, stderr=err)
    try:
        yield Process("router", child, stdout, stderr)
    finally:
        child.kill()
        child.wait(60)


def create(instance: Instance, provider_id: str) -> None:
    instance.providers.CreateProvider(
        provider_service_pb2.CreateProviderRequest(
            provider_id=provider_id,
            provider=provider_pb2.Provider(
                display_name=provider_id, kind=provider_pb2.PROVIDER_KIND_DEEPSEEK
            ),
            credential=provider_pb2.CredentialInput(api_key=provider_pb2.ApiKeyCredential(api_key=CANARY)),
        )
    )


def test_the_example_lists_watches_and_opens() -> None:
    with running() as instance:
        create(instance, "first")
        imported = instance.providers.ImportProviderModels(
            provider_service_pb2.ImportProviderModelsRequest(parent="providers/first")
        )
        with router(instance) as process:
            process.wait_for_line("active: providers/first/models/")
            process.wait_for_line("opened: credential of providers/first, CREDENTIAL_TYPE_API_KEY, version 1")
            create(instance, "second")
            process.wait_for_line(
                f"revision 3: 2 providers, {imported.created_count} provider models, 0 models"
            )
            process.wait_for_line("opened: credential of providers/second")
            assert process.stop() == 0
            assert CANARY not in process.stdout.read_text() + process.stderr.read_text()
        assert instance.channel is not None
        routers = system_service_pb2_grpc.SystemServiceStub(instance.channel).ListRouters(
            system_service_pb2.ListRoutersRequest()
        )
        assert not routers.routers
