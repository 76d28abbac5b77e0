"""The kinds of provider: one entry each, with everything that the registry, its tools and its forms know.

A new kind starts here; CONTRIBUTING.md has the recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from upstreams.kinds import origins
from upstreams.kinds.forms import (
    ADVANCED,
    AWS_ACCESS_KEY,
    AZURE_CLIENT_SECRET,
    GCP_SERVICE_ACCOUNT_KEY,
    Control,
    CredentialType,
    Field,
    ProviderKind,
    ambient,
    api_key,
)
from upstreams.kinds.kind import Kind

_URL = "Starts with https://; the host in lower case; no user name, query or fragment"
_TOKEN = "Letters, digits, dots, dashes and underscores"  # noqa: S105 - the words of a rule


def _base_url(
    default: str, help_text: str = "Change it only if requests go through your own proxy."
) -> Field:
    return Field(
        name="base_url",
        label="Base URL",
        control=Control.URI,
        group=ADVANCED,
        default_value=default,
        help_text=help_text,
        validation_text=f"{_URL}, for example {default}.",
    )


def _vertex(kind: ProviderKind, display_name: str, description: str, documentation_uri: str) -> Kind:
    return Kind(
        kind=kind,
        display_name=display_name,
        vendor="Google Cloud",
        description=description,
        documentation_uri=documentation_uri,
        config_fields=(
            Field(
                name="project_id",
                label="Project ID",
                required=True,
                placeholder="my-project-123",
                help_text="The Google Cloud project that is billed.",
                validation_text="6 to 30 lower-case letters, digits and dashes, for example my-project-123.",
            ),
            Field(
                name="location",
                label="Location",
                required=True,
                suggested_value="global",
                placeholder="europe-west1",
                help_text="The credential is bound to the endpoint of this location.",
                validation_text="global, us, eu, or a region such as europe-west1.",
            ),
        ),
        credential_forms=(
            GCP_SERVICE_ACCOUNT_KEY,
            ambient(
                "Router's Google Cloud identity",
                "The router signs in with its own workload identity; no secret is stored.",
            ),
        ),
        origins=origins.of_vertex,
        summary=("project_id", "location"),
    )


_OPENAI_URL = "https://api.openai.com/v1"
_ANTHROPIC_URL = "https://api.anthropic.com"
_GOOGLE_URL = "https://generativelanguage.googleapis.com"
_GROQ_URL = "https://api.groq.com/openai/v1"
_COHERE_URL = "https://api.cohere.com"
_DEEPSEEK_URL = "https://api.deepseek.com"
_MOONSHOT_URL = "https://api.moonshot.ai/v1"

_ALL = (
    Kind(
        kind=ProviderKind.OPENAI,
        display_name="OpenAI",
        vendor="OpenAI",
        description="GPT and embedding models of the OpenAI platform.",
        documentation_uri="https://platform.openai.com/docs/api-reference/authentication",
        config_fields=(
            _base_url(_OPENAI_URL),
            Field(
                name="organization",
                label="Organization",
                group=ADVANCED,
                placeholder="org-...",
                help_text="Sent as OpenAI-Organization, for keys of users in several organizations.",
                validation_text=f"{_TOKEN}, for example org-AbCdEf123.",
            ),
            Field(
                name="project",
                label="Project",
                group=ADVANCED,
                placeholder="proj_...",
                help_text="Sent as OpenAI-Project.",
                validation_text=f"{_TOKEN}, for example proj_AbCdEf123.",
            ),
        ),
        credential_forms=(
            api_key(
                key_uri="https://platform.openai.com/api-keys",
                placeholder="sk-proj-...",
                help_text="A project or service account key. Admin keys (sk-admin-) cannot call models.",
                prefixes=("sk-svcacct-", "sk-admin-", "sk-proj-", "sk-"),
                mistakes=(("sk-admin-", "an admin key (sk-admin-), which cannot call models"),),
            ),
        ),
        origins=origins.of_base_url(_OPENAI_URL),
    ),
    Kind(
        kind=ProviderKind.ANTHROPIC,
        display_name="Anthropic",
        vendor="Anthropic",
        description="Claude models of the Anthropic API.",
        documentation_uri="https://docs.anthropic.com/en/api/overview",
        config_fields=(
            _base_url(_ANTHROPIC_URL),
            Field(
                name="api_version",
                label="API version",
                group=ADVANCED,
                default_value="2023-06-01",
                placeholder="YYYY-MM-DD",
                help_text="Sent as the anthropic-version header.",
                validation_text=f"{_TOKEN}, for example 2023-06-01.",
            ),
        ),
        credential_forms=(
            api_key(
                key_uri="https://console.anthropic.com/settings/keys",
                placeholder="sk-ant-api03-...",
                help_text="Admin keys (sk-ant-admin01-) and OAuth tokens (sk-ant-oat01-) cannot call models.",
                prefixes=("sk-ant-api03-", "sk-ant-"),
                mistakes=(
                    ("sk-ant-admin", "an admin key (sk-ant-admin...), which cannot call models"),
                    ("sk-ant-oat", "an OAuth token (sk-ant-oat...), which is not an API key"),
                ),
            ),
        ),
        origins=origins.of_base_url(_ANTHROPIC_URL),
    ),
    Kind(
        kind=ProviderKind.AZURE,
        display_name="Azure OpenAI / AI Foundry",
        vendor="Azure",
        description="Models deployed in one Azure OpenAI or AI Foundry resource.",
        documentation_uri="https://learn.microsoft.com/en-us/azure/ai-services/openai/reference",
        config_fields=(
            Field(
                name="endpoint",
                label="Endpoint",
                control=Control.URI,
                required=True,
                placeholder="https://my-resource.openai.azure.com",
                help_text="The resource's endpoint, without a deployment's path. Upstream model IDs are "
                "the names of deployments.",
                validation_text=f"{_URL}, for example https://my-resource.openai.azure.com.",
            ),
            Field(
                name="api_version",
                label="API version",
                group=ADVANCED,
                default_value="2024-10-21",
                placeholder="YYYY-MM-DD",
                help_text="Sent as the api-version parameter. The /openai/v1 API does not use it.",
                validation_text=f"{_TOKEN}, for example 2024-10-21.",
            ),
        ),
        credential_forms=(
            api_key(
                description="One of the resource's two keys.",
                key_uri="https://portal.azure.com/#browse/Microsoft.CognitiveServices%2Faccounts",
                help_text="In the Azure portal: the resource, then Keys and Endpoint.",
            ),
            AZURE_CLIENT_SECRET,
            ambient(
                "Router's managed identity",
                "The router signs in with its own managed identity; no secret is stored.",
            ),
        ),
        origins=origins.of_azure,
        token_types=frozenset({CredentialType.AZURE_CLIENT_SECRET, CredentialType.AMBIENT}),
        summary=("endpoint",),
    ),
    Kind(
        kind=ProviderKind.BEDROCK,
        display_name="Amazon Bedrock",
        vendor="Amazon Bedrock",
        description="Models of Amazon Bedrock in one AWS region.",
        documentation_uri="https://docs.aws.amazon.com/bedrock/latest/userguide/getting-started-api.html",
        config_fields=(
            Field(
                name="region",
                label="Region",
                required=True,
                suggested_value="us-east-1",
                placeholder="us-east-1",
                help_text="The credential is bound to this region.",
                validation_text="An AWS region, for example eu-central-1.",
            ),
            Field(
                name="endpoint_url",
                label="Endpoint URL",
                control=Control.URI,
                group=ADVANCED,
                placeholder="https://vpce-....bedrock-runtime.us-east-1.vpce.amazonaws.com",
                help_text="A VPC endpoint. Leave it empty for the region's public endpoint.",
                validation_text=f"{_URL}, for example https://bedrock.vpc.example.com.",
            ),
        ),
        credential_forms=(
            AWS_ACCESS_KEY,
            api_key(
                label="Bedrock API key",
                description="One key, valid in one region.",
                key_uri="https://console.aws.amazon.com/bedrock/home#/api-keys",
                placeholder="ABSK...",
                help_text="Long-term (ABSK...) or short-term (bedrock-api-key-...). Short-term keys expire "
                "within 12 hours.",
                prefixes=("bedrock-api-key-", "ABSK"),
            ),
            ambient(
                "Router's AWS role", "The router signs with the role of its own machine; no secret is stored."
            ),
        ),
        origins=origins.of_bedrock,
        summary=("region", "endpoint_url"),
    ),
    Kind(
        kind=ProviderKind.GOOGLE,
        display_name="Google (Gemini API / AI Studio)",
        vendor="Google",
        description="Gemini models of Google AI Studio.",
        documentation_uri="https://ai.google.dev/gemini-api/docs/api-key",
        config_fields=(_base_url(_GOOGLE_URL),),
        credential_forms=(
            api_key(
                key_uri="https://aistudio.google.com/apikey",
                placeholder="AIza...",
                help_text="An API key of AI Studio. OAuth tokens do not work here.",
                prefixes=("AIza", "AQ."),
                mistakes=(
                    ("ya29.", "an OAuth access token (ya29.), which expires within the hour"),
                    ("eyJ", "a JSON web token (eyJ...), which is not an API key"),
                ),
            ),
        ),
        origins=origins.of_base_url(_GOOGLE_URL),
    ),
    _vertex(
        ProviderKind.VERTEX,
        "Google Vertex AI",
        "Gemini and partner models in one Google Cloud project.",
        "https://cloud.google.com/vertex-ai/docs/authentication",
    ),
    _vertex(
        ProviderKind.VERTEX_ANTHROPIC,
        "Claude on Vertex AI",
        "Claude models in one Google Cloud project.",
        "https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude",
    ),
    Kind(
        kind=ProviderKind.GROQ,
        display_name="Groq",
        vendor="Groq",
        description="Open-weight models on Groq's hardware.",
        documentation_uri="https://console.groq.com/docs/api-reference",
        config_fields=(_base_url(_GROQ_URL),),
        credential_forms=(
            api_key(key_uri="https://console.groq.com/keys", placeholder="gsk_...", prefixes=("gsk_",)),
        ),
        origins=origins.of_base_url(_GROQ_URL),
    ),
    Kind(
        kind=ProviderKind.COHERE,
        display_name="Cohere",
        vendor="Cohere",
        description="Command and embedding models of Cohere.",
        documentation_uri="https://docs.cohere.com/reference/about",
        config_fields=(_base_url(_COHERE_URL),),
        credential_forms=(api_key(key_uri="https://dashboard.cohere.com/api-keys"),),
        origins=origins.of_base_url(_COHERE_URL),
    ),
    Kind(
        kind=ProviderKind.DEEPSEEK,
        display_name="DeepSeek",
        vendor="DeepSeek",
        description="Chat and reasoning models of DeepSeek.",
        documentation_uri="https://api-docs.deepseek.com/",
        config_fields=(_base_url(_DEEPSEEK_URL),),
        credential_forms=(
            api_key(
                key_uri="https://platform.deepseek.com/api_keys", placeholder="sk-...", prefixes=("sk-",)
            ),
        ),
        origins=origins.of_base_url(_DEEPSEEK_URL),
    ),
    Kind(
        kind=ProviderKind.MOONSHOT,
        display_name="Moonshot AI (Kimi)",
        vendor="Moonshot",
        description="Kimi models of Moonshot AI's international platform.",
        documentation_uri="https://platform.moonshot.ai/docs",
        config_fields=(
            _base_url(
                _MOONSHOT_URL,
                "The platform in China (https://api.moonshot.cn/v1) has its own accounts, keys and prices. "
                "The catalog has the international prices in USD.",
            ),
        ),
        credential_forms=(
            api_key(
                key_uri="https://platform.moonshot.ai/console/api-keys",
                placeholder="sk-...",
                prefixes=("sk-",),
            ),
        ),
        origins=origins.of_base_url(_MOONSHOT_URL),
    ),
    Kind(
        kind=ProviderKind.OPENAI_COMPATIBLE,
        display_name="OpenAI-compatible endpoint",
        vendor="OpenAI-compatible servers",
        description="Any server that speaks the OpenAI protocol, such as vLLM, Ollama or another gateway.",
        documentation_uri="https://platform.openai.com/docs/api-reference/chat",
        config_fields=(
            Field(
                name="base_url",
                label="Base URL",
                control=Control.URI,
                required=True,
                placeholder="https://llm.example.com/v1",
                help_text="The URL that /chat/completions and /models are appended to.",
                validation_text=f"{_URL}, for example https://llm.example.com/v1.",
            ),
            Field(
                name="headers",
                label="Extra headers",
                control=Control.KEY_VALUE,
                group=ADVANCED,
                help_text="Sent with each request. Not secret: a key belongs in the credential.",
                validation_text="At most 32 names of letters, digits and dashes, for example X-Team: search.",
            ),
        ),
        credential_forms=(
            api_key(
                required=False,
                help_text="Leave it empty for a server that needs none.",
                test_note="Some servers list their models without checking the key, and some list none.",
            ),
        ),
        origins=origins.of_base_url(""),
        credential_required=False,
    ),
)

KINDS: Mapping[ProviderKind, Kind] = MappingProxyType({kind.kind: kind for kind in _ALL})
"""Every kind, in the order of the numbers."""
