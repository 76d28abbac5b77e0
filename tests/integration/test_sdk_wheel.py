"""The library as others install it: its wheels and what they ask for, in an otherwise empty environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conformance.programs import Program, started
from tests.support.servers.api import Api, api_key
from tests.support.servers.harness import ROOT, running

UV = Path(sys.executable).with_name("uv")
OURS = ("codevector-providers", "codevector-providers-protos")


def call(*command: str | Path) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a clean environment with both wheels and the packages that they ask for."""
    folder = tmp_path_factory.mktemp("wheel")
    for source in ("gen", "sdk"):
        call(UV, "build", "-q", "--wheel", "--no-build-isolation", "--out-dir", folder / "dist", source)
    environment = folder / "venv"
    call(UV, "venv", "-q", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    wheels = sorted((folder / "dist").glob("*.whl"))
    assert len(wheels) == 2
    call(UV, "pip", "install", "-q", "--offline", "--no-deps", "--python", python, *wheels)
    (site,) = environment.glob("lib/python*/site-packages")
    for distribution in dependencies():
        install(distribution, site)
    return python


def dependencies() -> Iterator[metadata.Distribution]:
    """What the wheels need, and what that needs, as it is installed here: no index is asked."""
    waiting, seen = list(OURS), set(OURS)
    while waiting:
        name = waiting.pop()
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            needed = canonicalize_name(requirement.name)
            if needed not in seen and (
                requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            ):
                seen.add(needed)
                waiting.append(needed)
                yield metadata.distribution(needed)


def install(distribution: metadata.Distribution, site: Path) -> None:
    for file in distribution.files or ():
        if ".." not in file.parts and file.suffix != ".pyc":
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(Path(str(distribution.locate_file(file))))


def test_all_it_needs_is_declared(python: Path) -> None:
    call(UV, "pip", "check", "--python", python)
    names = set(call(UV, "pip", "list", "--format", "freeze", "--python", python).split())
    assert not any(name.startswith(("sqlalchemy", "pytest", "codevector-provider-service")) for name in names)


def test_is_the_wheel_and_typed(python: Path) -> None:
    found = Path(call(python, "-c", "import codevector_providers as sdk; print(sdk.__file__)").strip())
    assert python.parents[1] in found.parents
    assert (found.parent / "py.typed").exists()


def test_routes(python: Path) -> None:
    with running() as instance:
        api = Api(instance)
        made = api.create(credential=api_key("sk-of-the-wheel-0123456789"))
        model = api.create_provider_model(made.name)
        program = Program((str(python), "-W", "error", "tests/conformance/python_client.py"))
        with started(program, instance) as client:
            assert client.ask({"do": "start", "watcher_id": "wheel", "bookmark_interval_ms": 1000})["ok"]
            assert client.ask({"do": "wait", "revision": api.revision(), "timeout_ms": 30_000})["ok"]
            assert client.ask({"do": "table"})["provider_models"] == [model.name]
            assert client.ask({"do": "open", "provider": made.name})["type"] == "API_KEY"
            assert client.ask({"do": "stop"})["ok"]
            assert client.finish() == 0
