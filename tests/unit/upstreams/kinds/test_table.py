"""What a kind is: every entry of the table is whole, and names what the API has."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from codevector.providers.v1 import provider_pb2
from google.protobuf.message import Message

from upstreams.kinds import (
    CREDENTIAL_FIELDS,
    KINDS,
    Control,
    CredentialForm,
    CredentialType,
    Field,
    Kind,
    ProviderKind,
    destinations,
)

EVERY_KIND = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind.word)
MINIMAL = {
    ProviderKind.AZURE: {"endpoint": "https://res.openai.azure.com"},
    ProviderKind.BEDROCK: {"region": "us-east-1"},
    ProviderKind.VERTEX: {"project_id": "my-project", "location": "global"},
    ProviderKind.VERTEX_ANTHROPIC: {"project_id": "my-project", "location": "us-east5"},
    ProviderKind.OPENAI_COMPATIBLE: {"base_url": "https://gw.example.com/v1"},
}
SECRET_CONTROLS = (Control.SECRET, Control.MULTILINE_SECRET)


def member_fields(message: type[Message], member: str) -> list[str]:
    """Return the names of the fields of the message that ``member`` of ``message`` holds."""
    inner = message.DESCRIPTOR.fields_by_name[member].message_type
    assert inner is not None
    return [field.name for field in inner.fields]


def fields_of(kind: Kind) -> list[Field]:
    return [*kind.config_fields, *(field for form in kind.credential_forms for field in form.fields)]


def all_forms() -> list[CredentialForm]:
    return [form for kind in KINDS.values() for form in kind.credential_forms]


class TestNumbers:
    """Messages and the database hold these numbers."""

    def test_kinds_are_the_api_s(self) -> None:
        numbers = {
            name.removeprefix("PROVIDER_KIND_"): number
            for name, number in provider_pb2.ProviderKind.items()
            if number
        }
        assert {kind.name: kind.value for kind in ProviderKind} == numbers

    def test_credential_types_are_the_api_s(self) -> None:
        numbers = {
            name.removeprefix("CREDENTIAL_TYPE_"): number
            for name, number in provider_pb2.CredentialType.items()
            if number
        }
        assert {one.name: one.value for one in CredentialType} == numbers

    def test_every_kind_is_described_in_the_order_of_the_numbers(self) -> None:
        assert list(KINDS) == list(ProviderKind)
        assert [kind.kind for kind in KINDS.values()] == list(ProviderKind)


class TestFields:
    @EVERY_KIND
    def test_settings_are_those_of_the_api_in_its_order(self, kind: Kind) -> None:
        expected = member_fields(provider_pb2.ProviderConfig, kind.kind.word)
        assert [field.name for field in kind.config_fields] == expected

    @pytest.mark.parametrize("form", all_forms(), ids=lambda form: form.display_name)
    def test_credential_fields_are_those_of_the_api(self, form: CredentialForm) -> None:
        names = [field.name for field in form.fields]
        assert names == member_fields(provider_pb2.CredentialInput, form.type.word)
        assert names == [field.name for field in CREDENTIAL_FIELDS[form.type]]

    @EVERY_KIND
    def test_a_field_is_filled_by_default_or_by_the_user(self, kind: Kind) -> None:
        for field in fields_of(kind):
            assert not (field.required and field.default_value), field.name
            assert field.required or not field.suggested_value, field.name

    @EVERY_KIND
    def test_fields_of_one_group_follow_each_other(self, kind: Kind) -> None:
        for fields in (kind.config_fields, *(form.fields for form in kind.credential_forms)):
            groups = [field.group for field in fields]
            assert groups == sorted(groups)

    @EVERY_KIND
    def test_required_fields_are_shown_first(self, kind: Kind) -> None:
        assert not any(field.group for field in fields_of(kind) if field.required)

    @EVERY_KIND
    def test_secrets_are_credentials_alone(self, kind: Kind) -> None:
        assert not any(field.control in SECRET_CONTROLS for field in kind.config_fields)
        for form in kind.credential_forms:
            if form.type is not CredentialType.AMBIENT:
                assert any(field.control in SECRET_CONTROLS for field in form.fields)

    @EVERY_KIND
    def test_only_the_kind_that_may_go_without_a_credential_lets_it_be_empty(self, kind: Kind) -> None:
        for form in kind.credential_forms:
            required = [field for field in CREDENTIAL_FIELDS[form.type] if field.required]
            shown = [field.name for field in form.fields if field.required]
            assert shown == ([field.name for field in required] if kind.credential_required else [])

    def test_bedrock_and_vertex_suggest_a_place_and_apply_none(self) -> None:
        places = {
            (kind.kind.word, field.name): field.suggested_value
            for kind in KINDS.values()
            for field in fields_of(kind)
            if field.suggested_value
        }
        assert places == {
            ("bedrock", "region"): "us-east-1",
            ("vertex", "location"): "global",
            ("vertex_anthropic", "location"): "global",
        }


class TestWords:
    @EVERY_KIND
    def test_everything_that_is_shown_is_there(self, kind: Kind) -> None:
        assert kind.display_name
        assert kind.vendor
        assert kind.documentation_uri.startswith("https://")
        assert kind.credential_forms
        assert kind.description.endswith(".")
        for field in fields_of(kind):
            assert field.label
            assert field.validation_text.endswith("."), field.name

    @EVERY_KIND
    def test_texts_are_sentences_on_one_line(self, kind: Kind) -> None:
        for text in (
            kind.description,
            *(form.description for form in kind.credential_forms),
            *(form.test_note for form in kind.credential_forms),
            *(text for field in fields_of(kind) for text in (field.help_text, field.validation_text)),
        ):
            assert text.isprintable()
            assert not text or text.endswith((".", ")"))

    @EVERY_KIND
    def test_where_there_is_a_choice_each_type_says_when_to_take_it(self, kind: Kind) -> None:
        for form in kind.credential_forms:
            assert bool(form.description) or len(kind.credential_forms) == 1

    @EVERY_KIND
    def test_keys_are_created_on_a_page_of_the_vendor(self, kind: Kind) -> None:
        for form in kind.credential_forms:
            own = form.type is CredentialType.AMBIENT or kind.kind is ProviderKind.OPENAI_COMPATIBLE
            assert form.key_uri.startswith("https://") != own

    @EVERY_KIND
    def test_a_test_confirms_what_the_upstream_alone_knows(self, kind: Kind) -> None:
        for form in kind.credential_forms:
            doubtful = form.type is CredentialType.AMBIENT or kind.kind is ProviderKind.OPENAI_COMPATIBLE
            assert form.test_confirms != doubtful
            assert form.test_confirms != bool(form.test_note)


class TestPrefixes:
    @EVERY_KIND
    def test_are_literal_and_longest_first(self, kind: Kind) -> None:
        for field in fields_of(kind):
            assert list(field.prefixes) == sorted(field.prefixes, key=len, reverse=True)
            assert all(prefix.isascii() and prefix.isprintable() for prefix in field.prefixes)

    def test_of_openai(self) -> None:
        expected = ("sk-svcacct-", "sk-admin-", "sk-proj-", "sk-")
        assert KINDS[ProviderKind.OPENAI].credential_prefixes == expected

    def test_of_all_forms_of_bedrock(self) -> None:
        expected = ("AKIA", "ASIA", "bedrock-api-key-", "ABSK")
        assert KINDS[ProviderKind.BEDROCK].credential_prefixes == expected


class TestCredentialTypes:
    @EVERY_KIND
    def test_by_kind(self, kind: Kind) -> None:
        google = (CredentialType.GCP_SERVICE_ACCOUNT_KEY, CredentialType.AMBIENT)
        special = {
            ProviderKind.AZURE: (
                CredentialType.API_KEY,
                CredentialType.AZURE_CLIENT_SECRET,
                CredentialType.AMBIENT,
            ),
            ProviderKind.BEDROCK: (
                CredentialType.AWS_ACCESS_KEY,
                CredentialType.API_KEY,
                CredentialType.AMBIENT,
            ),
            ProviderKind.VERTEX: google,
            ProviderKind.VERTEX_ANTHROPIC: google,
        }
        assert kind.credential_types == special.get(kind.kind, (CredentialType.API_KEY,))
        for credential_type in CredentialType:
            form = kind.form(credential_type)
            assert (form is not None) == (credential_type in kind.credential_types)

    def test_every_type_has_its_fields(self) -> None:
        assert set(CREDENTIAL_FIELDS) == set(CredentialType)


class TestDefaults:
    @EVERY_KIND
    def test_the_default_of_the_form_is_what_is_called(self, kind: Kind) -> None:
        if kind.default_base_url:
            assert kind.origins({}).api == kind.default_base_url
            parts = urlsplit(kind.default_base_url)
            expected = (f"api {parts.scheme}://{parts.netloc}",)
            assert destinations(kind.kind, {}, CredentialType.API_KEY) == expected

    @EVERY_KIND
    def test_every_type_has_destinations(self, kind: Kind) -> None:
        for credential_type in (None, *kind.credential_types):
            items = destinations(kind.kind, MINIMAL.get(kind.kind, {}), credential_type)
            assert 1 <= len(items) <= 8
