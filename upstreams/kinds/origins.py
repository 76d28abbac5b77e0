"""Where the calls of a provider go, by its settings.

Routers' libraries derive the same addresses on their own and refuse all others, so the defaults of a kind
never change in place.

Source: the vendors' API references; Microsoft's table of Entra endpoints of the national clouds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

GOOGLE_TOKEN_ORIGIN = "https://oauth2.googleapis.com"  # noqa: S105 - an address, not a token


@dataclass(frozen=True, slots=True)
class Origins:
    """``api`` takes requests, ``control`` lists models where ``api`` does not, ``token`` issues tokens.

    ``scope`` is what an Entra token is requested for. What a kind does not have is empty.
    """

    api: str
    control: str = ""
    token: str = ""
    scope: str = ""


Derive = Callable[[Mapping[str, str]], Origins]
"""Returns the origins for settings that are valid: URLs canonical, required fields present."""


def of_base_url(default: str) -> Derive:
    """Return the rule of kinds whose settings have a base URL; ``default`` is empty where it is required."""

    def derive(config: Mapping[str, str]) -> Origins:
        return Origins(config.get("base_url") or default)

    return derive


def of_azure(config: Mapping[str, str]) -> Origins:
    """The endpoint's cloud decides which Entra authority issues tokens."""
    endpoint = config["endpoint"]
    host = endpoint.removeprefix("https://").partition("/")[0].partition(":")[0]
    if host.endswith(".azure.us"):
        authority, audience = "https://login.microsoftonline.us", "https://cognitiveservices.azure.us"
    elif host.endswith(".azure.cn"):
        authority, audience = "https://login.partner.microsoftonline.cn", "https://cognitiveservices.azure.cn"
    else:
        authority, audience = "https://login.microsoftonline.com", "https://cognitiveservices.azure.com"
    return Origins(endpoint, token=authority, scope=f"{audience}/.default")


def of_bedrock(config: Mapping[str, str]) -> Origins:
    """The runtime answers requests; the control plane lists models, and STS exchanges roles."""
    region = config["region"]
    return Origins(
        config.get("endpoint_url") or f"https://bedrock-runtime.{region}.amazonaws.com",
        control=f"https://bedrock.{region}.amazonaws.com",
        token=f"https://sts.{region}.amazonaws.com",
    )


def of_vertex(config: Mapping[str, str]) -> Origins:
    """Single regions, the two multi-regions and ``global`` each have a form of host name of their own."""
    location = config["location"]
    if location == "global":
        api = "https://aiplatform.googleapis.com"
    elif location in ("us", "eu"):
        api = f"https://aiplatform.{location}.rep.googleapis.com"
    else:
        api = f"https://{location}-aiplatform.googleapis.com"
    return Origins(api, token=GOOGLE_TOKEN_ORIGIN)
