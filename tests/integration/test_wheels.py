"""`pip install dist/*.whl` in a clean environment: every command that it installs runs, without any extra."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.servers.clean_environment import DISTRIBUTIONS, UV, call, clean_environment
from tests.support.servers.harness import PATIENCE_SECONDS, ROOT, wait_until
from tests.support.servers.ports import free_port

COMMANDS = sorted(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"])


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands."""
    return clean_environment(tmp_path_factory.mktemp("wheels"), tuple(DISTRIBUTIONS)).parent


@pytest.fixture
def environment(programs: Path) -> Iterator[dict[str, str]]:
    """A home, and nothing of this repository."""
    home = Path(tempfile.mkdtemp(prefix="cv-"))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CODEVECTOR_")}
    clean.pop("PYTHONPATH", None)
    ports = {f"CODEVECTOR_{name}_PORT": str(free_port()) for name in ("GRPC", "CONSOLE", "ADMIN")}
    yield {**clean, **ports, "CODEVECTOR_HOME": str(home)}
    shutil.rmtree(home)


def run(environment: Mapping[str, str], *command: str | Path) -> subprocess.CompletedProcess[str]:
    home = environment["CODEVECTOR_HOME"]
    return subprocess.run(
        command,
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_all_they_need_is_declared(programs: Path) -> None:
    call(UV, "pip", "check", "--python", programs / "python")


def test_every_command_is_tested_here() -> None:
    assert COMMANDS == ["provider-console", "provider-kms", "provider-service", "providerctl"]


@pytest.mark.parametrize("command", COMMANDS)
def test_explains_itself(programs: Path, environment: Mapping[str, str], command: str) -> None:
    done = run(environment, programs / command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.lower().startswith("usage: ")


def test_they_work_together(programs: Path, environment: Mapping[str, str]) -> None:
    """A new home, the sidecar and the registry, and an administrator who asks and tests."""
    for command in (["provider-kms", "init"], ["provider-service", "migrate"]):
        done = run(environment, programs / command[0], *command[1:])
        assert done.returncode == 0, done.stderr
    output = Path(environment["CODEVECTOR_HOME"], "output")
    with output.open("wb") as file:
        servers = [
            subprocess.Popen([programs / name], cwd="/", env=environment, stdout=file, stderr=file)
            for name in ("provider-kms", "provider-service")
        ]
        try:
            wait_until(
                lambda: run(environment, programs / "providerctl", "key", "status").returncode == 0,
                what=f"the servers serve: {output}",
            )
            done = run(environment, programs / "providerctl", "doctor", "-o", "json")
            assert done.returncode == 0, done.stdout
            done = run(environment, programs / "providerctl", "provider", "test", "nobody")
            assert done.returncode == 3, done.stderr
        finally:
            for server in servers:
                server.terminate()
            for server in servers:
                server.wait(PATIENCE_SECONDS)
