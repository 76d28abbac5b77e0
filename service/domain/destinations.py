"""Where a credential may go: the destinations that are bound in its envelope, derived from the provider.

An item is ``role SP destination``. Roles: ``api`` gets requests, ``token`` exchanges an identity for a token,
``control`` lists what the account has. A destination is ``scheme://host[:port]``, the default port left out;
the path belongs to it only where an administrator wrote the URL: on shared hosts the path chooses the tenant.

Routers derive the same list by themselves, so what a kind's defaults are never changes in place.

Source: the vendors' API references; Microsoft's table of Entra endpoints of the national clouds.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.domain.model import CredentialType, ProviderConfig, ProviderKind

DEFAULT_API_ORIGINS: Mapping[ProviderKind, str] = {
    ProviderKind.OPENAI: "https://api.openai.com",
    ProviderKind.ANTHROPIC: "https://api.anthropic.com",
    ProviderKind.GOOGLE: "https://generativelanguage.googleapis.com",
    ProviderKind.GROQ: "https://api.groq.com",
    ProviderKind.COHERE: "https://api.cohere.com",
    ProviderKind.DEEPSEEK: "https://api.deepseek.com",
    ProviderKind.MOONSHOT: "https://api.moonshot.ai",
}

_ENTRA_AUTHORITIES = (
    (".azure.us", "https://login.microsoftonline.us"),
    (".azure.cn", "https://login.partner.microsoftonline.cn"),
)
_ENTRA_PUBLIC_AUTHORITY = "https://login.microsoftonline.com"
_ENTRA_CREDENTIALS = frozenset({CredentialType.AZURE_CLIENT_SECRET, CredentialType.AMBIENT})
_GOOGLE_TOKEN = "https://oauth2.googleapis.com"  # noqa: S105 - an address, not a token


def destinations(
    kind: ProviderKind, config: ProviderConfig, credential_type: CredentialType | None
) -> tuple[str, ...]:
    """The one to eight items for a provider, unique and sorted by their bytes.

    ``config`` is as `kind_rules.validate_config` returns it: URLs canonical, required fields present.
    """
    values = config.values
    match kind:
        case ProviderKind.AZURE:
            items = _azure(values["endpoint"], credential_type)
        case ProviderKind.BEDROCK:
            items = _bedrock(values["region"], values.get("endpoint_url"))
        case ProviderKind.VERTEX | ProviderKind.VERTEX_ANTHROPIC:
            items = [f"api {_vertex_origin(values['location'])}", f"token {_GOOGLE_TOKEN}"]
        case ProviderKind.OPENAI_COMPATIBLE:
            items = [f"api {values['base_url']}"]
        case _:
            items = [f"api {values.get('base_url') or DEFAULT_API_ORIGINS[kind]}"]
    return tuple(sorted(set(items), key=str.encode))


def _azure(endpoint: str, credential_type: CredentialType | None) -> list[str]:
    items = [f"api {endpoint}"]
    if credential_type in _ENTRA_CREDENTIALS:
        host = endpoint.removeprefix("https://").partition("/")[0].partition(":")[0]
        authority = next(
            (url for suffix, url in _ENTRA_AUTHORITIES if host.endswith(suffix)), _ENTRA_PUBLIC_AUTHORITY
        )
        items.append(f"token {authority}")
    return items


def _bedrock(region: str, endpoint_url: str | None) -> list[str]:
    return [
        f"api {endpoint_url or f'https://bedrock-runtime.{region}.amazonaws.com'}",
        f"control https://bedrock.{region}.amazonaws.com",
        f"token https://sts.{region}.amazonaws.com",
    ]


def _vertex_origin(location: str) -> str:
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"
