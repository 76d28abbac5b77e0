"""The library as others install it: its wheels and what they ask for, in an otherwise empty environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.programs import Program, started
from tests.support.servers.api import Api, api_key
from tests.support.servers.clean_environment import UV, call, clean_environment
from tests.support.servers.harness import running


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clean_environment(tmp_path_factory.mktemp("wheel"), ("gen", "sdk"))


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
