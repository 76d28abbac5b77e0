"""RoutingService: what takes part in routing, from memory, and the sealed credentials."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import grpc
import pytest
from codevector.providers.v1 import provider_model_pb2, provider_pb2, routing_service_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from tests.support.servers.api import (
    API_KEY,
    KINDS,
    SAMPLES,
    Api,
    Sample,
    ambient,
    api_key,
    azure,
    bedrock,
    kind_word,
    read_status,
    vertex,
    vertex_config,
)
from tests.support.values.router_table import token_with

COMPATIBLE = KINDS.PROVIDER_KIND_OPENAI_COMPATIBLE
Snapshot = routing_service_pb2.GetRoutingSnapshotRequest


def listed(api: Api, text: str = "", *, size: int = 1000) -> list[routing_service_pb2.ActiveProviderModel]:
    request = routing_service_pb2.ListActiveProviderModelsRequest(filter=text)
    return [
        model
        for page in api.pages("ListActiveProviderModels", request, size=size)
        for model in page.active_provider_models
    ]


def routed(api: Api, provider: provider_pb2.Provider) -> tuple[bool, int]:
    """Whether routing has the provider, and how many of its models."""
    table = api.snapshot()
    models = sum(model.provider == provider.name for model in table.provider_models)
    assert models == len(listed(api, f"provider = {provider.name}"))
    return any(one.name == provider.name for one in table.providers), models


def sealed(api: Api, *names: str) -> list[routing_service_pb2.SealedCredentialResult]:
    request = routing_service_pb2.BatchGetSealedCredentialsRequest(providers=names)
    return list(api.call("BatchGetSealedCredentials", request).results)


def expected_table(api: Api) -> routing_service_pb2.RoutingSnapshot:
    """The routing table as the admin's view of everything says it should be, message by message."""
    table = routing_service_pb2.RoutingSnapshot()
    providers: dict[str, provider_pb2.Provider] = {}
    for page in api.pages("ListProviders", pb.ListProvidersRequest(), size=1000):
        for provider in page.providers:
            needs = provider.kind != COMPATIBLE
            if provider.state == provider_pb2.Provider.STATE_ACTIVE and (
                provider.HasField("credential") or not needs
            ):
                providers[provider.name] = provider
    for provider in sorted(providers.values(), key=lambda one: one.name):
        entry = table.providers.add(
            name=provider.name,
            uid=provider.uid,
            kind=provider.kind,
            display_name=provider.display_name,
            credential_type=provider.credential.type,
            credential_version=provider.credential.version,
            labels=dict(provider.labels),
        )
        if provider.HasField("config"):
            entry.config.CopyFrom(provider.config)
    models = [
        model
        for page in api.pages(
            "ListProviderModels", pb.ListProviderModelsRequest(parent="providers/-"), size=1000
        )
        for model in page.provider_models
        if model.routable
    ]
    for model in sorted(models, key=lambda one: one.name):
        parent = model.name.rpartition("/models/")[0]
        active = table.provider_models.add(
            name=model.name,
            provider=parent,
            provider_kind=providers[parent].kind,
            upstream_model_id=model.upstream_model_id,
            kind=model.kind,
            context_window=model.context_window,
            max_output_tokens=model.max_output_tokens,
            embedding_dimensions=model.embedding_dimensions,
            capabilities=list(model.capabilities),
            labels=dict(model.labels),
        )
        if model.HasField("pricing"):
            active.pricing.CopyFrom(model.pricing)
    return table


