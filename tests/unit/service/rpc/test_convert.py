"""Messages and domain values: what goes out comes in again, and every field of a message has its source."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from codevector.providers.v1 import (
    model_pb2,
    provider_model_pb2,
    provider_pb2,
    provider_service_pb2,
    routing_service_pb2,
)
from google.protobuf.message import Message

from service.domain import model as domain
from service.domain.errors import InvalidArgument
from service.domain.imports import Action
from service.domain.model import ModelView, Provider, ProviderModelView, ProviderView
from service.rpc import convert, convert_models
from service.usecases.context import ListQuery
from tests.support.servers.api import SAMPLES, Sample, kind_word
from tests.support.values.registry_values import (
    START,
    a_backend,
    a_credential,
    a_model,
    a_provider,
    a_provider_model,
)

each_kind = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: kind_word(sample.kind))


def unset(pb: Message) -> set[str]:
    """The fields of a message that hold nothing."""
    return {field.name for field in pb.DESCRIPTOR.fields} - {field.name for field, _ in pb.ListFields()}


@pytest.mark.parametrize(
    ("members", "enum"),
    [
        (domain.ProviderKind, provider_pb2.ProviderKind),
        (domain.CredentialType, provider_pb2.CredentialType),
        (domain.State, provider_pb2.Provider.State),
        (domain.State, provider_model_pb2.ProviderModel.State),
        (domain.State, model_pb2.Model.State),
        (domain.ModelKind, provider_model_pb2.ModelKind),
        (domain.ModelCapability, provider_model_pb2.ModelCapability),
        (domain.ModelSource, provider_model_pb2.ProviderModel.Source),
        (Action, provider_service_pb2.ImportResult.Action),
    ],
    ids=lambda each: getattr(each, "__name__", None) or each.DESCRIPTOR.full_name,
)
def test_members_have_the_numbers_and_words_of_the_api(members: type[domain.State], enum: object) -> None:
    """The API's words begin with the enum's name; UNSPECIFIED is no member."""
    descriptor = enum.DESCRIPTOR  # type: ignore[attr-defined]
    theirs = {value.number: value.name for value in descriptor.values if value.number}
    assert {member.value for member in members} == theirs.keys()
    for member in members:
        assert theirs[member.value].endswith(f"_{member.name}")
        assert convert.enum_number(member) == member.value
    assert convert.enum_number(None) == 0


class TestProviders:
    def full(self) -> Provider:
        credential, _ = a_credential(3, expire_time=START + timedelta(days=9))
        provider = a_provider(credential=credential, labels={"team": "blue"}, annotations={"note": "x"})
        return replace(provider, revision=7, etag="7-0a1b2c3d", update_time=START + timedelta(seconds=1))

    def test_what_is_shown_is_what_is_stored(self) -> None:
        provider = self.full()
        pb = convert.provider_to_pb(ProviderView(provider, model_count=5, active_model_count=4))
        assert unset(pb) == {"unroutable_reason", "corrupt_fields"}
        assert pb.routable
        assert (pb.name, pb.uid, pb.etag) == (provider.name, str(provider.uid), provider.etag)
        assert (pb.model_count, pb.active_model_count, pb.revision) == (5, 4, 7)
        assert (pb.credential.version, pb.credential.prefix) == (3, "sk-abcd")
        assert pb.update_time.ToDatetime(tzinfo=START.tzinfo) == provider.update_time

    def test_comes_in_again_as_it_went_out(self) -> None:
        provider = self.full()
        draft = convert.provider_draft(convert.provider_to_pb(ProviderView(provider)))
        for field in ("name", "display_name", "kind", "config", "labels", "annotations", "etag"):
            assert getattr(draft, field) == getattr(provider, field), field
        assert draft.config_kind is provider.kind
        assert {"display_name", "kind", "config", "labels", "annotations"} <= draft.populated
        assert not {"name", "etag"} & draft.populated

    def test_an_empty_message_says_nothing(self) -> None:
        draft = convert.provider_draft(provider_pb2.Provider())
        assert (draft.kind, draft.config_kind, draft.populated) == (None, None, frozenset())

    @each_kind
    def test_settings_of_each_kind(self, sample: Sample) -> None:
        sent = sample.config or provider_pb2.ProviderConfig()
        config, kind = convert.provider_config_from_pb(sent)
        own = domain.ProviderKind(sample.kind)
        assert kind in (None, own)
        back = convert.provider_config_to_pb(own, config)
        assert (back or provider_pb2.ProviderConfig()) == sent


class TestCredentials:
    @each_kind
    def test_of_each_kind_tell_their_type_and_show_nothing(self, sample: Sample) -> None:
        change = convert.credential_change(sample.credential)
        assert change.material.type is domain.CredentialType(sample.credential_type)
        member = sample.credential.WhichOneof("material")
        assert member is not None
        for _, value in getattr(sample.credential, member).ListFields():
            assert str(value) not in repr(change)

    def test_nothing_is_no_credential(self) -> None:
        with pytest.raises(InvalidArgument) as refused:
            convert.credential_change(provider_pb2.CredentialInput(), field="candidate")
        assert refused.value.violations[0].field == "candidate"


class TestProviderModels:
    def test_what_is_shown_is_what_is_stored_and_comes_in_again(self) -> None:
        model = a_provider_model(source=domain.ModelSource.CATALOG, labels={"team": "blue"})
        model = replace(
            model, facts=replace(model.facts, embedding_dimensions=8), revision=7, etag="7-0a1b2c3d"
        )
        pb = convert.provider_model_to_pb(ProviderModelView(model, routable=True))
        assert unset(pb) == {"corrupt_fields"}
        draft = convert.provider_model_draft(pb)
        assert replace(draft.facts, needs_review=True) == model.facts
        assert (draft.name, draft.labels, draft.etag) == (model.name, model.labels, model.etag)
        assert draft.kind_sent

    def test_without_a_kind_the_draft_says_so(self) -> None:
        draft = convert.provider_model_draft(provider_model_pb2.ProviderModel(upstream_model_id="x"))
        assert (draft.kind_sent, draft.facts.kind) == (False, domain.ModelKind.CHAT)
        assert (draft.facts.pricing, draft.facts.retire_time) == (None, None)
        assert draft.populated == {"upstream_model_id"}

    def test_a_price_that_is_absent_is_not_zero(self) -> None:
        pricing = domain.Pricing(currency_code="USD", input="0", output="1.20")
        pb = convert.pricing_to_pb(pricing)
        assert pb is not None
        assert (pb.input_per_million_tokens, pb.HasField("cached_input_per_million_tokens")) == ("0", False)
        assert convert.pricing_from_pb(pb) == pricing
        assert convert.pricing_to_pb(None) is None


class TestModels:
    def test_what_is_shown_is_what_is_stored_and_comes_in_again(self) -> None:
        here, there = a_provider_model("here"), a_provider_model("there")
        wires = (a_backend(here, priority=1, weight=3), a_backend(there, disabled=True))
        model = replace(a_model("smart", *wires, labels={"team": "blue"}), revision=7, etag="7-0a1b2c3d")
        pb = convert_models.model_to_pb(ModelView(model, frozenset({("acme", "here"), ("acme", "there")})))
        assert unset(pb) == {"corrupt_fields"}
        shown = {each.provider_model.rpartition("/")[2]: each.routable for each in pb.backends}
        assert (shown, pb.routable) == ({"here": True, "there": False}, True)
        draft = convert_models.model_draft(pb)
        for field in ("name", "display_name", "description", "kind", "labels", "annotations", "etag"):
            assert getattr(draft, field) == getattr(model, field), field
        assert draft.backends == model.backends

    def test_a_backend_of_another_form_is_named_with_its_place(self) -> None:
        pb = model_pb2.Model(
            backends=[
                model_pb2.ModelBackend(provider_model="providers/acme/models/x"),
                model_pb2.ModelBackend(provider_model="acme/x"),
            ]
        )
        with pytest.raises(InvalidArgument) as refused:
            convert_models.model_draft(pb)
        assert refused.value.violations[0].field == "model.backends[1].provider_model"


class TestQueries:
    @pytest.mark.parametrize(
        ("request_", "query"),
        [
            (
                provider_service_pb2.ListProvidersRequest(
                    page_size=3, page_token="t", filter="f", order_by="o"
                ),
                ListQuery(3, "t", "f", "o"),
            ),
            (
                routing_service_pb2.ListActiveProviderModelsRequest(page_size=3, filter="f"),
                ListQuery(3, "", "f", ""),
            ),
        ],
        ids=["with an order", "without"],
    )
    def test_take_the_fields_that_the_request_has(self, request_: Message, query: ListQuery) -> None:
        assert convert.list_query(request_) == query
