"""Rules of settings, credential types and headers, by kind."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from service.domain.errors import InvalidArgument, Reason
from service.domain.kind_rules import (
    check_credential_type,
    details,
    validate_config,
)
from service.domain.model import CredentialType, ProviderConfig, ProviderKind
from upstreams.addresses import AddressPolicy
from upstreams.kinds import KINDS, Control

POLICY = AddressPolicy()
FIELD = "provider.config"
COMPATIBLE = {"base_url": "https://gw.example.com/v1"}
MINIMAL: Mapping[ProviderKind, Mapping[str, str]] = {
    ProviderKind.AZURE: {"endpoint": "https://res.openai.azure.com"},
    ProviderKind.BEDROCK: {"region": "us-east-1"},
    ProviderKind.VERTEX: {"project_id": "my-project", "location": "global"},
    ProviderKind.VERTEX_ANTHROPIC: {"project_id": "my-project", "location": "us-east5"},
    ProviderKind.OPENAI_COMPATIBLE: COMPATIBLE,
}


def refused(
    kind: ProviderKind, config: ProviderConfig, reason: Reason = Reason.INVALID_FIELD
) -> tuple[str, str]:
    with pytest.raises(InvalidArgument) as caught:
        validate_config(kind, config, POLICY, field=FIELD)
    assert caught.value.reason is reason
    (violation,) = caught.value.violations
    return violation.field, violation.rule


class TestValidateConfig:
    @pytest.mark.parametrize("kind", ProviderKind)
    def test_the_least_that_is_needed(self, kind: ProviderKind) -> None:
        config = ProviderConfig(MINIMAL.get(kind, {}))
        assert validate_config(kind, config, POLICY, field=FIELD) == config

    @pytest.mark.parametrize("kind", ProviderKind)
    def test_what_is_stored_is_stored_again_unchanged(self, kind: ProviderKind) -> None:
        values = {
            field.name: "https://gw.example.com:443/v1/" if field.control is Control.URI else "x1"
            for field in KINDS[kind].config_fields
            if not field.required and field.control is not Control.KEY_VALUE
        }
        stored = validate_config(
            kind, ProviderConfig({**values, **MINIMAL.get(kind, {})}), POLICY, field=FIELD
        )
        assert validate_config(kind, stored, POLICY, field=FIELD) == stored
        assert "https://gw.example.com:443/v1/" not in stored.values.values()
        assert list(stored.values) == sorted(stored.values)

    def test_empty_settings_are_left_out(self) -> None:
        config = ProviderConfig({"base_url": "", "organization": ""})
        assert validate_config(ProviderKind.OPENAI, config, POLICY, field=FIELD) == ProviderConfig()

    @pytest.mark.parametrize(
        ("kind", "values", "field", "rule"),
        [
            (ProviderKind.AZURE, {}, "azure.endpoint", "config.required"),
            (ProviderKind.BEDROCK, {"region": ""}, "bedrock.region", "config.required"),
            (ProviderKind.VERTEX, {"project_id": "my-project"}, "vertex.location", "config.required"),
            (
                ProviderKind.VERTEX_ANTHROPIC,
                {"location": "us"},
                "vertex_anthropic.project_id",
                "config.required",
            ),
            (ProviderKind.OPENAI_COMPATIBLE, {}, "openai_compatible.base_url", "config.required"),
            (
                ProviderKind.OPENAI,
                {"base_url": "http://api.example.com"},
                "openai.base_url",
                "base_url.https",
            ),
            (ProviderKind.AZURE, {"endpoint": "https://169.254.169.254"}, "azure.endpoint", "base_url.host"),
            (
                ProviderKind.BEDROCK,
                {"region": "us-east-1", "endpoint_url": "https://a.example/?x"},
                "bedrock.endpoint_url",
                "base_url.query",
            ),
            (
                ProviderKind.OPENAI,
                {"organization": "org\r\nX-A: b"},
                "openai.organization",
                "config.parameter",
            ),
            (
                ProviderKind.ANTHROPIC,
                {"api_version": "2023-06-01 "},
                "anthropic.api_version",
                "config.parameter",
            ),
            (
                ProviderKind.AZURE,
                {"endpoint": "https://a.example", "api_version": "v1&x=y"},
                "azure.api_version",
                "config.parameter",
            ),
        ],
    )
    def test_refuses(self, kind: ProviderKind, values: Mapping[str, str], field: str, rule: str) -> None:
        assert refused(kind, ProviderConfig(values)) == (f"{FIELD}.{field}", rule)

    @pytest.mark.parametrize(
        ("kind", "config"),
        [
            (ProviderKind.OPENAI, ProviderConfig({"endpoint": "https://a.example"})),
            (ProviderKind.GROQ, ProviderConfig({"organization": "x"})),
            (ProviderKind.OPENAI, ProviderConfig({}, {"X-Team": "a"})),
        ],
    )
    def test_settings_of_another_kind(self, kind: ProviderKind, config: ProviderConfig) -> None:
        assert refused(kind, config, Reason.CONFIG_KIND_MISMATCH)[1] == "config.kind"


class TestHeaders:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("X-Team", "research & development"),
            ("HTTP-Referer", "https://app.example.com/a?b=c"),
            ("X-Title", ""),
            ("OpenAI-Organization", "org-1"),
            ("X-Idempotency-Key", "a"),
            ("X-Max-Tokens", "4096"),
            ("X-Author", "me\tand you"),
        ],
    )
    def test_accepts(self, name: str, value: str) -> None:
        config = ProviderConfig(COMPATIBLE, {name: value})
        assert validate_config(ProviderKind.OPENAI_COMPATIBLE, config, POLICY, field=FIELD) == config

    @pytest.mark.parametrize(
        "name",
        [
            "Host",
            "host",
            "Forwarded",
            "X-Forwarded-For",
            "x-forwarded-host",
            "Proxy-Authorization",
            "Proxy-Connection",
            "Connection",
            "Keep-Alive",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Upgrade",
            "Content-Length",
            "X-HTTP-Method-Override",
            "X-Host",
            "X-Original-URL",
            "X-Rewrite-URL",
            "X-Target-URL",
            "Helicone-Target-Url",
            "x-portkey-custom-host",
            "Authorization",
            "X-Authorization",
            "Cookie",
            "Set-Cookie",
            "X-Api-Key",
            "x_api_key",
            "Api-Key",
            "ApiKey",
            "x-goog-api-key",
            "X-Auth-Token",
            "Ocp-Apim-Subscription-Key",
            "X-Secret",
            "X-Amz-Security-Token",
            "x-password",
        ],
    )
    def test_refuses_names(self, name: str) -> None:
        config = ProviderConfig(COMPATIBLE, {name: "a"})
        assert refused(ProviderKind.OPENAI_COMPATIBLE, config)[0] == f"{FIELD}.openai_compatible.headers"

    @pytest.mark.parametrize(
        "name", ["", ":authority", "X Team", "X-Team:", "X-Té", "a\r\nb", "a\x00", "X-Team\n"]
    )
    def test_refuses_malformed_names(self, name: str) -> None:
        refused(ProviderKind.OPENAI_COMPATIBLE, ProviderConfig(COMPATIBLE, {name: "a"}))

    @pytest.mark.parametrize(
        "value",
        [
            "a\r\nX-B: c",
            "a\n",
            "a\x00b",
            "\x7f",
            "é",
            " a",
            "a ",
            "Bearer abc",
            "basic dXNlcg==",
            "sk-" + "x" * 20,
            "gsk_" + "x" * 40,
        ],
    )
    def test_refuses_values(self, value: str) -> None:
        config = ProviderConfig(COMPATIBLE, {"X-Team": value})
        assert refused(ProviderKind.OPENAI_COMPATIBLE, config) == (
            f"{FIELD}.openai_compatible.headers",
            "headers.allowed",
        )

    def test_refuses_a_name_twice(self) -> None:
        refused(ProviderKind.OPENAI_COMPATIBLE, ProviderConfig(COMPATIBLE, {"X-Team": "a", "x-team": "b"}))


class TestDetails:
    @pytest.mark.parametrize(
        ("kind", "values", "text"),
        [
            (ProviderKind.OPENAI, {}, "https://api.openai.com/v1"),
            (ProviderKind.OPENAI, {"base_url": "https://gw.example.com"}, "https://gw.example.com"),
            (ProviderKind.AZURE, MINIMAL[ProviderKind.AZURE], "https://res.openai.azure.com"),
            (ProviderKind.BEDROCK, MINIMAL[ProviderKind.BEDROCK], "us-east-1"),
            (
                ProviderKind.BEDROCK,
                {"region": "us-east-1", "endpoint_url": "https://vpce.example.com"},
                "us-east-1 (https://vpce.example.com)",
            ),
            (ProviderKind.VERTEX, MINIMAL[ProviderKind.VERTEX], "my-project (global)"),
            (ProviderKind.OPENAI_COMPATIBLE, COMPATIBLE, "https://gw.example.com/v1"),
        ],
    )
    def test_one_line(self, kind: ProviderKind, values: Mapping[str, str], text: str) -> None:
        assert details(kind, ProviderConfig(values)) == text

    @pytest.mark.parametrize("kind", ProviderKind)
    def test_every_kind_has_one(self, kind: ProviderKind) -> None:
        assert details(kind, ProviderConfig(MINIMAL.get(kind, {})))


class TestCheckCredentialType:
    @pytest.mark.parametrize("kind", ProviderKind)
    @pytest.mark.parametrize("credential_type", CredentialType)
    def test_types_by_kind(self, kind: ProviderKind, credential_type: CredentialType) -> None:
        only = {
            CredentialType.API_KEY: set(ProviderKind) - {ProviderKind.VERTEX, ProviderKind.VERTEX_ANTHROPIC},
            CredentialType.AWS_ACCESS_KEY: {ProviderKind.BEDROCK},
            CredentialType.GCP_SERVICE_ACCOUNT_KEY: {ProviderKind.VERTEX, ProviderKind.VERTEX_ANTHROPIC},
            CredentialType.AZURE_CLIENT_SECRET: {ProviderKind.AZURE},
            CredentialType.AMBIENT: {
                ProviderKind.AZURE,
                ProviderKind.BEDROCK,
                ProviderKind.VERTEX,
                ProviderKind.VERTEX_ANTHROPIC,
            },
        }
        if kind in only[credential_type]:
            check_credential_type(kind, credential_type, field="credential.x")
            return
        with pytest.raises(InvalidArgument) as caught:
            check_credential_type(kind, credential_type, field="credential.x")
        assert caught.value.reason is Reason.CREDENTIAL_TYPE_MISMATCH
        assert caught.value.violations[0].field == "credential.x"
