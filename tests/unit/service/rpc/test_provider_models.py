"""ProviderService: custom models, edits of imported ones, and what they keep of both."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from codevector.providers.v1 import provider_model_pb2, provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.servers.api import KINDS, SAMPLES, Api

CHAT = provider_model_pb2.ModelKind.MODEL_KIND_CHAT
EMBEDDING = provider_model_pb2.ModelKind.MODEL_KIND_EMBEDDING
ACTIVE = provider_model_pb2.ProviderModel.STATE_ACTIVE
DISABLED = provider_model_pb2.ProviderModel.STATE_DISABLED
CATALOG = provider_model_pb2.ProviderModel.SOURCE_CATALOG
CUSTOM = provider_model_pb2.ProviderModel.SOURCE_CUSTOM

PRICING = provider_model_pb2.Pricing(
    currency_code="USD",
    input_per_million_tokens="0.10",
    output_per_million_tokens="123456789.123456789012",
    cached_input_per_million_tokens="0",
    tiers=[provider_model_pb2.PricingTier(above_input_tokens=200_000, input_per_million_tokens="0.20")],
)


@pytest.fixture
def provider(api: Api) -> provider_pb2.Provider:
    return api.create()


def imported(api: Api, upstream_model_id: str = "") -> provider_model_pb2.ProviderModel:
    """A model from the catalog of a provider of its own; the first unless told which."""
    parent = api.create(kind=KINDS.PROVIDER_KIND_OPENAI).name
    wanted = [upstream_model_id] if upstream_model_id else []
    request = pb.ImportProviderModelsRequest(parent=parent, upstream_model_ids=wanted)
    model = api.get(api.call("ImportProviderModels", request).results[0].provider_model)
    assert isinstance(model, provider_model_pb2.ProviderModel)
    return model


def under_review(api: Api) -> provider_model_pb2.ProviderModel:
    """A model whose price the catalog's sources disagree on."""
    for sample in SAMPLES:
        parent = api.create(kind=sample.kind, config=sample.config).name
        if sample.kind == KINDS.PROVIDER_KIND_OPENAI_COMPATIBLE:
            continue
        api.call("ImportProviderModels", pb.ImportProviderModelsRequest(parent=parent))
        request = pb.ListProviderModelsRequest(parent=parent)
        for page in api.pages("ListProviderModels", request, size=1000):
            for model in page.provider_models:
                if model.needs_review:
                    assert isinstance(model, provider_model_pb2.ProviderModel)
                    return model
    raise AssertionError("no catalog has a model that needs review")


def renamed(model: provider_model_pb2.ProviderModel, **fields: Any) -> provider_model_pb2.ProviderModel:
    """What an update of these fields sends."""
    return provider_model_pb2.ProviderModel(name=model.name, **fields)


