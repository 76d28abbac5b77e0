"""From nothing to an upstream call: an administrator with grpcurl, a router with the SDK, and a restart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import codevector_providers
import httpx
import pytest

from tests.support.doubles.loopback import Recorder, listening
from tests.support.servers.grpcurl import Grpcurl, program
from tests.support.servers.harness import ROOT, Instance, running
from tests.support.servers.launched import Launched
from tests.support.servers.ports import free_port

EXAMPLES = ROOT / "sdk" / "examples"
PROVIDERS = "codevector.providers.v1.ProviderService"
ROUTING = "codevector.providers.v1.RoutingService"
FIRST_KEY = "sk-proj-first-0123456789abcdef"
SECOND_KEY = "sk-proj-second-0123456789abcdef"
NAME = "providers/our-openai"
CUSTOM = f"{NAME}/models/ft-gpt-4o-ours-1"


@pytest.fixture(scope="module")
def installation() -> Iterator[Instance]:
    with running({"CODEVECTOR_ALLOW_LOOPBACK_HTTP": "1"}) as made:
        yield made


@pytest.fixture
def upstream() -> Iterator[Recorder]:
    with listening(Recorder()) as recorder:
        yield recorder


@contextmanager
def router(made: Instance) -> Iterator[codevector_providers.Client]:
    with codevector_providers.connect(
        made.address, kms_socket=made.router_socket, allow_loopback_http=True
    ) as client:
        yield client


@dataclass(frozen=True, slots=True)
class Administrator:
    """Types grpcurl lines."""

    grpcurl: Grpcurl

    def __call__(self, method: str, **request: Any) -> Any:
        return self.grpcurl.call(f"{PROVIDERS}/{method}", request)

    def stored(self) -> Any:
        """All that an administrator can read of the registry."""
        return (
            self("ListProviders"),
            self("ListProviderModels", parent="providers/-", pageSize=1000),
            self.grpcurl.call(f"{ROUTING}/GetRoutingSnapshot"),
        )


def active(client: codevector_providers.Client) -> set[str]:
    """The names of the active models, which both ways of asking agree on."""
    table = client.snapshot()
    assert table is not None
    names = {model.name for model in client.active_models()}
    assert names == {model.name for model in table.provider_models}
    return names


def sent_key(client: codevector_providers.Client, upstream: Recorder) -> str:
    """The authorization that a call through the SDK's client arrives with."""
    with client.http(NAME) as http:
        assert http.post("chat/completions", json={"model": "any"}).status_code == 200
    assert upstream.seen[-1].path == "/v1/chat/completions"
    return upstream.seen[-1].headers["authorization"]


class TestJourney:
    def test_of_an_administrator_and_a_router(self, installation: Instance, upstream: Recorder) -> None:
        admin = Administrator(Grpcurl(installation.address))
        with router(installation) as client:
            self.set_up(admin, upstream)
            models = active(client)
            assert len(models) > 50
            assert {f"{NAME}/models/gpt-4o", CUSTOM} <= models
            assert sent_key(client, upstream) == f"Bearer {FIRST_KEY}"

            admin("DisableProviderModel", name=f"{NAME}/models/gpt-4o")
            assert active(client) == models - {f"{NAME}/models/gpt-4o"}
            admin("DisableProvider", name=NAME)
            assert active(client) == set()
            with pytest.raises(codevector_providers.ProviderNotFound):
                client.credential(NAME)
            admin("EnableProvider", name=NAME)

            replaced = admin(
                "SetProviderCredential", name=NAME, credential={"apiKey": {"apiKey": SECOND_KEY}}
            )
            assert replaced["credential"]["version"] == "2"
            assert client.provider(NAME).credential_version == 2
            assert client.credential(NAME).version == 2
            assert sent_key(client, upstream) == f"Bearer {SECOND_KEY}"

            before = admin.stored()
            installation.stop_service()
            installation.stop_kms()
            with pytest.raises(codevector_providers.RegistryUnavailable):
                client.snapshot()
            installation.start_kms()
            installation.start_service()
            assert admin.stored() == before

        with router(installation) as client:
            assert sent_key(client, upstream) == f"Bearer {SECOND_KEY}"
            assert active(client) == models - {f"{NAME}/models/gpt-4o"}
            self.tear_down(admin)
            assert active(client) == set()
            with pytest.raises(codevector_providers.ProviderNotFound):
                client.credential(NAME)

    def set_up(self, admin: Administrator, upstream: Recorder) -> None:
        made = admin(
            "CreateProvider",
            provider={
                "displayName": "Our OpenAI",
                "kind": "PROVIDER_KIND_OPENAI",
                "config": {"openai": {"baseUrl": f"{upstream.url}/v1"}},
            },
            credential={"apiKey": {"apiKey": FIRST_KEY}},
        )
        assert made["name"] == NAME
        assert made["credential"]["prefix"] == "sk-proj-firs"
        imported = admin("ImportProviderModels", parent=NAME)
        catalog = admin("GetCatalog", name="catalogs/openai")
        assert imported["createdCount"] == len(catalog["models"])
        again = admin("ImportProviderModels", parent=NAME)
        assert (again.get("createdCount", 0), again["skippedCount"]) == (0, len(catalog["models"]))
        custom = admin(
            "CreateProviderModel",
            parent=NAME,
            providerModel={"upstreamModelId": "ft:gpt-4o:ours:1", "kind": "MODEL_KIND_CHAT"},
        )
        assert custom["name"] == CUSTOM
        assert custom["routable"] is True

    def tear_down(self, admin: Administrator) -> None:
        admin("DeleteProviderModel", name=CUSTOM)
        impact = admin("DeleteProvider", name=NAME, validateOnly=True)["impact"]
        assert (
            admin("DeleteProvider", name=NAME, force=True, impactToken=impact["impactToken"])["impact"]
            == impact
        )
        assert admin("ListProviders") == {}
        assert admin("ListProviderModels", parent="providers/-") == {}


