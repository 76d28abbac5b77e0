"""Testing a connection and discovery over gRPC, against upstreams on loopback that answer as real ones do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import codevector_providers
import grpc
import pytest
from codevector.providers.v1 import provider_model_pb2, provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from tests.support.doubles.openai_upstream import BAD, GOOD, MODELS, OPENAI, Upstream, at, openai_at, serving
from tests.support.servers.api import (
    KINDS,
    Api,
    ambient,
    api_key,
    azure_client_secret,
    bedrock,
    before_the_deadline,
    openai_compatible,
    refused,
)
from tests.support.servers.harness import wait_until
from tests.support.servers.wired import wired

SECONDS = 60.0
OUTCOMES = provider_pb2.ProviderValidation


@pytest.fixture(scope="module")
def loopback() -> Iterator[Api]:
    """A registry that may call upstreams on this machine."""
    with wired({"CODEVECTOR_ALLOW_LOOPBACK_HTTP": "1"}) as made:
        yield Api(made)


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
            answer = before_the_deadline(lambda: loopback.call("ValidateProvider", request, timeout=1.5))
        found = answer.validation
        assert (found.outcome, found.reason) == (OUTCOMES.OUTCOME_UNREACHABLE, "TIMED_OUT")


def test_a_silent_upstream_holds_up_its_own_tests_alone(loopback: Api, upstream: Upstream) -> None:
    def unsaved(url: str) -> pb.ValidateProviderRequest:
        return pb.ValidateProviderRequest(
            provider=provider_pb2.Provider(kind=OPENAI, config=openai_at(url)),
            candidate_credential=api_key(GOOD),
        )

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asked = unsaved(f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
        validate_provider = loopback.instance.providers.ValidateProvider
        waiting = [validate_provider.future(asked, timeout=SECONDS) for _ in range(50)]

        def turned_away() -> list[Any]:
            return [each for each in waiting if each.done() and each.code() is not grpc.StatusCode.OK]

        wait_until(lambda: bool(turned_away()), what="the line is full")
        refusals = [refused(each.result) for each in turned_away()]
        assert {each.reason for each in refusals} == {"UPSTREAM_BUSY"}
        assert {each.code for each in refusals} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert all(each.retry_seconds for each in refusals)
        found = loopback.call("ValidateProvider", unsaved(upstream.base_url)).validation
        assert found.outcome == OUTCOMES.OUTCOME_SUCCEEDED
        for each in waiting:
            each.cancel()


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
