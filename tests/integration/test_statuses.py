"""Bad input: refused with its code, reason and field, repeating nothing of it, and changing nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

import grpc
import pytest
from codevector.providers.v1 import provider_pb2, routing_service_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.message import Message

from tests.support.servers.api import (
    Api,
    api_key,
    new_name,
    refused,
)
from tests.support.servers.harness import Instance
from tests.support.values import bad_models, bad_operations, bad_resources
from tests.support.values.bad_input import (
    ABORTED,
    CANARY,
    EXISTS,
    FAILED,
    INVALID,
    NOT_FOUND,
    OPENAI,
    Case,
    World,
)

Raw = Callable[..., object]
CASES = (*bad_resources.CASES, *bad_operations.CASES, *bad_models.CASES)


@pytest.fixture(scope="module")
def world(api: Api) -> World:
    request_id = str(uuid4())
    provider = api.create(
        new_name("Bad input"),
        kind=OPENAI,
        credential=api_key(),
        labels={"team": "blue"},
        request_id=request_id,
    )
    custom = api.create_provider_model(provider.name, "custom-1", display_name="Custom")
    imported = api.call(
        "ImportProviderModels",
        pb.ImportProviderModelsRequest(parent=provider.name, upstream_model_ids=["gpt-4o", "gpt-4o-mini"]),
    ).results[0]
    providers = api.call("ListProviders", pb.ListProvidersRequest(page_size=1))
    if not providers.next_page_token:
        api.create(new_name("Another"))
        providers = api.call("ListProviders", pb.ListProvidersRequest(page_size=1))
    models = api.call("ListProviderModels", pb.ListProviderModelsRequest(parent=provider.name, page_size=1))
    return World(
        provider=api.get(provider.name),
        custom=api.get(custom.name),
        imported=api.get(imported.provider_model),
        used_request_id=request_id,
        page_token=providers.next_page_token,
        models_page_token=models.next_page_token,
    )


def method_of(request: Message) -> str:
    return request.DESCRIPTOR.name.removesuffix("Request")


class TestBadInput:
    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
    def test_is_refused_by_name_and_changes_nothing(self, api: Api, world: World, case: Case) -> None:
        request = case.request(world)
        with api.nothing_changes():
            refusal = api.refuse(method_of(request), request)
        fields = tuple(dict.fromkeys(refusal.fields))
        assert (refusal.code, refusal.reason, fields) == (case.code, case.reason, case.fields), refusal
        for value in case.sent:
            assert value not in refusal.raw

    def test_has_no_case_twice(self) -> None:
        assert len({case.id for case in CASES}) == len(CASES)

    @pytest.mark.parametrize(
        "case", [case for case in CASES if case.code is ABORTED], ids=lambda case: case.id
    )
    def test_a_lost_race_names_the_resource(self, api: Api, world: World, case: Case) -> None:
        request = case.request(world)
        refusal = api.refuse(method_of(request), request)
        assert refusal.resource is not None
        kind, name = refusal.resource
        assert kind == ("codevector/ProviderModel" if "/models/" in name else "codevector/Provider")
        if refusal.reason == "PLAN_CHANGED":
            assert len(refusal.metadata["current_plan_digest"]) == 64
        elif refusal.reason != "REQUEST_ID_REUSED":
            assert refusal.metadata["current_etag"] == api.get(name).etag

    @pytest.mark.parametrize(
        "case", [case for case in CASES if case.code in (NOT_FOUND, EXISTS)], ids=lambda case: case.id
    )
    def test_what_is_missing_or_taken_is_named(self, api: Api, world: World, case: Case) -> None:
        request = case.request(world)
        refusal = api.refuse(method_of(request), request)
        assert refusal.resource is not None
        assert refusal.metadata["name"] == refusal.resource[1]

    @pytest.mark.parametrize(
        "case", [case for case in CASES if case.code is FAILED], ids=lambda case: case.id
    )
    def test_what_stands_in_the_way_is_told(self, api: Api, world: World, case: Case) -> None:
        request = case.request(world)
        assert api.refuse(method_of(request), request).preconditions


class TestTheWholeRequest:
    def test_every_broken_rule_is_told_at_once(self, api: Api) -> None:
        request = pb.CreateProviderRequest(
            provider_id="Up",
            provider=provider_pb2.Provider(display_name="x" * 64, kind=OPENAI, etag="x" * 129),
            request_id="no",
        )
        refusal = api.refuse("CreateProvider", request)
        assert sorted(refusal.fields) == [
            "provider.display_name",
            "provider.etag",
            "provider_id",
            "request_id",
        ]
        assert "and 3 more" in refusal.message

    def test_hundreds_of_broken_rules_fit_the_answer(self, api: Api, world: World) -> None:
        names = [f"{CANARY}/{'x' * 200}/{number}" for number in range(100)]
        refusal = api.refuse(
            "BatchGetSealedCredentials", routing_service_pb2.BatchGetSealedCredentialsRequest(providers=names)
        )
        assert refusal.fields == tuple(f"providers[{number}]" for number in range(20))
        assert CANARY not in refusal.raw

        missing = [f"{'x' * 240}{number}" for number in range(1000)]
        refusal = api.refuse(
            "ImportProviderModels",
            pb.ImportProviderModelsRequest(parent=world.provider.name, upstream_model_ids=missing),
        )
        assert len(refusal.fields) == 20
        assert refusal.metadata["missing"] == "1000"

    @pytest.mark.parametrize(
        "data",
        [b"\xff\xff\xff", b"\x0a\x7fcut", b"\x0a\x03\xff\xfe\xfd"],
        ids=["no-message", "cut", "string-not-utf-8"],
    )
    def test_bytes_that_are_no_message_are_refused(self, api: Api, data: bytes) -> None:
        channel = api.instance.channel
        assert channel is not None
        method: Raw = channel.unary_unary("/codevector.providers.v1.ProviderService/GetProvider")
        refusal = refused(lambda: method(data, timeout=60))
        assert (refusal.code, refusal.reason) == (INVALID, "INVALID_FIELD")
        assert refusal.metadata == {}

    @pytest.mark.parametrize("method", ["CreateProvider", "UpdateProvider", "BatchGetSealedCredentials"])
    def test_a_message_of_5_mib_is_refused(self, api: Api, method: str) -> None:
        service = "RoutingService" if method.startswith("Batch") else "ProviderService"
        channel = api.instance.channel
        assert channel is not None
        call: Raw = channel.unary_unary(f"/codevector.providers.v1.{service}/{method}")
        with api.nothing_changes(), pytest.raises(grpc.RpcError) as caught:
            call(b"\x0a" + b"x" * (5 << 20), timeout=60)
        assert isinstance(caught.value, grpc.Call)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    def test_one_mib_is_enough_for_the_largest_useful_request(self, api: Api, world: World) -> None:
        ids = [f"{'x' * 250}{number:04}" for number in range(1000)]
        request = pb.ImportProviderModelsRequest(parent=world.provider.name, upstream_model_ids=ids)
        assert api.refuse("ImportProviderModels", request).code is INVALID


class TestDeadlines:
    def test_one_that_is_too_short_does_no_harm(self, api: Api, installation: Instance, world: World) -> None:
        """None leaves no time at all; a fast machine may answer within a millisecond."""
        requests: list[Message] = [
            pb.ListProvidersRequest(),
            pb.ListProviderModelsRequest(parent=world.provider.name),
            pb.ImportProviderModelsRequest(parent=world.provider.name, validate_only=True),
            pb.SetProviderCredentialRequest(
                name=world.provider.name, credential=api_key(), expected_version=1, validate_only=True
            ),
        ]
        codes: dict[float, set[grpc.StatusCode]] = {0.0: set(), 0.0005: set(), 0.001: set(), 0.002: set()}
        for timeout, seen in codes.items():
            for request in requests:
                try:
                    api.call(method_of(request), request, timeout=timeout)
                    seen.add(grpc.StatusCode.OK)
                except grpc.RpcError as error:
                    seen.add(error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN)
        assert codes[0.0] == {grpc.StatusCode.DEADLINE_EXCEEDED}
        assert set().union(*codes.values()) <= {grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED}
        for request in requests:
            api.call(method_of(request), request)
        assert installation.service is not None
        assert installation.service.child.poll() is None
        assert "rpc_failed" not in installation.service.stderr.read_text()


class TestMetadata:
    def test_the_callers_request_id_is_echoed(self, api: Api) -> None:
        api.call("ListProviders", pb.ListProvidersRequest(), x_request_id="trace-1.a:b")
        assert api.trailers["x-request-id"] == "trace-1.a:b"

    def test_a_refusal_echoes_it_too(self, api: Api) -> None:
        refusal = api.refuse("GetProvider", pb.GetProviderRequest(name="x"), x_request_id="trace-2")
        assert refusal.trailers["x-request-id"] == "trace-2"

    @pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "a/../b"])
    def test_one_that_cannot_stand_in_a_log_is_replaced(self, api: Api, sent: str) -> None:
        api.call("ListProviders", pb.ListProvidersRequest(), x_request_id=sent)
        given = api.trailers["x-request-id"]
        assert given != sent
        assert re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", given)

    def test_writes_tell_their_revision_and_reads_do_not(self, api: Api) -> None:
        made = api.create()
        assert api.trailers["x-revision"] == str(made.revision)
        api.get(made.name)
        assert "x-revision" not in api.trailers

    def test_a_preview_tells_no_revision(self, api: Api) -> None:
        api.create(validate_only=True)
        assert "x-revision" not in api.trailers

    def test_a_key_of_another_vendor_is_warned_of_and_taken(self, api: Api) -> None:
        key = "sk-ant-api03-0123456789abcdefghijklmnop"
        made = api.create(kind=OPENAI, credential=api_key(key))
        assert made.credential.version == 1
        assert api.trailers["x-warning"] == "This looks like a key of Anthropic."
        api.call(
            "SetProviderCredential", pb.SetProviderCredentialRequest(name=made.name, credential=api_key())
        )
        assert "x-warning" not in api.trailers