class TestWhatIsRouted:
    @pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: kind_word(sample.kind))
    def test_each_kind_once_it_has_its_credential(self, api: Api, sample: Sample) -> None:
        provider = api.create(kind=sample.kind, config=sample.config)
        api.create_provider_model(provider.name)
        assert routed(api, provider) == ((True, 1) if sample.kind == COMPATIBLE else (False, 0))
        request = pb.SetProviderCredentialRequest(name=provider.name, credential=sample.credential)
        api.call("SetProviderCredential", request)
        assert routed(api, provider) == (True, 1)

    @pytest.mark.parametrize(
        ("kind", "config"),
        [
            (KINDS.PROVIDER_KIND_AZURE, azure()),
            (KINDS.PROVIDER_KIND_BEDROCK, bedrock()),
            (KINDS.PROVIDER_KIND_VERTEX, vertex_config()),
            (KINDS.PROVIDER_KIND_VERTEX_ANTHROPIC, provider_pb2.ProviderConfig(vertex_anthropic=vertex())),
        ],
        ids=["azure", "bedrock", "vertex", "vertex_anthropic"],
    )
    def test_ambient_is_a_credential(self, api: Api, kind: Any, config: provider_pb2.ProviderConfig) -> None:
        provider = api.create(kind=kind, config=config, credential=ambient())
        api.create_provider_model(provider.name)
        assert routed(api, provider) == (True, 1)
        [entry] = [one for one in api.snapshot().providers if one.name == provider.name]
        assert entry.credential_type == provider_pb2.CredentialType.CREDENTIAL_TYPE_AMBIENT

    def test_no_disabled_provider(self, api: Api) -> None:
        provider = api.create()
        api.create_provider_model(provider.name)
        api.disable(provider)
        assert routed(api, provider) == (False, 0)
        api.enable(provider)
        assert routed(api, provider) == (True, 1)

    def test_no_disabled_model(self, api: Api) -> None:
        provider = api.create()
        model = api.create_provider_model(provider.name, "one")
        api.create_provider_model(provider.name, "two")
        api.disable(model)
        assert routed(api, provider) == (True, 1)
        api.enable(model)
        assert routed(api, provider) == (True, 2)

    def test_nothing_deleted(self, api: Api) -> None:
        provider = api.create()
        model = api.create_provider_model(provider.name, "one")
        api.create_provider_model(provider.name, "two")
        api.delete(model.name)
        assert routed(api, provider) == (True, 1)
        api.delete(provider.name, force=True)
        assert routed(api, provider) == (False, 0)

    def test_a_whole_import_at_once(self, api: Api) -> None:
        provider = api.create(kind=KINDS.PROVIDER_KIND_OPENAI, credential=api_key())
        report = api.call("ImportProviderModels", pb.ImportProviderModelsRequest(parent=provider.name))
        assert routed(api, provider) == (True, report.created_count)
        off = api.create(kind=KINDS.PROVIDER_KIND_OPENAI, credential=api_key())
        api.call("ImportProviderModels", pb.ImportProviderModelsRequest(parent=off.name, start_disabled=True))
        assert routed(api, off) == (True, 0)

    def test_the_table_is_what_building_it_from_the_admins_view_gives(self, api: Api) -> None:
        provider = api.create(
            kind=KINDS.PROVIDER_KIND_BEDROCK,
            config=bedrock(endpoint_url="https://bedrock.example.com/x"),
            credential=ambient(),
            labels={"b": "2", "a": "1"},
        )
        api.create_provider_model(
            provider.name,
            "everything",
            display_name="Everything",
            context_window=2**20,
            max_output_tokens=5,
            capabilities=[2, 1],
            labels={"z": "1", "a": ""},
            pricing=provider_model_pb2.Pricing(
                currency_code="EUR",
                input_per_million_tokens="0",
                tiers=[provider_model_pb2.PricingTier(above_input_tokens=1, output_per_million_tokens="0.5")],
            ),
        )
        table = api.snapshot()
        expected = expected_table(api)
        assert list(table.providers) == list(expected.providers)
        assert list(table.provider_models) == list(expected.provider_models)
        assert listed(api) == list(expected.provider_models)

    def test_nothing_that_routers_need_not_know(self, api: Api) -> None:
        canary = uuid4().hex
        provider = pb.CreateProviderRequest(
            provider=provider_pb2.Provider(
                display_name=f"Known {canary[:6]}",
                kind=KINDS.PROVIDER_KIND_OPENAI,
                annotations={"note": canary},
            ),
            credential=api_key(),
        )
        made = api.call("CreateProvider", provider)
        text = api.snapshot().SerializeToString()
        assert made.name.encode() in text
        assert canary.encode() not in text
        assert API_KEY.encode() not in text
        assert made.credential.prefix.encode() not in text