class TestPasted:
    def test_every_line_that_make_run_prints_works(self) -> None:
        """All that stands between the heading and the end, pasted into a shell as it is."""
        home = Path(tempfile.mkdtemp(prefix="cv-"))
        run = Launched(home / "home", port=free_port())
        try:
            run.wait_ready()
            _, _, after = run.output.partition("Lines to paste")
            lines = after.partition("\n")[2].partition("\nOpen ")[0]
            assert lines.count("providerctl") >= 4
            found = f"{Path(program()).parent}:{os.environ['PATH']}"
            done = subprocess.run(
                ["bash", "-e"],
                input=lines,
                cwd=ROOT,
                env=os.environ | {"PATH": found},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert "created providers/openai-prod at revision 1" in done.stdout + done.stderr
            assert "openai-prod/gpt-4o" in done.stdout
            assert "smart" in done.stdout
            assert run.stop() == 0
        finally:
            run.end()
            shutil.rmtree(home)


class TestExample:
    def test_the_router_of_a_page_runs_as_its_readme_says(self, installation: Instance) -> None:
        """sdk/examples/router.py as a process of its own, with the lines of sdk/README.md before it."""
        port = free_port()
        admin = Administrator(Grpcurl(installation.address))
        admin(
            "CreateProvider",
            provider_id="example",
            provider={
                "display_name": "Example",
                "kind": "PROVIDER_KIND_OPENAI_COMPATIBLE",
                "config": {"openai_compatible": {"base_url": f"http://127.0.0.1:{port}/v1"}},
            },
            credential={"api_key": {"api_key": "sk-example-of-the-journey"}},
        )
        admin(
            "CreateProviderModel",
            parent="providers/example",
            provider_model={"upstream_model_id": "example-chat", "kind": "MODEL_KIND_CHAT"},
        )
        try:
            right = self.run(installation, port, upstream_key="sk-example-of-the-journey")
            assert right.returncode == 0, right.stderr
            assert right.stdout == "providers/example/models/example-chat: You said: Hello there\n"
            assert right.stderr == ""
            wrong = self.run(installation, port, upstream_key="sk-another-key-of-the-upstream")
            assert wrong.returncode != 0
            assert "sk-example-of-the-journey" not in wrong.stdout + wrong.stderr
            assert "401" in wrong.stderr
        finally:
            admin("DeleteProvider", name="providers/example", force=True)

    def run(self, made: Instance, port: int, *, upstream_key: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                sys.executable,
                str(EXAMPLES / "router.py"),
                "--start-upstream",
                f"--upstream-port={port}",
                f"--upstream-key={upstream_key}",
                "Hello there",
            ],
            cwd=ROOT,
            env=made.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def test_its_upstream_refuses_who_has_no_key(self) -> None:
        """Else the example would show nothing."""
        port = free_port()
        command = [sys.executable, str(EXAMPLES / "upstream.py"), f"--port={port}", "--key=sk-example"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                url = process.stdout.readline().removeprefix("upstream: ").strip()
                assert httpx.get(f"{url}/models").status_code == 401
                headers = {"Authorization": "Bearer sk-example"}
                assert httpx.get(f"{url}/models", headers=headers).status_code == 200
            finally:
                process.kill()
