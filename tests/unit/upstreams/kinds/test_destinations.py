"""Destinations by kind: these strings stand in envelopes, so each is pinned here."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from upstreams.kinds import CredentialType, ProviderKind, destinations

KEY = CredentialType.API_KEY
SECRET = CredentialType.AZURE_CLIENT_SECRET
AMBIENT = CredentialType.AMBIENT
GCP = CredentialType.GCP_SERVICE_ACCOUNT_KEY
AWS = CredentialType.AWS_ACCESS_KEY
AZURE = {"endpoint": "https://res.openai.azure.com"}
GOOGLE_TOKEN = "token https://oauth2.googleapis.com"


def bedrock(api: str) -> list[str]:
    return [
        api,
        "control https://bedrock.us-east-1.amazonaws.com",
        "token https://sts.us-east-1.amazonaws.com",
    ]


class TestDestinations:
    @pytest.mark.parametrize(
        ("kind", "values", "credential_type", "expected"),
        [
            (ProviderKind.OPENAI, {}, KEY, ["api https://api.openai.com"]),
            (ProviderKind.ANTHROPIC, {}, KEY, ["api https://api.anthropic.com"]),
            (ProviderKind.GOOGLE, {}, KEY, ["api https://generativelanguage.googleapis.com"]),
            (ProviderKind.GROQ, {}, KEY, ["api https://api.groq.com"]),
            (ProviderKind.COHERE, {}, KEY, ["api https://api.cohere.com"]),
            (ProviderKind.DEEPSEEK, {}, KEY, ["api https://api.deepseek.com"]),
            (ProviderKind.MOONSHOT, {}, KEY, ["api https://api.moonshot.ai"]),
            (ProviderKind.OPENAI, {"organization": "org-1"}, KEY, ["api https://api.openai.com"]),
            (
                ProviderKind.OPENAI,
                {"base_url": "https://gw.example.com:8443/acme/v1"},
                KEY,
                ["api https://gw.example.com:8443/acme/v1"],
            ),
            (
                ProviderKind.OPENAI_COMPATIBLE,
                {"base_url": "http://127.0.0.1:9/v1"},
                None,
                ["api http://127.0.0.1:9/v1"],
            ),
            (ProviderKind.AZURE, AZURE, KEY, ["api https://res.openai.azure.com"]),
            (
                ProviderKind.AZURE,
                AZURE,
                SECRET,
                ["api https://res.openai.azure.com", "token https://login.microsoftonline.com"],
            ),
            (
                ProviderKind.AZURE,
                AZURE,
                AMBIENT,
                ["api https://res.openai.azure.com", "token https://login.microsoftonline.com"],
            ),
            (
                ProviderKind.AZURE,
                {"endpoint": "https://res.openai.azure.us:8443/x"},
                SECRET,
                ["api https://res.openai.azure.us:8443/x", "token https://login.microsoftonline.us"],
            ),
            (
                ProviderKind.AZURE,
                {"endpoint": "https://res.openai.azure.cn"},
                SECRET,
                ["api https://res.openai.azure.cn", "token https://login.partner.microsoftonline.cn"],
            ),
            (
                ProviderKind.AZURE,
                {"endpoint": "https://gw.example.com/openai.azure.us"},
                SECRET,
                ["api https://gw.example.com/openai.azure.us", "token https://login.microsoftonline.com"],
            ),
            (
                ProviderKind.BEDROCK,
                {"region": "us-east-1"},
                AWS,
                bedrock("api https://bedrock-runtime.us-east-1.amazonaws.com"),
            ),
            (
                ProviderKind.BEDROCK,
                {"region": "us-east-1", "endpoint_url": "https://vpce-1.example.com"},
                KEY,
                bedrock("api https://vpce-1.example.com"),
            ),
            (
                ProviderKind.VERTEX,
                {"location": "global"},
                GCP,
                ["api https://aiplatform.googleapis.com", GOOGLE_TOKEN],
            ),
            (
                ProviderKind.VERTEX,
                {"location": "eu"},
                GCP,
                ["api https://aiplatform.eu.rep.googleapis.com", GOOGLE_TOKEN],
            ),
            (
                ProviderKind.VERTEX,
                {"location": "us"},
                GCP,
                ["api https://aiplatform.us.rep.googleapis.com", GOOGLE_TOKEN],
            ),
            (
                ProviderKind.VERTEX_ANTHROPIC,
                {"location": "us-east5"},
                AMBIENT,
                ["api https://us-east5-aiplatform.googleapis.com", GOOGLE_TOKEN],
            ),
        ],
    )
    def test_by_kind(
        self,
        kind: ProviderKind,
        values: Mapping[str, str],
        credential_type: CredentialType | None,
        expected: list[str],
    ) -> None:
        items = destinations(kind, values, credential_type)
        assert list(items) == expected
        assert list(items) == sorted(set(items), key=str.encode)