class TestSnapshot:
    def test_carries_the_revision_of_the_last_write(self, api: Api) -> None:
        made = api.create()
        assert api.snapshot().revision == made.revision
        api.disable(made)
        assert api.snapshot().revision == made.revision + 1

    def test_also_of_writes_that_routers_do_not_see(self, api: Api) -> None:
        made = api.create(start_disabled=True)
        assert api.snapshot().revision == made.revision

    def test_is_left_out_when_nothing_changed(self, api: Api) -> None:
        table = api.snapshot()
        answer = api.call("GetRoutingSnapshot", Snapshot(if_token_not=table.token))
        assert answer == routing_service_pb2.GetRoutingSnapshotResponse(not_modified=True)

    def test_is_left_out_when_nothing_changed_for_routers(self, api: Api) -> None:
        table = api.snapshot()
        made = api.create(start_disabled=True)
        assert made.revision > table.revision
        answer = api.call("GetRoutingSnapshot", Snapshot(if_token_not=table.token))
        assert answer.not_modified

    def test_is_sent_when_something_changed(self, api: Api) -> None:
        table = api.snapshot()
        for request in (
            Snapshot(if_token_not=token_with(table.token, revision=table.revision + 1)),
            Snapshot(if_token_not=token_with(table.token, store_id=uuid4())),
            Snapshot(if_token_not=token_with(table.token, content_id=uuid4())),
            Snapshot(if_token_not="not a token"),
            Snapshot(if_revision_not=table.revision, store_id=table.store_id),
            Snapshot(store_id=table.store_id),
        ):
            answer = api.call("GetRoutingSnapshot", request)
            assert not answer.not_modified
            assert answer.snapshot == table

    def test_is_of_one_store(self, api: Api) -> None:
        pages = api.pages(
            "ListActiveProviderModels", routing_service_pb2.ListActiveProviderModelsRequest(), size=1000
        )
        assert {page.store_id for page in pages} == {api.snapshot().store_id}


@pytest.fixture(scope="module")
def mark(api: Api) -> str:
    mark = f"r{uuid4().hex[:8]}"
    for sample in (SAMPLES[0], SAMPLES[-1]):
        provider = api.create(
            f"{mark} {kind_word(sample.kind)}",
            kind=sample.kind,
            config=sample.config,
            credential=sample.credential,
        )
        for number in range(3):
            api.create_provider_model(
                provider.name,
                f"{mark}-{number}",
                labels={"mark": mark, "n": str(number)},
                kind=1 + number % 2,
            )
    return mark


class TestActiveModels:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", 6),
            ("kind = chat", 4),
            ("kind = MODEL_KIND_EMBEDDING", 2),
            ("provider_kind = openai_compatible", 3),
            ("provider_kind = openai kind = chat", 2),
            ("provider = providers/{mark}-openai", 3),
            ("NOT provider = providers/{mark}-openai", 3),
            ("labels.n = 1", 2),
            ("labels.n != 1", 4),
            ("{mark}-2", 2),
            ("upstream_model_id = {mark}-0 OR labels.n = 2", 4),
        ],
    )
    def test_filters(self, api: Api, mark: str, text: str, expected: int) -> None:
        whole = f"labels.mark={mark} AND ({text.format(mark=mark)})" if text else f"labels.mark={mark}"
        rows = listed(api, whole)
        assert len(rows) == expected
        for size in (1, 2, 5):
            assert listed(api, whole, size=size) == rows

    def test_are_ordered_by_name(self, api: Api, mark: str) -> None:
        names = [row.name for row in listed(api, f"labels.mark={mark}")]
        assert names == sorted(names)

    def test_later_pages_carry_the_revision_of_the_first(self, api: Api, mark: str) -> None:
        request = routing_service_pb2.ListActiveProviderModelsRequest(
            filter=f"labels.mark={mark}", page_size=2
        )
        first = api.call("ListActiveProviderModels", request)
        revision = api.create().revision
        request.page_token = first.next_page_token
        second = api.call("ListActiveProviderModels", request)
        request.page_token = second.next_page_token
        third = api.call("ListActiveProviderModels", request)
        assert first.revision == second.revision == third.revision == revision - 1
        assert third.next_page_token == ""
        request.page_token = ""
        assert api.call("ListActiveProviderModels", request).revision == revision

    def test_a_page_goes_on_behind_a_model_that_is_gone(self, api: Api) -> None:
        provider = api.create()
        models = [api.create_provider_model(provider.name, f"m{number}") for number in range(4)]
        request = routing_service_pb2.ListActiveProviderModelsRequest(
            filter=f"provider = {provider.name}", page_size=2
        )
        first = api.call("ListActiveProviderModels", request)
        api.disable(models[1])
        request.page_token = first.next_page_token
        rest = api.call("ListActiveProviderModels", request)
        assert [one.name for one in rest.active_provider_models] == [models[2].name, models[3].name]

    def test_asked_for_again_show_the_last_write(self, api: Api) -> None:
        provider = api.create()
        stays, goes = (api.create_provider_model(provider.name, name) for name in ("stays", "goes"))
        filters = f"provider={provider.name}"
        request = routing_service_pb2.ListActiveProviderModelsRequest(filter=filters)
        before = api.call("ListActiveProviderModels", request)
        assert api.call("ListActiveProviderModels", request) == before
        api.delete(goes.name, force=True)
        after = api.call("ListActiveProviderModels", request)
        assert [one.name for one in after.active_provider_models] == [stays.name]
        assert after.revision > before.revision

    def test_the_default_page_holds_50(self, api: Api) -> None:
        provider = api.create(kind=KINDS.PROVIDER_KIND_OPENAI, credential=api_key())
        for number in range(51):
            api.create_provider_model(provider.name, f"m{number}")
        request = routing_service_pb2.ListActiveProviderModelsRequest(filter=f"provider = {provider.name}")
        assert len(api.call("ListActiveProviderModels", request).active_provider_models) == 50