class TestCreate:
    def test_with_all_fields(self, api: Api, provider: provider_pb2.Provider) -> None:
        sent = provider_model_pb2.ProviderModel(
            upstream_model_id="Vendor/Model-4:0@latest",
            display_name="Model 4",
            kind=CHAT,
            context_window=1_000_000,
            max_output_tokens=64_000,
            pricing=PRICING,
            capabilities=[3, 1, 2],  # type: ignore[list-item]
            retire_time=Timestamp(seconds=1_900_000_000),
            labels={"tier": "gold"},
        )
        made = api.call(
            "CreateProviderModel", pb.CreateProviderModelRequest(parent=provider.name, provider_model=sent)
        )
        assert made.name == f"{provider.name}/models/vendor-model-4-0-latest"
        assert UUID(made.uid).version == 4
        assert (made.source, made.catalog_version, made.state) == (CUSTOM, "", ACTIVE)
        assert made.pricing == PRICING
        assert list(made.capabilities) == [1, 2, 3]
        assert made.retire_time == sent.retire_time
        assert (made.routable, made.needs_review, list(made.overridden_fields)) == (True, False, [])
        assert made.etag.startswith(f"{made.revision}-")
        assert api.trailers["x-revision"] == str(made.revision)
        assert api.get(made.name) == made

    def test_with_little(self, api: Api, provider: provider_pb2.Provider) -> None:
        made = api.create_provider_model(provider.name, "embed-1", kind=EMBEDDING, embedding_dimensions=1536)
        assert not made.HasField("pricing")
        assert not made.HasField("retire_time")
        assert (made.context_window, made.embedding_dimensions, made.display_name) == (0, 1536, "")

    def test_an_id_of_the_callers_choice(self, api: Api, provider: provider_pb2.Provider) -> None:
        request = pb.CreateProviderModelRequest(
            parent=provider.name,
            provider_model_id="my.model-1",
            provider_model=provider_model_pb2.ProviderModel(upstream_model_id="x", kind=CHAT),
        )
        assert api.call("CreateProviderModel", request).name == f"{provider.name}/models/my.model-1"

    def test_derived_ids_do_not_collide(self, api: Api, provider: provider_pb2.Provider) -> None:
        names = [
            api.create_provider_model(provider.name, upstream).name for upstream in ("a/b", "a:b", "a@b")
        ]
        assert [name.rpartition("/")[2] for name in names] == ["a-b", "a-b-2", "a-b-3"]

    def test_upstream_ids_are_unique_within_one_provider(
        self, api: Api, provider: provider_pb2.Provider
    ) -> None:
        held = api.create_provider_model(provider.name, "same")
        api.create_provider_model(api.create().name, "same")
        api.create_provider_model(provider.name, "SAME")
        request = pb.CreateProviderModelRequest(
            parent=provider.name,
            provider_model=provider_model_pb2.ProviderModel(upstream_model_id="same", kind=CHAT),
        )
        refusal = api.refuse("CreateProviderModel", request)
        assert refusal.reason == "UPSTREAM_MODEL_EXISTS"
        assert refusal.resource == ("codevector/ProviderModel", held.name)

    def test_a_replay_answers_without_writing(self, api: Api, provider: provider_pb2.Provider) -> None:
        request = pb.CreateProviderModelRequest(
            parent=provider.name,
            provider_model=provider_model_pb2.ProviderModel(upstream_model_id="x", kind=CHAT),
            request_id=str(uuid4()),
        )
        made = api.call("CreateProviderModel", request)
        with api.nothing_changes():
            assert api.call("CreateProviderModel", request) == made
        request.provider_model.upstream_model_id = "y"
        refusal = api.refuse("CreateProviderModel", request)
        assert refusal.reason == "REQUEST_ID_REUSED"
        assert refusal.resource == ("codevector/ProviderModel", made.name)

    def test_a_preview_equals_the_create(self, api: Api, provider: provider_pb2.Provider) -> None:
        request = pb.CreateProviderModelRequest(
            parent=provider.name,
            provider_model=provider_model_pb2.ProviderModel(upstream_model_id="x", kind=CHAT),
            validate_only=True,
        )
        with api.nothing_changes():
            preview = api.call("CreateProviderModel", request)
        made = api.create_provider_model(provider.name, "x")
        for model in (preview, made):
            for stamp in ("uid", "create_time", "update_time", "revision", "etag"):
                model.ClearField(stamp)
        assert preview == made


class TestUpdate:
    def test_a_mask_writes_what_it_names(self, api: Api, provider: provider_pb2.Provider) -> None:
        made = api.create_provider_model(provider.name, display_name="Old", context_window=1000)
        sent = renamed(made, display_name="New", context_window=2000)
        after = api.update(sent, "display_name")
        assert (after.display_name, after.context_window) == ("New", 1000)
        assert after.revision == made.revision + 1

    def test_no_mask_writes_what_is_populated(self, api: Api, provider: provider_pb2.Provider) -> None:
        made = api.create_provider_model(provider.name, display_name="Old", context_window=1000)
        after = api.update(renamed(made, context_window=2000, pricing=PRICING))
        assert (after.display_name, after.context_window, after.pricing) == ("Old", 2000, PRICING)

    def test_a_mask_clears(self, api: Api, provider: provider_pb2.Provider) -> None:
        made = api.create_provider_model(
            provider.name, context_window=1000, pricing=PRICING, capabilities=[1]
        )
        after = api.update(renamed(made), "context_window", "pricing", "capabilities")
        assert (after.context_window, after.HasField("pricing"), list(after.capabilities)) == (0, False, [])

    def test_a_star_replaces_all(self, api: Api, provider: provider_pb2.Provider) -> None:
        made = api.create_provider_model(
            provider.name, display_name="Old", context_window=1000, pricing=PRICING, labels={"a": "b"}
        )
        after = api.update(renamed(made, display_name="New"), "*")
        assert (after.display_name, after.context_window, dict(after.labels)) == ("New", 0, {})
        assert (after.upstream_model_id, after.kind) == (made.upstream_model_id, CHAT)

    def test_what_was_read_can_be_sent_back(self, api: Api) -> None:
        model = imported(api)
        with api.nothing_changes():
            assert api.update(model) == model
            assert api.update(model, "*") == model

    def test_allow_missing_creates(self, api: Api, provider: provider_pb2.Provider) -> None:
        sent = provider_model_pb2.ProviderModel(
            name=f"{provider.name}/models/own-id", upstream_model_id="x", kind=CHAT, context_window=5
        )
        made = api.update(sent, "context_window", allow_missing=True)
        assert (made.name, made.upstream_model_id, made.context_window) == (sent.name, "x", 5)

    def test_allow_missing_asks_for_what_a_create_asks_for(
        self, api: Api, provider: provider_pb2.Provider
    ) -> None:
        sent = provider_model_pb2.ProviderModel(name=f"{provider.name}/models/own-id", kind=CHAT)
        request = pb.UpdateProviderModelRequest(provider_model=sent, allow_missing=True)
        assert api.refuse("UpdateProviderModel", request).fields == ("provider_model.upstream_model_id",)

    def test_a_preview_changes_nothing(self, api: Api, provider: provider_pb2.Provider) -> None:
        made = api.create_provider_model(provider.name)
        with api.nothing_changes():
            assert api.update(renamed(made, display_name="New"), validate_only=True).display_name == "New"


