"""The registry while its sidecar is away: what needs no key works, and what needs one writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import grpc
import pytest
from codevector.providers.v1 import provider_pb2, routing_service_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from tests.support.servers.api import DISABLED, KINDS, Api, Refusal, ambient, api_key, azure, new_name
from tests.support.servers.wired import wired

OPENAI = KINDS.PROVIDER_KIND_OPENAI


@pytest.fixture(scope="module")
def alone() -> Iterator[Api]:
    """A registry whose sidecar was stopped after a provider with a credential was made."""
    with wired() as made:
        api = Api(made)
        api.create("With credential", kind=OPENAI, credential=api_key())
        made.stop_kms()
        yield api


@pytest.fixture
def provider(alone: Api) -> provider_pb2.Provider:
    made = alone.get("providers/with-credential")
    assert isinstance(made, provider_pb2.Provider)
    return made


def is_unavailable(refusal: Refusal) -> bool:
    assert refusal.retry_seconds
    return (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "KMS_UNAVAILABLE")


class TestWhatNeedsAKey:
    def test_a_create_writes_nothing(self, alone: Api) -> None:
        key = f"sk-{uuid4().hex}"
        request = pb.CreateProviderRequest(
            provider=provider_pb2.Provider(display_name=new_name(), kind=OPENAI), credential=api_key(key)
        )
        with alone.nothing_changes():
            refusal = alone.refuse("CreateProvider", request)
        assert is_unavailable(refusal)
        assert key not in refusal.raw

    def test_neither_does_an_ambient_one(self, alone: Api) -> None:
        request = pb.CreateProviderRequest(
            provider=provider_pb2.Provider(
                display_name=new_name(), kind=KINDS.PROVIDER_KIND_AZURE, config=azure()
            ),
            credential=ambient(),
        )
        with alone.nothing_changes():
            assert is_unavailable(alone.refuse("CreateProvider", request))

    def test_nor_a_replacement(self, alone: Api, provider: provider_pb2.Provider) -> None:
        with alone.nothing_changes():
            request = pb.SetProviderCredentialRequest(name=provider.name, credential=api_key())
            assert is_unavailable(alone.refuse("SetProviderCredential", request))
            update = pb.UpdateProviderRequest(
                provider=provider_pb2.Provider(name=provider.name, labels={"a": "b"}), credential=api_key()
            )
            assert is_unavailable(alone.refuse("UpdateProvider", update))

    def test_bad_input_is_told_first(self, alone: Api, provider: provider_pb2.Provider) -> None:
        stale = pb.SetProviderCredentialRequest(name=provider.name, credential=api_key(), expected_version=9)
        assert alone.refuse("SetProviderCredential", stale).reason == "CREDENTIAL_VERSION_MISMATCH"
        wrong = pb.SetProviderCredentialRequest(name=provider.name, credential=ambient())
        assert alone.refuse("SetProviderCredential", wrong).reason == "CREDENTIAL_TYPE_MISMATCH"
        missing = pb.SetProviderCredentialRequest(name="providers/none", credential=api_key())
        assert alone.refuse("SetProviderCredential", missing).reason == "RESOURCE_NOT_FOUND"


class TestWhatNeedsNone:
    def test_previews(self, alone: Api, provider: provider_pb2.Provider) -> None:
        with alone.nothing_changes():
            made = alone.create(kind=OPENAI, credential=api_key(), validate_only=True)
            assert made.credential.version == 1
            request = pb.SetProviderCredentialRequest(
                name=provider.name, credential=api_key(), validate_only=True
            )
            assert alone.call("SetProviderCredential", request).credential.version == 2

    def test_reads(self, alone: Api, provider: provider_pb2.Provider) -> None:
        listed = alone.call("ListProviders", pb.ListProvidersRequest())
        assert provider.name in [one.name for one in listed.providers]
        assert provider.name in [one.name for one in alone.snapshot().providers]

    def test_sealed_credentials(self, alone: Api, provider: provider_pb2.Provider) -> None:
        request = routing_service_pb2.BatchGetSealedCredentialsRequest(providers=[provider.name])
        assert alone.call("BatchGetSealedCredentials", request).results[0].sealed_credential.envelope

    def test_a_create_without_credential(self, alone: Api) -> None:
        made = alone.create()
        alone.create_provider_model(made.name)
        assert alone.get(made.name).model_count == 1

    def test_enable_disable_update_and_delete(self, alone: Api) -> None:
        made = alone.create(kind=OPENAI)
        off = alone.call("DisableProvider", pb.DisableProviderRequest(name=made.name))
        assert off.state == DISABLED
        alone.call("EnableProvider", pb.EnableProviderRequest(name=made.name))
        sent = provider_pb2.Provider(name=made.name, labels={"a": "b"})
        assert dict(alone.update(sent).labels) == {"a": "b"}
        alone.call("ImportProviderModels", pb.ImportProviderModelsRequest(parent=made.name))
        alone.delete(made.name, force=True)

    def test_all_of_it_for_a_provider_with_a_credential(
        self, alone: Api, provider: provider_pb2.Provider
    ) -> None:
        alone.call("DisableProvider", pb.DisableProviderRequest(name=provider.name))
        sent = provider_pb2.Provider(name=provider.name, labels={"a": uuid4().hex})
        assert alone.update(sent).credential.version == 1
        assert alone.delete(provider.name, validate_only=True).credential_destroyed
        alone.call("EnableProvider", pb.EnableProviderRequest(name=provider.name))
