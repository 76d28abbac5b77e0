"""Credentials in hand: what is taken, how little is shown, and that nothing is printed."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.credential_hints import looks_like_key, prefix_warning
from service.domain.credentials import (
    CredentialMaterial,
    Secret,
    parse_material,
    parse_service_account,
    shown_prefix,
)
from service.domain.errors import InvalidArgument
from service.domain.model import CredentialType, ProviderKind

CANARY = "canary0123456789abcdef"
UUID = "11111111-2222-3333-4444-555555555555"
PEM = f"-----BEGIN PRIVATE KEY-----\nMIIE{CANARY}\nAA==\n-----END PRIVATE KEY-----\n"
KEY_FILE: dict[str, object] = {
    "type": "service_account",
    "project_id": "my-project",
    "private_key_id": "0123456789abcdef",
    "private_key": PEM,
    "client_email": "router@my-project.iam.gserviceaccount.com",
    "client_id": "123",
    "auth_uri": "https://accounts.google.com/o/oauth2/auth",
    "token_uri": "https://oauth2.googleapis.com/token",
    "universe_domain": "googleapis.com",
}


def api_key(key: str) -> CredentialMaterial:
    return parse_material(CredentialType.API_KEY, {"api_key": key}, field="credential.api_key")


def refused(credential_type: CredentialType, values: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_material(credential_type, values, field="credential.x")
    assert [violation.field for violation in caught.value.violations] == [field]
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.metadata)
    assert "canary" not in shown
    assert caught.value.__context__ is None, "a decoder's error holds the whole text"


class TestSecret:
    def test_prints_as_nothing(self) -> None:
        secret = Secret(CANARY)
        material = CredentialMaterial(CredentialType.API_KEY, (("api_key", secret),))
        for text in (repr(secret), str(secret), f"{secret}", f"{secret:>40}", "%s" % secret, repr([secret])):  # noqa: UP031
            assert CANARY not in text
        assert CANARY not in repr(material)
        assert "api_key" in repr(material)

    def test_is_neither_copied_nor_pickled(self) -> None:
        material = api_key(CANARY)
        for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError):
                attempt(material.fields[0][1])
        with pytest.raises(TypeError):
            asdict(material)

    def test_has_no_dictionary_and_no_hash(self) -> None:
        assert not hasattr(Secret("a"), "__dict__")
        with pytest.raises(TypeError):
            hash(Secret("a"))

    @given(st.text(), st.text())
    def test_equality(self, one: str, other: str) -> None:
        assert (Secret(one) == Secret(other)) is (one == other)
        assert Secret(one) != one

    def test_reveals_when_asked(self) -> None:
        assert api_key(CANARY).reveal() == {"api_key": CANARY}


class TestParseMaterial:
    def test_fields_are_sorted_and_empty_ones_left_out(self) -> None:
        values = {
            "secret_access_key": "s",
            "access_key_id": "A" * 20,
            "session_token": "",
            "assume_role_arn": "",
        }
        material = parse_material(CredentialType.AWS_ACCESS_KEY, values, field="f")
        assert [name for name, _ in material.fields] == ["access_key_id", "secret_access_key"]

    def test_ambient_is_empty(self) -> None:
        assert parse_material(CredentialType.AMBIENT, {}, field="f").fields == ()

    def test_all_of_aws(self) -> None:
        arn = "arn:aws-us-gov:iam::123456789012:role/path/router"
        values = {
            "access_key_id": "A" * 20,
            "secret_access_key": "s/+=",
            "session_token": "t",
            "assume_role_arn": arn,
        }
        assert parse_material(CredentialType.AWS_ACCESS_KEY, values, field="f").reveal() == values

    @pytest.mark.parametrize(
        ("credential_type", "values", "field"),
        [
            pytest.param(CredentialType.API_KEY, {}, "credential.x.api_key", id="no key"),
            pytest.param(CredentialType.API_KEY, {"api_key": ""}, "credential.x.api_key", id="empty key"),
            pytest.param(
                CredentialType.API_KEY, {"api_key": CANARY + "\n"}, "credential.x.api_key", id="line break"
            ),
            pytest.param(
                CredentialType.API_KEY, {"api_key": CANARY + " x"}, "credential.x.api_key", id="blank"
            ),
            pytest.param(
                CredentialType.API_KEY, {"api_key": CANARY + "é"}, "credential.x.api_key", id="not ASCII"
            ),
            pytest.param(
                CredentialType.API_KEY, {"api_key": "canary" * 10923}, "credential.x", id="over 64 KiB"
            ),
            pytest.param(
                CredentialType.API_KEY, {"api_key": "a", "other": CANARY}, "credential.x", id="other field"
            ),
            pytest.param(CredentialType.AMBIENT, {"api_key": CANARY}, "credential.x", id="field of ambient"),
            pytest.param(
                CredentialType.AWS_ACCESS_KEY,
                {"access_key_id": "A" * 20},
                "credential.x.secret_access_key",
                id="half an AWS key",
            ),
            pytest.param(
                CredentialType.AWS_ACCESS_KEY,
                {"access_key_id": "A" * 20, "secret_access_key": CANARY, "assume_role_arn": CANARY},
                "credential.x.assume_role_arn",
                id="no ARN",
            ),
            pytest.param(
                CredentialType.AZURE_CLIENT_SECRET,
                {"tenant_id": UUID, "client_id": UUID, "client_secret": CANARY + "\t"},
                "credential.x.client_secret",
                id="tab in a client secret",
            ),
            pytest.param(
                CredentialType.GCP_SERVICE_ACCOUNT_KEY,
                {"json": CANARY},
                "credential.x.json",
                id="no key file",
            ),
        ],
    )
    def test_refuses(self, credential_type: CredentialType, values: dict[str, str], field: str) -> None:
        refused(credential_type, values, field)

    def test_64_kib_is_the_padded_plaintext(self) -> None:
        overhead = 4 + len("codevector/fields/1") + 4 + len("api_key") + 4 + 1
        api_key("a" * (65536 - overhead))
        refused(CredentialType.API_KEY, {"api_key": "a" * (65536 - overhead + 1)}, "credential.x")


class TestServiceAccount:
    @pytest.mark.parametrize("without", [[], ["universe_domain"], ["client_id", "auth_uri"]])
    def test_keeps_only_what_a_signer_needs(self, without: list[str]) -> None:
        text = json.dumps({name: value for name, value in KEY_FILE.items() if name not in without})
        assert parse_service_account(text, field="f") == {
            "client_email": KEY_FILE["client_email"],
            "private_key": PEM,
            "private_key_id": KEY_FILE["private_key_id"],
            "project_id": "my-project",
        }

    @pytest.mark.parametrize(
        "changes",
        [
            {"type": "authorized_user"},
            {"type": None},
            {"token_uri": "https://oauth2.googleapis.com/token/"},
            {"token_uri": "http://oauth2.googleapis.com/token"},
            {"token_uri": "https://canary.example/token"},
            {"token_uri": None},
            {"universe_domain": "canary.example"},
            {"universe_domain": None},
            {"client_email": "canary"},
            {"client_email": "a@b@canary"},
            {"client_email": 1},
            {"private_key": "canary"},
            {"private_key": PEM.replace("\n", "\\n")},
            {"private_key": PEM.replace("PRIVATE", "RSA PRIVATE")},
            {"private_key": PEM + "canary"},
            {"private_key": "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"},
            {"private_key": [PEM]},
            {"private_key_id": ""},
            {"private_key_id": "canary\ud800"},
            {"project_id": {"canary": 1}},
        ],
    )
    def test_refuses_another(self, changes: dict[str, object]) -> None:
        text = json.dumps({**KEY_FILE, **changes})
        refused(CredentialType.GCP_SERVICE_ACCOUNT_KEY, {"json": text}, "credential.x.json")

    @pytest.mark.parametrize(
        "missing", ["type", "token_uri", "client_email", "private_key", "private_key_id", "project_id"]
    )
    def test_refuses_without(self, missing: str) -> None:
        text = json.dumps({name: value for name, value in KEY_FILE.items() if name != missing})
        refused(CredentialType.GCP_SERVICE_ACCOUNT_KEY, {"json": text}, "credential.x.json")

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param('{"private_key": "canary', id="cut off"),
            pytest.param('["canary"]', id="array"),
            pytest.param('"canary"', id="text"),
            pytest.param("null", id="null"),
            pytest.param(json.dumps(KEY_FILE) + "canary", id="something behind it"),
            pytest.param(json.dumps(KEY_FILE)[:-1] + ', "type": "service_account"}', id="key twice"),
            pytest.param(
                json.dumps(KEY_FILE)[:-1] + ', "x": {"canary": 1, "canary": 2}}', id="inner key twice"
            ),
            pytest.param(json.dumps(KEY_FILE)[:-1] + ', "x": NaN}', id="NaN"),
            pytest.param(json.dumps(KEY_FILE)[:-1] + ', "x": ' + "9" * 5000 + "}", id="endless number"),
            pytest.param("[" * 16000, id="deep arrays"),
            pytest.param('{"a":' * 3000, id="deep objects"),
            pytest.param("\ufeff" + json.dumps(KEY_FILE), id="byte order mark"),
        ],
    )
    def test_refuses_malformed_json(self, text: str) -> None:
        refused(CredentialType.GCP_SERVICE_ACCOUNT_KEY, {"json": text}, "credential.x.json")

    @given(st.text(max_size=200))
    def test_only_the_typed_error(self, text: str) -> None:
        with pytest.raises(InvalidArgument):
            parse_service_account(text, field="f")


class TestShownPrefix:
    @pytest.mark.parametrize(
        ("kind", "key", "shown"),
        [
            (ProviderKind.OPENAI, "sk-" + "a" * 32, "sk-aaaa"),
            (ProviderKind.OPENAI, "sk-proj-a1b2" + "x" * 32, "sk-proj-a1b2"),
            (ProviderKind.OPENAI, "sk-svcacct-a1b2" + "x" * 32, "sk-svcacct-a1b2"),
            (ProviderKind.OPENAI, "unprefixed" * 4, "unpr"),
            (ProviderKind.OPENAI, "sk-" + "a" * 16, ""),
            (ProviderKind.OPENAI, "sk-" + "a" * 17, "sk-aaaa"),
            (ProviderKind.ANTHROPIC, "sk-ant-api03-AbCd" + "x" * 80, "sk-ant-api03-AbCd"),
            (ProviderKind.ANTHROPIC, "sk-ant-api03-" + "x" * 7, "sk-ant-api03-"),
            (ProviderKind.ANTHROPIC, "sk-ant-oat01-" + "x" * 80, "sk-ant-oat0"),
            (ProviderKind.GOOGLE, "AIzaSyD1" + "x" * 31, "AIzaSyD1"),
            (ProviderKind.GOOGLE, "AQ.Ab12" + "x" * 31, "AQ.Ab12"),
            (ProviderKind.GROQ, "gsk_AbCd" + "x" * 48, "gsk_AbCd"),
            (ProviderKind.DEEPSEEK, "sk-0123" + "f" * 28, "sk-0123"),
            (ProviderKind.MOONSHOT, "sk-0123" + "f" * 44, "sk-0123"),
            (ProviderKind.COHERE, "x" * 40, "xxxx"),
            (ProviderKind.AZURE, "0123456789abcdef" * 2, "0123"),
            (ProviderKind.AZURE, "short", ""),
            (ProviderKind.BEDROCK, "ABSKQmVk" + "x" * 120, "ABSKQmVk"),
            (ProviderKind.BEDROCK, "bedrock-api-key-YmVkcm9j" + "x" * 120, "bedrock-api-key-"),
            (ProviderKind.OPENAI_COMPATIBLE, "sk-proj-" + "x" * 40, "sk-p"),
            (ProviderKind.OPENAI_COMPATIBLE, "x" * 19, ""),
        ],
    )
    def test_api_keys(self, kind: ProviderKind, key: str, shown: str) -> None:
        assert shown_prefix(kind, api_key(key)) == shown

    @pytest.mark.parametrize(
        ("kind", "credential_type", "values", "shown"),
        [
            (
                ProviderKind.BEDROCK,
                CredentialType.AWS_ACCESS_KEY,
                {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": CANARY},
                "AKIAIOSF",
            ),
            (
                ProviderKind.VERTEX,
                CredentialType.GCP_SERVICE_ACCOUNT_KEY,
                {"json": json.dumps(KEY_FILE)},
                "01234567",
            ),
            (
                ProviderKind.AZURE,
                CredentialType.AZURE_CLIENT_SECRET,
                {"tenant_id": "2" * 36, "client_id": UUID, "client_secret": CANARY},
                "11111111",
            ),
            (ProviderKind.VERTEX, CredentialType.AMBIENT, {}, ""),
        ],
    )
    def test_others(
        self, kind: ProviderKind, credential_type: CredentialType, values: dict[str, str], shown: str
    ) -> None:
        assert shown_prefix(kind, parse_material(credential_type, values, field="f")) == shown

    @given(
        st.sampled_from(ProviderKind),
        st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1),
    )
    def test_most_of_a_key_stays_hidden(self, kind: ProviderKind, key: str) -> None:
        shown = shown_prefix(kind, api_key(key))
        assert key.startswith(shown)
        assert not shown or len(key) >= 20


class TestPrefixWarning:
    @pytest.mark.parametrize(
        ("kind", "key", "hint"),
        [
            (ProviderKind.OPENAI, "sk-proj-" + CANARY, None),
            (ProviderKind.OPENAI, "sk-ant-api03-" + CANARY, "a key of Anthropic"),
            (ProviderKind.OPENAI, "sk-admin-" + CANARY, "admin key"),
            (ProviderKind.OPENAI, CANARY, "usually begin with"),
            (ProviderKind.ANTHROPIC, "sk-ant-api03-" + CANARY, None),
            (ProviderKind.ANTHROPIC, "sk-ant-oat01-" + CANARY, "OAuth token"),
            (ProviderKind.ANTHROPIC, "sk-proj-" + CANARY, "a key of OpenAI"),
            (ProviderKind.GROQ, "AIza" + CANARY, "a key of Google"),
            (ProviderKind.GOOGLE, "ya29." + CANARY, "OAuth access token"),
            (ProviderKind.GOOGLE, "AQ." + CANARY, None),
            (ProviderKind.DEEPSEEK, "sk-" + CANARY, None),
            (ProviderKind.COHERE, CANARY, None),
            (ProviderKind.COHERE, "gsk_" + CANARY, "a key of Groq"),
            (ProviderKind.OPENAI_COMPATIBLE, "gsk_" + CANARY, None),
        ],
    )
    def test_api_keys(self, kind: ProviderKind, key: str, hint: str | None) -> None:
        warning = prefix_warning(kind, api_key(key))
        assert (warning is None) if hint is None else (warning is not None and hint in warning)
        assert warning is None or (CANARY not in warning and warning.isascii())

    @pytest.mark.parametrize(
        ("access_key_id", "session_token", "warned"),
        [
            ("AKIA" + "A" * 16, "", False),
            ("ASIA" + "A" * 16, "t", False),
            ("ASIA" + "A" * 16, "", True),
            ("X" * 20, "", True),
        ],
    )
    def test_aws(self, access_key_id: str, session_token: str, warned: bool) -> None:
        values = {"access_key_id": access_key_id, "secret_access_key": CANARY, "session_token": session_token}
        material = parse_material(CredentialType.AWS_ACCESS_KEY, values, field="f")
        assert (prefix_warning(ProviderKind.BEDROCK, material) is not None) is warned

    def test_ambient_has_none(self) -> None:
        material = parse_material(CredentialType.AMBIENT, {}, field="f")
        assert prefix_warning(ProviderKind.AZURE, material) is None


class TestLooksLikeKey:
    @pytest.mark.parametrize("text", ["sk-" + CANARY, "gsk_" + CANARY, "AIza" + CANARY])
    def test_does(self, text: str) -> None:
        assert looks_like_key(text)

    @pytest.mark.parametrize(
        "text", ["", "sk-short", "team a, sk-proj-x", CANARY, "AIza is a prefix of Google keys"]
    )
    def test_does_not(self, text: str) -> None:
        assert not looks_like_key(text)
