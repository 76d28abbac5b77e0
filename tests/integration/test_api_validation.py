"""Testing a connection and discovery over gRPC, against upstreams on loopback that answer as real ones do."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import codevector_providers
import grpc
import pytest
from codevector.providers.v1 import provider_model_pb2, provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from tests.support.servers.api import (
    KINDS,
    Api,
    ambient,
    api_key,
    azure_client_secret,
    bedrock,
    openai_compatible,
)
from tests.support.servers.harness import ROOT, running
from tests.support.values.canaries import Canaries

OUTCOMES = provider_pb2.ProviderValidation
GOOD = "sk-good-key-of-the-upstream-0123456789"
BAD = "sk-bad-key-of-the-upstream-0123456789"
OPENAI = KINDS.PROVIDER_KIND_OPENAI
MODELS = ("gpt-4o", "gpt-4o-mini", "our-own-model", "another-model")


@dataclass
class Upstream:
    """An OpenAI-compatible listing behind one key, or behind any."""

    port: int
    keys: set[str] = field(default_factory=lambda: {GOOD})
    models: list[str] = field(default_factory=lambda: list(MODELS))
    status: int = 200
    seen: list[str] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def answer(self, path: str, authorization: str) -> tuple[int, Any]:
        self.seen.append(authorization)
        if authorization.removeprefix("Bearer ") not in self.keys:
            # The real ones repeat a part of the key; here it is all of it.
            return 401, {
                "error": {"message": f"Incorrect API key: {authorization}", "code": "invalid_api_key"}
            }
        if path != "/v1/models" or self.status != 200:
            return max(self.status, 404), {"error": {"message": "no"}}
        return 200, {"object": "list", "data": [{"id": each, "object": "model"} for each in self.models]}


@contextmanager
def serving() -> Iterator[Upstream]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = made.answer(self.path, self.headers.get("Authorization") or "")
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Upstream(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def loopback() -> Iterator[Api]:
    """A registry that may call upstreams on this machine."""
    with running({"CODEVECTOR_ALLOW_LOOPBACK_HTTP": "1"}) as instance:
        yield Api(instance)


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


def openai_at(base_url: str) -> provider_pb2.ProviderConfig:
    return provider_pb2.ProviderConfig(openai=provider_pb2.OpenAIConfig(base_url=base_url))


def at(api: Api, base_url: str, key: str | None = GOOD) -> provider_pb2.Provider:
    """An OpenAI provider whose upstream is here, with a stored credential or none."""
    return api.create(
        kind=OPENAI, config=openai_at(base_url), credential=None if key is None else api_key(key)
    )


def validate(api: Api, **request: Any) -> provider_pb2.ProviderValidation:
    answer = api.call("ValidateProvider", pb.ValidateProviderRequest(**request))
    assert isinstance(answer, pb.ValidateProviderResponse)
    return answer.validation


def discover(api: Api, **request: Any) -> pb.DiscoverProviderModelsResponse:
    answer = api.call("DiscoverProviderModels", pb.DiscoverProviderModelsRequest(**request))
    assert isinstance(answer, pb.DiscoverProviderModelsResponse)
    return answer


class TestCandidates:
    @pytest.mark.parametrize(
        ("key", "outcome", "reason", "status"),
        [
            (GOOD, OUTCOMES.OUTCOME_SUCCEEDED, "LISTED", 200),
            (BAD, OUTCOMES.OUTCOME_CREDENTIAL_REJECTED, "BAD_KEY", 401),
        ],
        ids=["good", "bad"],
    )
    def test_of_a_stored_provider(
        self, loopback: Api, upstream: Upstream, key: str, outcome: int, reason: str, status: int
    ) -> None:
        provider = at(loopback, upstream.base_url)
        with loopback.nothing_changes():
            found = validate(loopback, name=provider.name, candidate_credential=api_key(key))
        assert (found.outcome, found.reason, found.http_status_code) == (outcome, reason, status)
        assert found.message.endswith(".")
        assert found.credential_version == 0
        assert found.HasField("validate_time")
        assert upstream.seen == [f"Bearer {key}"]

    def test_of_a_provider_that_is_not_saved(self, loopback: Api, upstream: Upstream) -> None:
        unsaved = provider_pb2.Provider(kind=OPENAI, config=openai_at(upstream.base_url))
        with loopback.nothing_changes():
            found = validate(loopback, provider=unsaved, candidate_credential=api_key(GOOD))
        assert found.outcome == OUTCOMES.OUTCOME_SUCCEEDED

    def test_where_nobody_listens(self, loopback: Api, nobody: str) -> None:
        unsaved = provider_pb2.Provider(kind=OPENAI, config=openai_at(nobody))
        found = validate(loopback, provider=unsaved, candidate_credential=api_key(GOOD))
        assert (found.outcome, found.reason) == (OUTCOMES.OUTCOME_UNREACHABLE, "NO_CONNECTION")
        assert found.http_status_code == 0

    def test_of_an_upstream_that_wants_none(self, loopback: Api, upstream: Upstream) -> None:
        upstream.keys.add("")
        provider = loopback.create(config=openai_compatible(upstream.base_url))
        assert validate(loopback, name=provider.name).outcome == OUTCOMES.OUTCOME_SUCCEEDED

    def test_an_ambient_identity_is_not_the_registrys_to_test(self, loopback: Api) -> None:
        stored = loopback.create(kind=KINDS.PROVIDER_KIND_BEDROCK, config=bedrock(), credential=ambient())
        for request in ({}, {"candidate_credential": ambient()}):
            found = validate(loopback, name=stored.name, **request)
            assert (found.outcome, found.reason) == (OUTCOMES.OUTCOME_UNSUPPORTED, "AMBIENT_IDENTITY")

    def test_a_slow_upstream_is_an_outcome(self, loopback: Api) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
            request = pb.ValidateProviderRequest(
                provider=provider_pb2.Provider(kind=OPENAI, config=openai_at(url)),
                candidate_credential=api_key(GOOD),
            )
            found = loopback.call("ValidateProvider", request, timeout=1.5).validation
        assert (found.outcome, found.reason) == (OUTCOMES.OUTCOME_UNREACHABLE, "TIMED_OUT")


class TestRefusals:
    @pytest.mark.parametrize("method", ["ValidateProvider", "DiscoverProviderModels"])
    def test_a_stored_credential_cannot_be_read(self, loopback: Api, upstream: Upstream, method: str) -> None:
        message = getattr(pb, f"{method}Request")
        for provider in (
            at(loopback, upstream.base_url),
            at(loopback, upstream.base_url, None),
            loopback.create(config=openai_compatible(upstream.base_url), credential=api_key(GOOD)),
        ):
            refusal = loopback.refuse(method, message(name=provider.name))
            assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
            assert refusal.reason == "STORED_CREDENTIAL_UNREADABLE"
            assert refusal.preconditions == (("CREDENTIAL", provider.name),)
            assert "providerctl provider test" in refusal.message
        assert upstream.seen == []

    @pytest.mark.parametrize("method", ["ValidateProvider", "DiscoverProviderModels"])
    def test_of_bad_requests(self, loopback: Api, method: str) -> None:
        message = getattr(pb, f"{method}Request")
        missing = loopback.refuse(method, message(name="providers/none", candidate_credential=api_key()))
        assert missing.reason == "RESOURCE_NOT_FOUND"
        assert loopback.refuse(method, message()).reason == "INVALID_FIELD"
        unsaved = provider_pb2.Provider(kind=OPENAI)
        other = loopback.refuse(method, message(provider=unsaved, candidate_credential=azure_client_secret()))
        assert (other.reason, other.fields) == (
            "CREDENTIAL_TYPE_MISMATCH",
            ("candidate_credential.azure_client_secret",),
        )
        nothing = loopback.refuse(method, message(provider={}, candidate_credential=api_key()))
        assert nothing.fields == ("provider.kind",)
        empty = loopback.refuse(method, message(provider=unsaved, candidate_credential={}))
        assert empty.fields == ("candidate_credential",)

    def test_an_address_that_is_not_allowed(self, api: Api, upstream: Upstream) -> None:
        """By the default settings, the same upstream is refused before anything is sent."""
        unsaved = provider_pb2.Provider(kind=OPENAI, config=openai_at(upstream.base_url))
        refusal = api.refuse(
            "ValidateProvider",
            pb.ValidateProviderRequest(provider=unsaved, candidate_credential=api_key(GOOD)),
        )
        assert refusal.fields == ("provider.config.openai.base_url",)
        assert upstream.seen == []


class TestVerify:
    def set(
        self, provider: provider_pb2.Provider, key: str, **request: Any
    ) -> pb.SetProviderCredentialRequest:
        return pb.SetProviderCredentialRequest(
            name=provider.name, credential=api_key(key), verify=True, **request
        )

    def stored(self, api: Api, provider: provider_pb2.Provider) -> str:
        instance = api.instance
        with codevector_providers.connect(
            instance.address, kms_socket=instance.router_socket, allow_loopback_http=True
        ) as client:
            return client.credential(provider.name).reveal("api_key")

    def test_a_good_key_is_set(self, loopback: Api, upstream: Upstream) -> None:
        provider = at(loopback, upstream.base_url, BAD)
        done = loopback.call("SetProviderCredential", self.set(provider, GOOD))
        assert done.credential.version == 2
        assert "x-warning" not in loopback.trailers
        assert self.stored(loopback, provider) == GOOD

    @pytest.mark.parametrize("preview", [False, True], ids=["for good", "preview"])
    def test_a_rejected_key_is_not(self, loopback: Api, upstream: Upstream, preview: bool) -> None:
        provider = at(loopback, upstream.base_url)
        with loopback.nothing_changes():
            refusal = loopback.refuse("SetProviderCredential", self.set(provider, BAD, validate_only=preview))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CREDENTIAL_REJECTED")
        assert refusal.metadata["http_status"] == "401"
        assert refusal.metadata["validation_reason"] == "BAD_KEY"
        assert refusal.preconditions == (("CREDENTIAL", provider.name),)
        assert self.stored(loopback, provider) == GOOD

    @pytest.mark.parametrize("status", [429, 500])
    def test_what_says_nothing_of_the_key_does_not_stand_in_its_way(
        self, loopback: Api, upstream: Upstream, status: int
    ) -> None:
        provider = at(loopback, upstream.base_url, BAD)
        upstream.status = status
        assert loopback.call("SetProviderCredential", self.set(provider, GOOD)).credential.version == 2
        assert loopback.trailers["x-warning"].startswith("the credential was not verified: ")

    def test_is_not_done_again_for_a_request_that_was(self, loopback: Api, upstream: Upstream) -> None:
        provider = at(loopback, upstream.base_url, BAD)
        request = self.set(provider, GOOD, request_id="6f1c0e6e-7a0b-4a53-9c1c-0a7d3f0b8f11")
        first = loopback.call("SetProviderCredential", request)
        upstream.keys.clear()
        assert loopback.call("SetProviderCredential", request) == first
        assert len(upstream.seen) == 1

    def test_a_stale_version_is_refused_before_anybody_is_asked(
        self, loopback: Api, upstream: Upstream
    ) -> None:
        provider = at(loopback, upstream.base_url)
        refusal = loopback.refuse("SetProviderCredential", self.set(provider, GOOD, expected_version=7))
        assert refusal.reason == "CREDENTIAL_VERSION_MISMATCH"
        assert upstream.seen == []


class TestDiscovery:
    def test_beside_the_catalog_and_what_is_registered(self, loopback: Api, upstream: Upstream) -> None:
        provider = at(loopback, upstream.base_url)
        loopback.call(
            "ImportProviderModels",
            pb.ImportProviderModelsRequest(parent=provider.name, upstream_model_ids=["gpt-4o", "gpt-4.1"]),
        )
        own = loopback.create_provider_model(provider.name, "our-own-model")
        with loopback.nothing_changes():
            found = discover(loopback, name=provider.name, candidate_credential=api_key(GOOD))
        assert found.validation.outcome == OUTCOMES.OUTCOME_SUCCEEDED
        assert found.complete
        assert found.catalog_version
        assert [(each.upstream_model_id, each.in_catalog, each.provider_model) for each in found.models] == [
            ("gpt-4o", True, f"{provider.name}/models/gpt-4o"),
            ("gpt-4o-mini", True, ""),
            ("our-own-model", False, own.name),
            ("another-model", False, ""),
        ]
        assert list(found.not_offered_provider_models) == [f"{provider.name}/models/gpt-4.1"]
        assert {each.kind for each in found.models} == {provider_model_pb2.MODEL_KIND_UNSPECIFIED}

    def test_of_a_provider_that_is_not_saved(self, loopback: Api, upstream: Upstream) -> None:
        upstream.keys.add("")
        unsaved = provider_pb2.Provider(
            kind=KINDS.PROVIDER_KIND_OPENAI_COMPATIBLE, config=openai_compatible(upstream.base_url)
        )
        found = discover(loopback, provider=unsaved)
        assert [each.upstream_model_id for each in found.models] == list(MODELS)
        assert found.catalog_version == ""

    def test_what_goes_wrong_is_told(self, loopback: Api, upstream: Upstream) -> None:
        provider = at(loopback, upstream.base_url)
        loopback.create_provider_model(provider.name, "gone-perhaps")
        found = discover(loopback, name=provider.name, candidate_credential=api_key(BAD))
        assert found.validation.outcome == OUTCOMES.OUTCOME_CREDENTIAL_REJECTED
        assert not found.complete
        assert not found.models
        assert not found.not_offered_provider_models


class TestCommands:
    """``providerctl provider`` as a process, with the stored credential."""

    def run(self, api: Api, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli", "provider", *arguments],
            cwd=ROOT,
            env=api.instance.environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def test_a_good_key(self, loopback: Api, upstream: Upstream) -> None:
        provider = at(loopback, upstream.base_url)
        done = self.run(loopback, "test", provider.name.removeprefix("providers/"), "-o", "json")
        assert (done.returncode, done.stderr) == (0, "")
        told = json.loads(done.stdout)
        assert (told["outcome"], told["reason"]) == ("OUTCOME_SUCCEEDED", "LISTED")
        assert told["credentialVersion"] == "1"
        assert upstream.seen == [f"Bearer {GOOD}"]
        shown = self.run(loopback, "test", provider.name)
        assert "outcome: SUCCEEDED" in shown.stdout
        assert GOOD not in done.stdout + shown.stdout + shown.stderr

    def test_a_bad_key(self, loopback: Api, upstream: Upstream) -> None:
        provider = at(loopback, upstream.base_url, BAD)
        done = self.run(loopback, "test", provider.name)
        assert done.returncode == 1
        assert "outcome: CREDENTIAL_REJECTED" in done.stdout
        assert "reason: BAD_KEY" in done.stderr
        assert BAD not in done.stdout + done.stderr

    def test_nobody_there(self, loopback: Api, nobody: str) -> None:
        done = self.run(loopback, "test", at(loopback, nobody).name)
        assert done.returncode == 6
        assert "reason: NO_CONNECTION" in done.stderr

    def test_an_ambient_identity(self, loopback: Api) -> None:
        provider = loopback.create(kind=KINDS.PROVIDER_KIND_BEDROCK, config=bedrock(), credential=ambient())
        done = self.run(loopback, "test", provider.name)
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
        self, loopback: Api, name: str, environment: dict[str, str], code: int
    ) -> None:
        done = self.run(loopback, "test", name, **environment)
        assert done.returncode == code, done.stderr
        assert done.stderr.startswith("providerctl: ")

    def test_no_sidecar(self, loopback: Api, upstream: Upstream) -> None:
        provider = at(loopback, upstream.base_url)
        done = self.run(loopback, "test", provider.name, "--router-socket", "/nonexistent/router.sock")
        assert done.returncode == 6, done.stderr
        assert upstream.seen == []

    def test_discover_and_add(self, loopback: Api, upstream: Upstream) -> None:
        provider = at(loopback, upstream.base_url)
        done = self.run(loopback, "discover", provider.name, "-o", "json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert [(each["upstreamModelId"], each["inCatalog"]) for each in told["models"]] == [
            ("gpt-4o", True),
            ("gpt-4o-mini", True),
            ("our-own-model", False),
            ("another-model", False),
        ]
        with loopback.nothing_changes():
            absent = self.run(loopback, "discover", provider.name, "--add", "gpt-4o", "--add", "none")
            vague = self.run(loopback, "discover", provider.name, "--add", "gpt-4o", "--add", "our-own-model")
            wrong = self.run(loopback, "discover", provider.name, "--kind", "music")
        assert [each.returncode for each in (absent, vague, wrong)] == [2, 2, 2]
        assert "does not list none" in absent.stderr
        assert "--kind chat" in vague.stderr

        wanted = ("--add", "gpt-4o", "--add", "our-own-model", "--kind", "embedding", "-o", "json")
        added = self.run(loopback, "discover", provider.name, *wanted)
        assert added.returncode == 0, added.stderr
        assert [(each["upstreamModelId"], each["action"]) for each in json.loads(added.stdout)] == [
            ("gpt-4o", "imported"),
            ("our-own-model", "created"),
        ]
        own = loopback.get(f"{provider.name}/models/our-own-model")
        assert own.kind == provider_model_pb2.MODEL_KIND_EMBEDDING
        assert own.source == provider_model_pb2.ProviderModel.SOURCE_CUSTOM
        with loopback.nothing_changes():
            again = self.run(loopback, "discover", provider.name, *wanted)
        assert {each["action"] for each in json.loads(again.stdout)} == {"there already"}
        shown = self.run(loopback, "discover", provider.name)
        assert f"our-own-model\t\t\t\t{provider.name}/models/our-own-model" in shown.stdout

    def test_discover_with_a_bad_key(self, loopback: Api, upstream: Upstream) -> None:
        provider = at(loopback, upstream.base_url, BAD)
        for arguments in ((), ("--add", "gpt-4o")):
            done = self.run(loopback, "discover", provider.name, *arguments)
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
        api.instance.stop_service()
        api.instance.stop_kms()
        assert not [*hits, *canaries.hits_under(instance.home)]