class TestSealedCredentials:
    def test_in_the_order_asked_with_errors_in_place(self, api: Api) -> None:
        one = api.create(kind=KINDS.PROVIDER_KIND_OPENAI, credential=api_key())
        off = api.create(kind=KINDS.PROVIDER_KIND_OPENAI, credential=api_key(), start_disabled=True)
        bare = api.create()
        two = api.create(credential=api_key())
        results = sealed(api, two.name, "providers/none", off.name, bare.name, one.name)
        assert [result.WhichOneof("outcome") for result in results] == [
            "sealed_credential",
            "error",
            "error",
            "error",
            "sealed_credential",
        ]
        assert results[0].sealed_credential.provider == two.name
        assert results[4].sealed_credential.provider == one.name
        missing, disabled, none = (read_status(result.error) for result in results[1:4])
        assert (missing.code, missing.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
        assert (disabled.code, disabled.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "PROVIDER_DISABLED",
        )
        assert disabled.preconditions == (("PROVIDER_STATE", off.name),)
        assert (none.code, none.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_STORED_CREDENTIAL")
        assert none.resource == ("codevector/Provider", bare.name)

    @pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: kind_word(sample.kind))
    def test_of_each_kind(self, api: Api, sample: Sample) -> None:
        made = api.create(kind=sample.kind, config=sample.config, credential=sample.credential)
        [result] = sealed(api, made.name)
        credential = result.sealed_credential
        assert (credential.provider, credential.provider_uid) == (made.name, made.uid)
        assert (credential.kind, credential.type) == (sample.kind, sample.credential_type)
        assert credential.credential_version == 1
        assert len(credential.commitment) == 32
        assert credential.context
        assert credential.wrapped_data_key
        assert credential.key_version.startswith("keyVersions/")
        assert 1 <= len(credential.destinations) <= 8
        assert list(credential.destinations) == sorted(credential.destinations)
        material = getattr(sample.credential, sample.credential.WhichOneof("material") or "")
        for field, value in material.ListFields():
            assert value.encode() not in credential.envelope, field.name

    def test_follow_the_version(self, api: Api) -> None:
        made = api.create(kind=KINDS.PROVIDER_KIND_OPENAI, credential=api_key())
        [before] = sealed(api, made.name)
        api.call(
            "SetProviderCredential", pb.SetProviderCredentialRequest(name=made.name, credential=api_key())
        )
        [after] = sealed(api, made.name)
        assert after.sealed_credential.credential_version == 2
        assert after.sealed_credential.envelope != before.sealed_credential.envelope
        assert after.sealed_credential.wrapped_data_key != before.sealed_credential.wrapped_data_key
        [entry] = [one for one in api.snapshot().providers if one.name == made.name]
        assert entry.credential_version == 2

    def test_a_hundred_at_once(self, api: Api) -> None:
        names = [f"providers/none-{number}" for number in range(100)]
        assert len(sealed(api, *names)) == 100
        request = routing_service_pb2.BatchGetSealedCredentialsRequest(
            providers=[*names, "providers/one-more"]
        )
        assert api.refuse("BatchGetSealedCredentials", request).fields == ("providers",)
