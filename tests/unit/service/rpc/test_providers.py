"""ProviderService: providers, their credentials, and the promises that every write keeps."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from codevector.providers.v1 import provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.servers.api import (
    ACTIVE,
    API_KEY,
    DISABLED,
    KINDS,
    SAMPLES,
    Api,
    Sample,
    ambient,
    api_key,
    aws_access_key,
    azure,
    azure_client_secret,
    bedrock,
    kind_word,
    new_name,
    openai_compatible,
    refusal_of,
    service_account,
    vertex_config,
)

OPENAI = KINDS.PROVIDER_KIND_OPENAI
COMPATIBLE = KINDS.PROVIDER_KIND_OPENAI_COMPATIBLE
ETAG = re.compile(r"[0-9]+-[0-9a-f]{8}")
STAMPS = ("revision", "etag", "create_time", "update_time", "uid")


def unstamped(provider: provider_pb2.Provider) -> provider_pb2.Provider:
    """Without what every write makes anew."""
    bare = provider_pb2.Provider()
    bare.CopyFrom(provider)
    for stamp in STAMPS:
        bare.ClearField(stamp)
    bare.credential.ClearField("update_time")
    return bare


def openai(**settings: str) -> provider_pb2.ProviderConfig:
    return provider_pb2.ProviderConfig(openai=provider_pb2.OpenAIConfig(**settings))


def set_credential(api: Api, name: str, key: str = API_KEY, **request: Any) -> provider_pb2.Provider:
    made = api.call(
        "SetProviderCredential",
        pb.SetProviderCredentialRequest(name=name, credential=api_key(key), **request),
    )
    assert isinstance(made, provider_pb2.Provider)
    return made


class TestCreate:
    @pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: kind_word(sample.kind))
    def test_each_kind(self, api: Api, sample: Sample) -> None:
        name = new_name(f"Each {kind_word(sample.kind)}")
        before = datetime.now(UTC)
        made = api.create(name, kind=sample.kind, config=sample.config, credential=sample.credential)
        assert made.name == f"providers/{name.lower().replace(' ', '-').replace('_', '-')}"
        assert UUID(made.uid).version == 4
        assert (made.display_name, made.kind, made.state) == (name, sample.kind, ACTIVE)
        assert made.details == sample.details
        assert made.config.WhichOneof("kind") == (kind_word(sample.kind) if sample.config else None)
        assert (made.credential.type, made.credential.version) == (sample.credential_type, 1)
        assert made.credential.prefix == sample.prefix
        assert before <= made.create_time.ToDatetime(tzinfo=UTC) <= datetime.now(UTC)
        assert made.create_time == made.update_time == made.credential.update_time
        assert ETAG.fullmatch(made.etag)
        assert made.etag.startswith(f"{made.revision}-")
        assert (made.model_count, made.active_model_count) == (0, 0)
        assert api.get(made.name) == made

    def test_without_credential(self, api: Api) -> None:
        made = api.create(kind=OPENAI)
        assert not made.HasField("credential")
        assert made.state == ACTIVE

    def test_start_disabled(self, api: Api) -> None:
        assert api.create(start_disabled=True).state == DISABLED

    def test_an_id_of_the_callers_choice(self, api: Api) -> None:
        chosen = f"chosen-{uuid4().hex[:8]}"
        assert api.create(provider_id=chosen).name == f"providers/{chosen}"

    def test_derived_ids_do_not_collide(self, api: Api) -> None:
        word = uuid4().hex
        names = [api.create(f"{word}{end}").name for end in ("", ".", "!")]
        slug = word if word[0].isalpha() else f"p-{word}"
        assert names == [f"providers/{slug}", f"providers/{slug}-2", f"providers/{slug}-3"]

    def test_what_is_output_only_is_ignored(self, api: Api) -> None:
        provider = provider_pb2.Provider(
            name="providers/other",
            uid="x",
            display_name=new_name(),
            kind=OPENAI,
            state=DISABLED,
            credential=provider_pb2.Credential(prefix="sk-", version=7),
            details="x",
            model_count=7,
            revision=7,
        )
        made = api.call("CreateProvider", pb.CreateProviderRequest(provider=provider))
        assert made.state == ACTIVE
        assert made.name != "providers/other"
        assert not made.HasField("credential")
        assert (made.model_count, made.details) == (0, "https://api.openai.com/v1")

    def test_urls_are_kept_in_one_spelling(self, api: Api) -> None:
        made = api.create(config=openai_compatible("https://llm.example.com:443/v1/"))
        assert made.config.openai_compatible.base_url == "https://llm.example.com/v1"

    def test_labels_annotations_and_headers(self, api: Api) -> None:
        provider = provider_pb2.Provider(
            display_name=new_name("Ünïcode ☂"),
            kind=COMPATIBLE,
            config=openai_compatible(x_team="blue", X_Trace="1"),
            labels={"team": "blue", "empty": ""},
            annotations={"tool/äny": "any text\nat all"},
        )
        made = api.call("CreateProvider", pb.CreateProviderRequest(provider=provider))
        assert dict(made.labels) == {"team": "blue", "empty": ""}
        assert dict(made.annotations) == {"tool/äny": "any text\nat all"}
        assert dict(made.config.openai_compatible.headers) == {"x-team": "blue", "X-Trace": "1"}
        assert api.get(made.name) == made

    def test_an_expiry_is_only_shown(self, api: Api) -> None:
        credential = api_key()
        credential.expire_time.FromDatetime(datetime(2020, 1, 1, tzinfo=UTC))
        made = api.create(kind=OPENAI, credential=credential)
        assert made.credential.expire_time == credential.expire_time

    def test_the_largest_service_account_file(self, api: Api) -> None:
        padding = "x" * 15_000
        made = api.create(
            kind=KINDS.PROVIDER_KIND_VERTEX, config=vertex_config(), credential=service_account(note=padding)
        )
        assert made.credential.prefix == "0a1b2c3d"


class TestUpdate:
    @pytest.fixture
    def provider(self, api: Api) -> provider_pb2.Provider:
        return api.create(
            kind=OPENAI,
            config=openai(organization="org-1"),
            credential=api_key(),
            labels={"team": "blue"},
        )

    def test_a_mask_writes_what_it_names(self, api: Api, provider: provider_pb2.Provider) -> None:
        sent = provider_pb2.Provider(
            name=provider.name, display_name=new_name(), labels={"team": "red"}, annotations={"a": "b"}
        )
        after = api.update(sent, "labels")
        assert (dict(after.labels), after.display_name) == ({"team": "red"}, provider.display_name)
        assert not after.annotations
        assert after.revision > provider.revision
        assert after.etag != provider.etag
        assert after.create_time == provider.create_time
        assert after.update_time.ToDatetime() > provider.update_time.ToDatetime()

    def test_no_mask_writes_what_is_populated(self, api: Api, provider: provider_pb2.Provider) -> None:
        sent = provider_pb2.Provider(name=provider.name, annotations={"a": "b"})
        after = api.update(sent)
        assert (dict(after.labels), dict(after.annotations)) == ({"team": "blue"}, {"a": "b"})

    def test_a_star_replaces_all(self, api: Api, provider: provider_pb2.Provider) -> None:
        name = new_name()
        after = api.update(provider_pb2.Provider(name=provider.name, display_name=name), "*")
        assert (after.display_name, dict(after.labels), after.HasField("config")) == (name, {}, False)
        assert after.credential.version == 1

    def test_what_was_read_can_be_sent_back(self, api: Api, provider: provider_pb2.Provider) -> None:
        provider.display_name = new_name()
        after = api.update(provider)
        assert unstamped(after) == unstamped(provider)

    def test_the_config_is_replaced_as_a_whole(self, api: Api, provider: provider_pb2.Provider) -> None:
        sent = provider_pb2.Provider(name=provider.name, config=openai(project="proj-1"))
        after = api.update(sent, "config")
        assert after.config == openai(project="proj-1")

    def test_a_mask_clears(self, api: Api, provider: provider_pb2.Provider) -> None:
        after = api.update(provider_pb2.Provider(name=provider.name), "config", "labels")
        assert not after.HasField("config")
        assert not after.labels

    def test_the_same_kind_may_be_named(self, api: Api, provider: provider_pb2.Provider) -> None:
        sent = provider_pb2.Provider(name=provider.name, kind=OPENAI, labels={"team": "red"})
        assert dict(api.update(sent, "kind", "labels").labels) == {"team": "red"}

    def test_writing_the_same_again_changes_nothing(self, api: Api, provider: provider_pb2.Provider) -> None:
        with api.nothing_changes():
            assert api.update(provider, "*") == provider
            assert api.trailers["x-revision"] == str(provider.revision)

    def test_a_name_keeps_its_own_case_variants(self, api: Api, provider: provider_pb2.Provider) -> None:
        provider.display_name = provider.display_name.upper()
        assert api.update(provider, "display_name").display_name == provider.display_name

    def test_the_name_of_another_is_refused(self, api: Api, provider: provider_pb2.Provider) -> None:
        other = api.create()
        sent = provider_pb2.Provider(name=provider.name, display_name=other.display_name.upper())
        refusal = api.refuse("UpdateProvider", pb.UpdateProviderRequest(provider=sent))
        assert refusal.reason == "DISPLAY_NAME_TAKEN"
        assert refusal.resource == ("codevector/Provider", other.name)

    def test_with_a_credential(self, api: Api, provider: provider_pb2.Provider) -> None:
        sent = provider_pb2.Provider(name=provider.name, labels={"team": "red"})
        after = api.update(sent, credential=api_key("sk-svcacct-0123456789abcdef"))
        assert dict(after.labels) == {"team": "red"}
        assert (after.credential.version, after.credential.prefix) == (2, "sk-svcacct-0123")

    def test_with_a_credential_alone(self, api: Api, provider: provider_pb2.Provider) -> None:
        after = api.update(provider_pb2.Provider(name=provider.name), credential=api_key())
        assert after.credential.version == 2
        assert unstamped(after).display_name == provider.display_name


class TestAllowMissing:
    def test_creates(self, api: Api) -> None:
        name = f"providers/missing-{uuid4().hex[:8]}"
        sent = provider_pb2.Provider(name=name, display_name=new_name(), kind=OPENAI, labels={"a": "b"})
        made = api.update(sent, "labels", allow_missing=True, credential=api_key())
        assert (made.name, made.display_name, made.credential.version) == (name, sent.display_name, 1)

    def test_twice_is_an_update(self, api: Api) -> None:
        name = f"providers/missing-{uuid4().hex[:8]}"
        sent = provider_pb2.Provider(name=name, display_name=new_name(), kind=OPENAI)
        made = api.update(sent, allow_missing=True)
        with api.nothing_changes():
            assert api.update(sent, allow_missing=True) == made

    def test_asks_for_what_a_create_asks_for(self, api: Api) -> None:
        sent = provider_pb2.Provider(name="providers/unborn", labels={"a": "b"})
        with api.nothing_changes():
            refusal = api.refuse(
                "UpdateProvider", pb.UpdateProviderRequest(provider=sent, allow_missing=True)
            )
        assert refusal.fields == ("provider.kind",)

    def test_a_preview_creates_nothing(self, api: Api) -> None:
        sent = provider_pb2.Provider(name="providers/unborn", display_name=new_name(), kind=OPENAI)
        with api.nothing_changes():
            assert api.update(sent, allow_missing=True, validate_only=True).name == "providers/unborn"

    def test_deleting_what_is_missing_succeeds(self, api: Api) -> None:
        api.create()
        with api.nothing_changes():
            assert api.delete("providers/unborn", allow_missing=True) == pb.DeletionImpact()
            revision = api.trailers["x-revision"]
        assert revision == str(api.revision())


class TestRetargeting:
    MOVES = (
        (
            "scheme-host",
            OPENAI,
            openai(base_url="https://a.example.com/v1"),
            openai(base_url="https://b.example.com/v1"),
            api_key(),
        ),
        (
            "port",
            OPENAI,
            openai(base_url="https://a.example.com/v1"),
            openai(base_url="https://a.example.com:8443/v1"),
            api_key(),
        ),
        (
            "path",
            OPENAI,
            openai(base_url="https://a.example.com/v1"),
            openai(base_url="https://a.example.com/v2"),
            api_key(),
        ),
        ("from-the-default", OPENAI, None, openai(base_url="https://a.example.com/v1"), api_key()),
        ("to-the-default", OPENAI, openai(base_url="https://a.example.com/v1"), None, api_key()),
        (
            "groq",
            KINDS.PROVIDER_KIND_GROQ,
            None,
            provider_pb2.ProviderConfig(groq=provider_pb2.GroqConfig(base_url="https://a.example.com")),
            api_key(),
        ),
        (
            "compatible",
            COMPATIBLE,
            openai_compatible("https://a.example.com/t1"),
            openai_compatible("https://a.example.com/t2"),
            api_key(),
        ),
        (
            "azure-endpoint",
            KINDS.PROVIDER_KIND_AZURE,
            azure(),
            azure("https://other.openai.azure.com"),
            azure_client_secret(),
        ),
        (
            "azure-ambient",
            KINDS.PROVIDER_KIND_AZURE,
            azure(),
            azure("https://other.openai.azure.com"),
            ambient(),
        ),
        ("bedrock-region", KINDS.PROVIDER_KIND_BEDROCK, bedrock(), bedrock("us-east-1"), aws_access_key()),
        (
            "bedrock-endpoint",
            KINDS.PROVIDER_KIND_BEDROCK,
            bedrock(),
            bedrock(endpoint_url="https://vpce-1.bedrock-runtime.eu-central-1.vpce.amazonaws.com"),
            aws_access_key(),
        ),
        (
            "vertex-location",
            KINDS.PROVIDER_KIND_VERTEX,
            vertex_config("europe-west4"),
            vertex_config("us"),
            service_account(),
        ),
    )

    @pytest.mark.parametrize(
        ("kind", "old", "new", "credential"), [move[1:] for move in MOVES], ids=[move[0] for move in MOVES]
    )
    def test_asks_for_the_credential(self, api: Api, kind: Any, old: Any, new: Any, credential: Any) -> None:
        before = api.create(kind=kind, config=old, credential=credential)
        sent = provider_pb2.Provider(name=before.name, config=new)
        request = pb.UpdateProviderRequest(provider=sent)
        request.update_mask.paths.append("config")
        with api.nothing_changes():
            refusal = api.refuse("UpdateProvider", request)
        assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
        assert refusal.reason == "CREDENTIAL_REENTRY_REQUIRED"
        assert refusal.preconditions == (("CREDENTIAL", before.name),)

        request.credential.CopyFrom(credential)
        after = api.call("UpdateProvider", request)
        assert after.credential.version == 2
        assert after.details != before.details

    @pytest.mark.parametrize(
        ("kind", "old", "new"), [move[1:4] for move in MOVES], ids=[move[0] for move in MOVES]
    )
    def test_without_a_credential_there_is_nothing_to_guard(
        self, api: Api, kind: Any, old: Any, new: Any
    ) -> None:
        before = api.create(kind=kind, config=old)
        after = api.update(provider_pb2.Provider(name=before.name, config=new), "config")
        assert after.details != before.details

    def test_what_is_no_destination_does_not_ask(self, api: Api) -> None:
        before = api.create(kind=OPENAI, config=openai(organization="a"), credential=api_key())
        sent = provider_pb2.Provider(
            name=before.name,
            display_name=new_name(),
            config=openai(organization="b", project="c"),
            labels={"a": "b"},
            annotations={"a": "b"},
        )
        assert api.update(sent).credential.version == 1

    def test_headers_and_project_do_not_ask(self, api: Api) -> None:
        compatible = api.create(config=openai_compatible(x_a="1"), credential=api_key())
        sent = provider_pb2.Provider(name=compatible.name, config=openai_compatible(x_b="2"))
        assert api.update(sent).credential.version == 1
        vertex = api.create(
            kind=KINDS.PROVIDER_KIND_VERTEX, config=vertex_config(), credential=service_account()
        )
        config = vertex_config()
        config.vertex.project_id = "another-project"
        assert api.update(provider_pb2.Provider(name=vertex.name, config=config)).credential.version == 1

    def test_another_spelling_of_the_same_url_does_not_ask(self, api: Api) -> None:
        before = api.create(config=openai_compatible("https://a.example.com/v1"), credential=api_key())
        with api.nothing_changes():
            sent = provider_pb2.Provider(
                name=before.name, config=openai_compatible("https://a.example.com:443/v1/")
            )
            assert api.update(sent) == before


class TestState:
    def test_disable_and_enable(self, api: Api) -> None:
        made = api.create()
        disabled = api.call("DisableProvider", pb.DisableProviderRequest(name=made.name, etag=made.etag))
        assert (disabled.state, disabled.etag == made.etag) == (DISABLED, False)
        enabled = api.call("EnableProvider", pb.EnableProviderRequest(name=made.name, etag=disabled.etag))
        assert enabled.state == ACTIVE
        assert enabled.revision == disabled.revision + 1

    def test_repeating_it_changes_nothing(self, api: Api) -> None:
        made = api.create()
        with api.nothing_changes():
            again = api.call("EnableProvider", pb.EnableProviderRequest(name=made.name))
        assert again == made

    def test_a_preview_changes_nothing(self, api: Api) -> None:
        made = api.create()
        with api.nothing_changes():
            preview = api.call(
                "DisableProvider", pb.DisableProviderRequest(name=made.name, validate_only=True)
            )
        assert preview.state == DISABLED
        assert "x-revision" not in api.trailers


class TestEtag:
    def test_children_leave_it_as_it_is(self, api: Api) -> None:
        made = api.create(kind=OPENAI)
        api.create_provider_model(made.name)
        api.call("ImportProviderModels", pb.ImportProviderModelsRequest(parent=made.name))
        after = api.get(made.name)
        assert (after.etag, after.revision) == (made.etag, made.revision)
        assert after.model_count > 1
        assert after.active_model_count == after.model_count

    def test_counts_are_of_models_and_active_models(self, api: Api) -> None:
        made = api.create()
        for number in range(3):
            model = api.create_provider_model(made.name, f"m{number}")
        api.call("DisableProviderModel", pb.DisableProviderModelRequest(name=model.name))
        after = api.get(made.name)
        assert (after.model_count, after.active_model_count) == (3, 2)

    def test_a_current_one_lets_every_write_through(self, api: Api) -> None:
        made = api.create()
        made.labels["a"] = "b"
        updated = api.update(made)
        disabled = api.call("DisableProvider", pb.DisableProviderRequest(name=made.name, etag=updated.etag))
        api.delete(made.name, etag=disabled.etag)

    def test_a_credential_changes_it(self, api: Api) -> None:
        made = api.create(kind=OPENAI)
        after = set_credential(api, made.name)
        assert after.etag != made.etag

    def test_of_racing_writers_one_wins(self, api: Api) -> None:
        made = api.create()

        def write(number: int) -> str:
            sent = provider_pb2.Provider(name=made.name, labels={"n": str(number)}, etag=made.etag)
            try:
                api.update(sent)
            except grpc.RpcError as error:
                return refusal_of(error).reason
            return "OK"

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(write, range(4))) == ["ETAG_MISMATCH"] * 3 + ["OK"]


class TestSetCredential:
    def test_replaces_it(self, api: Api) -> None:
        made = api.create(kind=OPENAI, credential=api_key())
        expiry = Timestamp()
        expiry.FromDatetime(datetime.now(UTC) + timedelta(days=90))
        credential = api_key("sk-svcacct-0123456789abcdef")
        credential.expire_time.CopyFrom(expiry)
        after = api.call(
            "SetProviderCredential", pb.SetProviderCredentialRequest(name=made.name, credential=credential)
        )
        assert (after.credential.version, after.credential.prefix) == (2, "sk-svcacct-0123")
        assert after.credential.expire_time.seconds == expiry.seconds
        assert after.credential.update_time.ToDatetime() > made.credential.update_time.ToDatetime()
        assert after.revision > made.revision
        again = set_credential(api, made.name)
        assert again.credential.version == 3
        assert not again.credential.HasField("expire_time")

    def test_the_first_one(self, api: Api) -> None:
        made = api.create(kind=OPENAI)
        assert set_credential(api, made.name).credential.version == 1

    def test_of_another_type(self, api: Api) -> None:
        made = api.create(kind=KINDS.PROVIDER_KIND_BEDROCK, config=bedrock(), credential=aws_access_key())
        after = api.call(
            "SetProviderCredential", pb.SetProviderCredentialRequest(name=made.name, credential=ambient())
        )
        assert (after.credential.type, after.credential.prefix, after.credential.version) == (
            provider_pb2.CredentialType.CREDENTIAL_TYPE_AMBIENT,
            "",
            2,
        )

    def test_expected_version(self, api: Api) -> None:
        made = api.create(kind=OPENAI, credential=api_key())
        assert set_credential(api, made.name, expected_version=1).credential.version == 2
        refusal = api.refuse(
            "SetProviderCredential",
            pb.SetProviderCredentialRequest(name=made.name, credential=api_key(), expected_version=1),
        )
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "CREDENTIAL_VERSION_MISMATCH")
        assert refusal.metadata["current_version"] == "2"

    def test_a_preview_changes_nothing(self, api: Api) -> None:
        made = api.create(kind=OPENAI, credential=api_key())
        with api.nothing_changes():
            assert set_credential(api, made.name, validate_only=True).credential.version == 2

    def test_of_racing_ones_none_is_lost(self, api: Api) -> None:
        made = api.create(kind=OPENAI, credential=api_key())
        with ThreadPoolExecutor(3) as pool:
            versions = list(pool.map(lambda _: set_credential(api, made.name).credential.version, range(3)))
        assert sorted(versions) == [2, 3, 4]

    @pytest.mark.parametrize("key", ["a" * 19, "x"], ids=["19-characters", "1-character"])
    def test_nothing_is_shown_of_a_short_key(self, api: Api, key: str) -> None:
        assert api.create(kind=OPENAI, credential=api_key(key)).credential.prefix == ""


class TestRequestId:
    def request(self, **changes: Any) -> pb.CreateProviderRequest:
        provider = provider_pb2.Provider(display_name=new_name(), kind=OPENAI)
        return pb.CreateProviderRequest(
            **{"provider": provider, "request_id": str(uuid4()), "credential": api_key(), **changes}
        )

    def test_a_replay_answers_without_writing(self, api: Api) -> None:
        request = self.request()
        made = api.call("CreateProvider", request)
        with api.nothing_changes():
            assert api.call("CreateProvider", request) == made

    def test_a_replay_answers_with_the_resource_as_it_is_now(self, api: Api) -> None:
        request = self.request()
        made = api.call("CreateProvider", request)
        api.create_provider_model(made.name)
        disabled = api.call("DisableProvider", pb.DisableProviderRequest(name=made.name))
        again = api.call("CreateProvider", request)
        assert (again.state, again.etag, again.model_count) == (DISABLED, disabled.etag, 1)

    def test_a_replay_of_what_was_deleted_finds_nothing(self, api: Api) -> None:
        request = self.request()
        api.delete(api.call("CreateProvider", request).name)
        assert api.refuse("CreateProvider", request).code is grpc.StatusCode.NOT_FOUND

    def test_a_preview_uses_none_up(self, api: Api) -> None:
        request = self.request(validate_only=True)
        api.call("CreateProvider", request)
        request.validate_only = False
        assert api.call("CreateProvider", request).revision

    def test_a_refused_request_uses_none_up(self, api: Api) -> None:
        taken = api.create()
        request = self.request()
        wanted = request.provider.display_name
        request.provider.display_name = taken.display_name
        assert api.refuse("CreateProvider", request).reason == "DISPLAY_NAME_TAKEN"
        request.provider.display_name = wanted
        assert api.call("CreateProvider", request).display_name == wanted

    def test_one_id_serves_each_method(self, api: Api) -> None:
        request = self.request()
        made = api.call("CreateProvider", request)
        after = set_credential(api, made.name, request_id=request.request_id)
        assert after.credential.version == 2

    def test_a_replayed_credential_is_set_once(self, api: Api) -> None:
        made = api.create(kind=OPENAI)
        request_id = str(uuid4())
        first = set_credential(api, made.name, request_id=request_id, expected_version=0)
        with api.nothing_changes():
            assert set_credential(api, made.name, request_id=request_id, expected_version=0) == first

    @pytest.mark.parametrize("credential", [api_key(), None], ids=["with-credential", "without"])
    def test_of_identical_ones_at_once_one_creates(self, api: Api, credential: Any) -> None:
        request = self.request(credential=credential)
        before = api.revision()
        with ThreadPoolExecutor(6) as pool:
            made = list(pool.map(lambda _: api.call("CreateProvider", request), range(6)))
        assert len({provider.name for provider in made}) == 1
        assert api.revision() == before + 1

    def test_of_identical_credentials_at_once_one_is_set(self, api: Api) -> None:
        made = api.create(kind=OPENAI, credential=api_key())
        request_id = str(uuid4())
        with ThreadPoolExecutor(6) as pool:
            versions = pool.map(
                lambda _: (
                    set_credential(
                        api, made.name, request_id=request_id, expected_version=1
                    ).credential.version
                ),
                range(6),
            )
            assert set(versions) == {2}


class TestPreview:
    def test_of_a_create_equals_the_create(self, api: Api) -> None:
        name = new_name()
        with api.nothing_changes():
            preview = api.create(name, kind=OPENAI, credential=api_key(), validate_only=True)
        made = api.create(name, kind=OPENAI, credential=api_key())
        assert unstamped(preview) == unstamped(made)
        assert preview.etag.startswith(f"{made.revision}-")

    def test_of_an_update_equals_the_update(self, api: Api) -> None:
        made = api.create(kind=OPENAI, credential=api_key())
        sent = provider_pb2.Provider(name=made.name, display_name=new_name(), labels={"a": "b"})
        with api.nothing_changes():
            preview = api.update(sent, credential=api_key(), validate_only=True)
        assert unstamped(preview) == unstamped(api.update(sent, credential=api_key()))

    def test_refuses_what_the_write_refuses(self, api: Api) -> None:
        taken = api.create()
        provider = provider_pb2.Provider(display_name=taken.display_name, kind=OPENAI)
        request = pb.CreateProviderRequest(provider=provider, validate_only=True)
        assert api.refuse("CreateProvider", request).reason == "DISPLAY_NAME_TAKEN"


class TestDelete:
    def test_without_models(self, api: Api) -> None:
        made = api.create(kind=OPENAI, credential=api_key())
        impact = api.delete(made.name)
        assert (impact.provider_model_count, impact.credential_destroyed) == (0, True)
        assert (
            api.refuse("GetProvider", pb.GetProviderRequest(name=made.name)).code is grpc.StatusCode.NOT_FOUND
        )

    def test_cascades_in_one_revision(self, api: Api) -> None:
        made = api.create(kind=OPENAI)
        api.call("ImportProviderModels", pb.ImportProviderModelsRequest(parent=made.name))
        models = [
            model.name
            for page in api.pages(
                "ListProviderModels", pb.ListProviderModelsRequest(parent=made.name), size=1000
            )
            for model in page.provider_models
        ]
        before = api.revision()
        refusal = api.refuse("DeleteProvider", pb.DeleteProviderRequest(name=made.name))
        assert refusal.reason == "PROVIDER_HAS_MODELS"
        assert refusal.metadata["provider_model_count"] == str(len(models))
        assert len(refusal.preconditions) == min(20, len(models))
        impact = api.delete(made.name, force=True)
        assert list(impact.provider_models) == sorted(models)[:100]
        assert impact.provider_model_count == len(models)
        assert not impact.credential_destroyed
        assert api.trailers["x-revision"] == str(before + 1)
        assert api.revision() == before + 1
        gone = api.refuse("GetProviderModel", pb.GetProviderModelRequest(name=models[0]))
        assert gone.code is grpc.StatusCode.NOT_FOUND

    def test_a_preview_tells_the_same_and_needs_no_force(self, api: Api) -> None:
        made = api.create()
        api.create_provider_model(made.name)
        with api.nothing_changes():
            preview = api.delete(made.name, validate_only=True)
        assert preview.provider_model_count == 1
        assert api.delete(made.name, force=True, impact_token=preview.impact_token) == preview

    @pytest.mark.parametrize("change", ["model-added", "model-replaced", "credential-set"])
    def test_a_token_of_another_impact_is_refused(self, api: Api, change: str) -> None:
        made = api.create()
        model = api.create_provider_model(made.name)
        token = api.delete(made.name, validate_only=True).impact_token
        match change:
            case "model-added":
                api.create_provider_model(made.name, "another")
            case "model-replaced":
                api.delete(model.name)
                api.create_provider_model(made.name)
            case "credential-set":
                set_credential(api, made.name)
        request = pb.DeleteProviderRequest(name=made.name, force=True, impact_token=token)
        with api.nothing_changes():
            assert api.refuse("DeleteProvider", request).reason == "IMPACT_CHANGED"

    def test_what_changes_no_impact_keeps_the_token(self, api: Api) -> None:
        made = api.create()
        model = api.create_provider_model(made.name)
        token = api.delete(made.name, validate_only=True).impact_token
        model.labels["a"] = "b"
        api.update(model)
        api.call("DisableProvider", pb.DisableProviderRequest(name=made.name))
        api.delete(made.name, force=True, impact_token=token)

    def test_the_etag_is_asked_before_the_token_and_the_force(self, api: Api) -> None:
        made = api.create()
        api.create_provider_model(made.name)
        request = pb.DeleteProviderRequest(name=made.name, etag="1-00000000", impact_token="x")
        assert api.refuse("DeleteProvider", request).reason == "ETAG_MISMATCH"
        request.etag = made.etag
        assert api.refuse("DeleteProvider", request).reason == "IMPACT_CHANGED"
        request.impact_token = ""
        assert api.refuse("DeleteProvider", request).reason == "PROVIDER_HAS_MODELS"

    def test_its_names_are_free_again(self, api: Api) -> None:
        made = api.create()
        api.delete(made.name)
        again = api.create(made.display_name)
        assert again.name == made.name
        assert again.uid != made.uid