class TestEditsOfImportedModels:
    def test_are_remembered_by_field(self, api: Api) -> None:
        model = imported(api, "gpt-4o")
        assert (model.source, list(model.overridden_fields)) == (CATALOG, [])
        after = api.update(renamed(model, display_name="Mine", context_window=5, labels={"a": "b"}))
        assert list(after.overridden_fields) == ["context_window", "display_name"]
        assert (after.source, after.catalog_version) == (CATALOG, model.catalog_version)

    def test_are_forgotten_when_undone(self, api: Api) -> None:
        model = imported(api, "gpt-4o")
        edited = api.update(renamed(model, display_name="Mine", pricing=PRICING))
        assert list(edited.overridden_fields) == ["display_name", "pricing"]
        back = api.update(renamed(model, pricing=model.pricing), "pricing")
        assert list(back.overridden_fields) == ["display_name"]

    def test_labels_are_no_override(self, api: Api) -> None:
        after = api.update(renamed(imported(api), labels={"a": "b"}))
        assert list(after.overridden_fields) == []

    def test_a_new_price_settles_the_review(self, api: Api) -> None:
        model = under_review(api)
        kept = api.update(renamed(model, display_name="Mine"))
        assert kept.needs_review
        settled = api.update(renamed(model, pricing=PRICING))
        assert not settled.needs_review

    def test_custom_models_have_none(self, api: Api, provider: provider_pb2.Provider) -> None:
        made = api.create_provider_model(provider.name)
        assert list(api.update(renamed(made, context_window=5)).overridden_fields) == []


class TestStateAndDelete:
    def test_disable_and_enable(self, api: Api, provider: provider_pb2.Provider) -> None:
        made = api.create_provider_model(provider.name)
        off = api.call("DisableProviderModel", pb.DisableProviderModelRequest(name=made.name, etag=made.etag))
        assert (off.state, off.routable) == (DISABLED, False)
        with api.nothing_changes():
            again = api.call("DisableProviderModel", pb.DisableProviderModelRequest(name=made.name))
        assert again == off
        on = api.call("EnableProviderModel", pb.EnableProviderModelRequest(name=made.name, etag=off.etag))
        assert (on.state, on.routable) == (ACTIVE, True)

    def test_a_preview_changes_nothing(self, api: Api, provider: provider_pb2.Provider) -> None:
        made = api.create_provider_model(provider.name)
        with api.nothing_changes():
            off = api.call(
                "DisableProviderModel", pb.DisableProviderModelRequest(name=made.name, validate_only=True)
            )
        assert off.state == DISABLED

    def test_routable_follows_the_provider(self, api: Api, provider: provider_pb2.Provider) -> None:
        made = api.create_provider_model(provider.name)
        api.call("DisableProvider", pb.DisableProviderRequest(name=provider.name))
        after = api.get(made.name)
        assert (after.routable, after.state, after.etag) == (False, ACTIVE, made.etag)

    def test_delete_as_previewed(self, api: Api, provider: provider_pb2.Provider) -> None:
        made = api.create_provider_model(provider.name)
        with api.nothing_changes():
            preview = api.delete(made.name, validate_only=True)
        assert list(preview.provider_models) == [made.name]
        assert (preview.provider_model_count, preview.credential_destroyed) == (1, False)
        assert api.delete(made.name, etag=made.etag, impact_token=preview.impact_token) == preview
        gone = api.refuse("GetProviderModel", pb.GetProviderModelRequest(name=made.name))
        assert gone.code is grpc.StatusCode.NOT_FOUND
        assert api.get(provider.name).model_count == 0

    def test_a_token_is_of_one_model(self, api: Api, provider: provider_pb2.Provider) -> None:
        made = api.create_provider_model(provider.name)
        token = api.delete(made.name, validate_only=True).impact_token
        api.delete(made.name)
        again = api.create_provider_model(provider.name)
        assert again.name == made.name
        request = pb.DeleteProviderModelRequest(name=made.name, impact_token=token)
        assert api.refuse("DeleteProviderModel", request).reason == "IMPACT_CHANGED"

    def test_deleting_what_is_missing_succeeds(self, api: Api, provider: provider_pb2.Provider) -> None:
        with api.nothing_changes():
            assert api.delete(f"{provider.name}/models/none", allow_missing=True) == pb.DeletionImpact()
