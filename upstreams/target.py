"""Whom a call goes to, as whom, and the addresses that follow from it.

The names of settings and of credential fields are those of the API. Default addresses are the ones that
credentials are bound to: a call of this room never leaves a provider's destinations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

API_KEY: Final = "api_key"
AWS_ACCESS_KEY: Final = "aws_access_key"
GCP_SERVICE_ACCOUNT_KEY: Final = "gcp_service_account_key"
AZURE_CLIENT_SECRET: Final = "azure_client_secret"  # noqa: S105 - the name of a type
AMBIENT: Final = "ambient"

DEFAULT_BASE_URLS: Mapping[str, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
    "groq": "https://api.groq.com/openai/v1",
    "cohere": "https://api.cohere.com",
    "deepseek": "https://api.deepseek.com",
    "moonshot": "https://api.moonshot.ai/v1",
}
CREDENTIAL_TYPES: Mapping[str, frozenset[str]] = {
    **{kind: frozenset({API_KEY}) for kind in (*DEFAULT_BASE_URLS, "openai_compatible")},
    "azure": frozenset({API_KEY, AZURE_CLIENT_SECRET, AMBIENT}),
    "bedrock": frozenset({API_KEY, AWS_ACCESS_KEY, AMBIENT}),
    "vertex": frozenset({GCP_SERVICE_ACCOUNT_KEY, AMBIENT}),
    "vertex_anthropic": frozenset({GCP_SERVICE_ACCOUNT_KEY, AMBIENT}),
}
"""All twelve kinds, by the names of their config members, with what each takes."""

AZURE_API_VERSION: Final = "2024-10-21"
"""Of the listing of models; what a provider's settings name is for inference, and may not have one."""
GOOGLE_TOKEN_ORIGIN: Final = "https://oauth2.googleapis.com"  # noqa: S105 - an address
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_PEM = re.compile(r"[\x20-\x7e\n]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A provider: its kind, and its settings as the registry keeps them (URLs canonical, checked)."""

    kind: str
    config: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in CREDENTIAL_TYPES:
            raise ValueError("no such kind of provider")

    @property
    def api(self) -> str:
        """What the paths of requests are appended to; for bedrock, where its models are listed."""
        match self.kind:
            case "azure":
                return self.config["endpoint"]
            case "bedrock":
                return f"https://bedrock.{self.config['region']}.amazonaws.com"
            case "vertex" | "vertex_anthropic":
                return _vertex_origin(self.config["location"])
            case "openai_compatible":
                return self.config["base_url"]
            case kind:
                return self.config.get("base_url") or DEFAULT_BASE_URLS[kind]

    @property
    def token_origin(self) -> str:
        """Where an identity is exchanged for a token; empty where a kind has no such place."""
        match self.kind:
            case "azure":
                return _entra(self.config["endpoint"])[0]
            case "bedrock":
                return f"https://sts.{self.config['region']}.amazonaws.com"
            case "vertex" | "vertex_anthropic":
                return GOOGLE_TOKEN_ORIGIN
            case _:
                return ""

    @property
    def entra_scope(self) -> str:
        """What an Entra token for azure is asked for: the cloud of the endpoint decides."""
        return f"{_entra(self.config['endpoint'])[1]}/.default"


@dataclass(frozen=True, slots=True)
class Identity:
    """A credential in plain: its type and its fields by their names. Prints as its type."""

    type: str
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def well_formed(self) -> bool:
        """Whether all of it can stand in a header; a private key is text of several lines.

        What cannot is never handed to a library: its complaint would quote it.
        """
        return all(
            (_PEM if name == "private_key" else _PRINTABLE).fullmatch(value)
            for name, value in self.fields.items()
            if value
        )


def _vertex_origin(location: str) -> str:
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def _entra(endpoint: str) -> tuple[str, str]:
    """(authority, audience) of the cloud that an azure endpoint lies in.

    Source: Microsoft's table of Entra endpoints of the national clouds.
    """
    host = endpoint.removeprefix("https://").partition("/")[0].partition(":")[0]
    if host.endswith(".azure.us"):
        return "https://login.microsoftonline.us", "https://cognitiveservices.azure.us"
    if host.endswith(".azure.cn"):
        return "https://login.partner.microsoftonline.cn", "https://cognitiveservices.azure.cn"
    return "https://login.microsoftonline.com", "https://cognitiveservices.azure.com"
