"""Testing a connection and discovery from the command line, and what is left of a key that was tried."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from codevector.providers.v1 import provider_model_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from tests.support.doubles.openai_upstream import BAD, GOOD, Upstream, at, serving
from tests.support.servers.api import KINDS, Api, ambient, api_key, bedrock
from tests.support.servers.harness import ROOT, Instance, running
from tests.support.values.canaries import Canaries


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    """An installation that may call upstreams on this machine."""
    with running({"CODEVECTOR_ALLOW_LOOPBACK_HTTP": "1"}) as made:
        yield made


@pytest.fixture
def loopback(instance: Instance) -> Api:
    return Api(instance)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving() as made:
        yield made


@pytest.fixture
def nobody() -> Iterator[str]:
    """A base URL where nobody listens, nor will as long as the test lasts."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/v1"


class TestCommands:
    """``providerctl provider`` as a process, with the stored credential."""

    def run(
        self, instance: Instance, *arguments: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli", "provider", *arguments],
            cwd=ROOT,
            env=instance.environment | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def test_a_good_key(self, instance: Instance, loopback: Api, upstream: Upstream) -> None:
        provider = at(loopback, upstream.base_url)
        done = self.run(instance, "test", provider.name.removeprefix("providers/"), "-o", "json")
        assert (done.returncode, done.stderr) == (0, "")
        told = json.loads(done.stdout)
        assert (told["outcome"], told["reason"]) == ("OUTCOME_SUCCEEDED", "LISTED")
        assert told["credentialVersion"] == "1"
        assert upstream.seen == [f"Bearer {GOOD}"]
        shown = self.run(instance, "test", provider.name)
        assert "outcome: SUCCEEDED" in shown.stdout
        assert GOOD not in done.stdout + shown.stdout + shown.stderr

    def test_a_bad_key(self, instance: Instance, loopback: Api, upstream: Upstream) -> None:
        provider = at(loopback, upstream.base_url, BAD)
        done = self.run(instance, "test", provider.name)
        assert done.returncode == 1
        assert "outcome: CREDENTIAL_REJECTED" in done.stdout
        assert "reason: BAD_KEY" in done.stderr
        assert BAD not in done.stdout + done.stderr

    def test_nobody_there(self, instance: Instance, loopback: Api, nobody: str) -> None:
        done = self.run(instance, "test", at(loopback, nobody).name)
        assert done.returncode == 6
        assert "reason: NO_CONNECTION" in done.stderr

    def test_an_ambient_identity(self, instance: Instance, loopback: Api) -> None:
        provider = loopback.create(kind=KINDS.PROVIDER_KIND_BEDROCK, config=bedrock(), credential=ambient())
        done = self.run(instance, "test", provider.name)
        assert done.returncode == 5
        assert "reason: AMBIENT_IDENTITY" in done.stderr

    @pytest.mark.parametrize(
        ("name", "environment", "code"),
        [
            ("providers/none", {}, 3),
            ("providers/none", {"CODEVECTOR_GRPC_PORT": "1"}, 6),
            ("providers/none", {"CODEVECTOR_ALLOW_LOOPBACK_HTTP": "perhaps"}, 2),
        ],
        ids=["no such provider", "no registry", "no switch"],
    )
    def test_what_cannot_be_opened(
        self, instance: Instance, loopback: Api, name: str, environment: dict[str, str], code: int
    ) -> None:
        done = self.run(instance, "test", name, **environment)
        assert done.returncode == code, done.stderr
        assert done.stderr.startswith("providerctl: ")

    def test_a_disabled_provider_is_named_as_such(
        self, instance: Instance, loopback: Api, nobody: str
    ) -> None:
        provider = at(loopback, nobody)
        loopback.call("DisableProvider", pb.DisableProviderRequest(name=provider.name))
        done = self.run(instance, "test", provider.name)
        assert done.returncode == 5
        assert "is disabled" in done.stderr

    def test_no_sidecar(self, instance: Instance, loopback: Api, upstream: Upstream) -> None:
        provider = at(loopback, upstream.base_url)
        done = self.run(instance, "test", provider.name, "--router-socket", "/nonexistent/router.sock")
        assert done.returncode == 6, done.stderr
        assert upstream.seen == []

    def test_discover_and_add(self, instance: Instance, loopback: Api, upstream: Upstream) -> None:
        provider = at(loopback, upstream.base_url)
        done = self.run(instance, "discover", provider.name, "-o", "json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert [(each["upstreamModelId"], each["inCatalog"]) for each in told["models"]] == [
            ("gpt-4o", True),
            ("gpt-4o-mini", True),
            ("our-own-model", False),
            ("another-model", False),
        ]
        with loopback.nothing_changes():
            absent = self.run(instance, "discover", provider.name, "--add", "gpt-4o", "--add", "none")
            vague = self.run(instance, "discover", provider.name, "--add", "gpt-4o", "--add", "our-own-model")
            wrong = self.run(instance, "discover", provider.name, "--kind", "music")
        assert [each.returncode for each in (absent, vague, wrong)] == [2, 2, 2]
        assert "does not list none" in absent.stderr
        assert "--kind chat" in vague.stderr

        wanted = ("--add", "gpt-4o", "--add", "our-own-model", "--kind", "embedding", "-o", "json")
        added = self.run(instance, "discover", provider.name, *wanted)
        assert added.returncode == 0, added.stderr
        assert [(each["upstreamModelId"], each["action"]) for each in json.loads(added.stdout)] == [
            ("gpt-4o", "imported"),
            ("our-own-model", "created"),
        ]
        own = loopback.get(f"{provider.name}/models/our-own-model")
        assert own.kind == provider_model_pb2.MODEL_KIND_EMBEDDING
        assert own.source == provider_model_pb2.ProviderModel.SOURCE_CUSTOM
        with loopback.nothing_changes():
            again = self.run(instance, "discover", provider.name, *wanted)
        assert {each["action"] for each in json.loads(again.stdout)} == {"there already"}
        shown = self.run(instance, "discover", provider.name)
        assert f"our-own-model\t\t\t\t{provider.name}/models/our-own-model" in shown.stdout

    def test_discover_with_a_bad_key(self, instance: Instance, loopback: Api, upstream: Upstream) -> None:
        provider = at(loopback, upstream.base_url, BAD)
        for arguments in ((), ("--add", "gpt-4o")):
            done = self.run(instance, "discover", provider.name, *arguments)
            assert done.returncode == 1
            assert BAD not in done.stdout + done.stderr


def test_a_candidate_is_found_nowhere(upstream: Upstream) -> None:
    """Tested, rejected, set and listed with: neither an answer, a log, nor a file has any of it."""
    canaries = Canaries(random.Random(5))
    with running({"CODEVECTOR_ALLOW_LOOPBACK_HTTP": "1"}) as instance:
        api = Api(instance)
        told: list[str] = []
        provider = at(api, upstream.base_url)
        for index in range(3):
            key = canaries.api_key()
            if index:
                upstream.keys.add(key)
            for method, message in (
                ("ValidateProvider", pb.ValidateProviderRequest),
                ("DiscoverProviderModels", pb.DiscoverProviderModelsRequest),
            ):
                answer = api.call(method, message(name=provider.name, candidate_credential=api_key(key)))
                told.append(str(answer))
            request = pb.SetProviderCredentialRequest(
                name=provider.name, credential=api_key(key), verify=True
            )
            if index:
                told.append(str(api.call("SetProviderCredential", request)) + str(api.trailers))
            else:
                told.append(api.refuse("SetProviderCredential", request).raw)
        assert len(upstream.seen) == 9
        hits = canaries.hits("answers", "\n".join(told).encode())
        instance.stop_service()
        instance.stop_kms()
        assert not [*hits, *canaries.hits_under(instance.home)]
