"""Where a provider's credential may be sent, derived from the provider itself and from nothing else.

The list that travels with a sealed credential is never trusted by itself: whoever may edit a base URL would
be sent the stored key. The opener derives this set from its own routing table and requires it to lie within
the list that was sealed; the transport then compares every request with it, redirect hops included.

Source: docs/formats/envelope.md, "Destinations by kind". The defaults of a kind never change in place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Self
from urllib.parse import unquote

from codevector_providers.errors import DestinationRefused
from codevector_providers.model import CredentialType, ProviderKind, RoutingProvider

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?P<path>(?:/[A-Za-z0-9._~!$&'()*+,=:@-]+)*)/?",
    re.ASCII,
)
_DEFAULT_PORTS = {"https": 443, "http": 80}
_UNQUOTE_ROUNDS = 4
_UNUSUAL = re.compile(r"%[uU]|[^ -~]")

_DEFAULT_BASE_URLS = {
    ProviderKind.OPENAI: "https://api.openai.com/v1",
    ProviderKind.ANTHROPIC: "https://api.anthropic.com",
    ProviderKind.GOOGLE: "https://generativelanguage.googleapis.com",
    ProviderKind.GROQ: "https://api.groq.com/openai/v1",
    ProviderKind.COHERE: "https://api.cohere.com",
    ProviderKind.DEEPSEEK: "https://api.deepseek.com",
    ProviderKind.MOONSHOT: "https://api.moonshot.ai/v1",
}
_VERTEX_KINDS = frozenset({ProviderKind.VERTEX, ProviderKind.VERTEX_ANTHROPIC})
_BEDROCK_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]+", re.ASCII)
_VERTEX_LOCATION = re.compile(r"global|us|eu|[a-z]+-[a-z]+[0-9]+", re.ASCII)
_AZURE_TOKEN_TYPES = frozenset({CredentialType.AZURE_CLIENT_SECRET, CredentialType.AMBIENT})
_AZURE_LOGIN_BY_SUFFIX = {
    ".azure.us": "https://login.microsoftonline.us",
    ".azure.cn": "https://login.partner.microsoftonline.cn",
}
_AZURE_LOGIN = "https://login.microsoftonline.com"

# Only names under which the cloud itself serves: no *.cloudapp.azure.com, no load balancers or
# functions under amazonaws.com, which any tenant can create.
_VERTEX_HOST = re.compile(r"(?:[a-z0-9-]+-)?aiplatform(?:\.(?:us|eu)\.rep)?\.googleapis\.com", re.ASCII)
_OWN_HOSTS_OF_CLOUD = {
    ProviderKind.AZURE: re.compile(
        r"[a-z0-9-]+\.(?:openai|cognitiveservices|services\.ai)\.azure\.(?:com|us|cn)", re.ASCII
    ),
    ProviderKind.BEDROCK: re.compile(
        r"(?:bedrock-runtime(?:-fips)?\.[a-z0-9-]+|vpce-[a-z0-9-]+\.bedrock-runtime\.[a-z0-9-]+\.vpce)"
        r"\.amazonaws\.com",
        re.ASCII,
    ),
    ProviderKind.VERTEX: _VERTEX_HOST,
    ProviderKind.VERTEX_ANTHROPIC: _VERTEX_HOST,
}


class Role(StrEnum):
    """What is sent to a destination: keys and minted tokens, control calls, or what mints tokens."""

    API = "api"
    CONTROL = "control"
    TOKEN = "token"  # noqa: S105 - a role, not a token


@dataclass(frozen=True, slots=True)
class Destination:
    """Scheme, host, port and, where the base URL is the user's own, a path prefix without a trailing slash.

    ``host`` is spelled as in a URL (an IPv6 address in brackets), ``port`` is always a number.
    """

    role: Role
    scheme: str
    host: str
    port: int
    path: str = ""

    @classmethod
    def parse(cls, role: Role, url: str, *, with_path: bool) -> Self:
        """Read a URL in the one spelling that the registry accepts.

        Raises:
            DestinationRefused: any other spelling. The message does not repeat the URL.
        """
        match = _URL.fullmatch(url)
        if match is None:
            raise DestinationRefused("The provider's base URL is not in the form https://host[:port][/path].")
        path = match["path"]
        if any(segment in (".", "..") for segment in path.split("/")):
            raise DestinationRefused("The provider's base URL has a path with . or .. in it.")
        scheme = match["scheme"]
        port = int(match["port"] or _DEFAULT_PORTS[scheme])
        return cls(role, scheme, match["host"], port, path if with_path else "")

    @property
    def url(self) -> str:
        """``scheme://host[:port][path]``, a default port left out."""
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.path}"

    @property
    def item(self) -> str:
        """The form that is sealed: role, a space, URL."""
        return f"{self.role} {self.url}"

    @property
    def is_loopback(self) -> bool:
        """Whether the host, as spelled, is this machine."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        address = _address(self.host)
        return address is not None and address.is_loopback

    def covers(self, *, scheme: str, host: str, port: int, path: str) -> bool:
        """Whether a request goes here: same scheme, host and port, and a path at or below the prefix.

        A path that some server might read as leaving the prefix (dot segments, also encoded, also after a
        backslash or a semicolon) is not below it.
        """
        if (scheme, host, port) != (self.scheme, self.host, self.port):
            return False
        if not self.path:
            return True
        return (path == self.path or path.startswith(self.path + "/")) and not _may_climb(path)


def derive(provider: RoutingProvider) -> tuple[Destination, ...]:
    """All destinations of a provider as it is configured, the ``api`` ones first.

    Raises:
        DestinationRefused: a setting that no destination can be derived from, or an unknown kind.
    """
    kind, config = provider.kind, provider.config
    if kind in _DEFAULT_BASE_URLS:
        own = config.get("base_url")
        if own:
            return (Destination.parse(Role.API, own, with_path=True),)
        return (Destination.parse(Role.API, _DEFAULT_BASE_URLS[kind], with_path=False),)
    if kind is ProviderKind.OPENAI_COMPATIBLE:
        return (Destination.parse(Role.API, config.get("base_url", ""), with_path=True),)
    if kind is ProviderKind.AZURE:
        return _azure(provider)
    if kind is ProviderKind.BEDROCK:
        return _bedrock(provider)
    if kind in _VERTEX_KINDS:
        return (
            Destination.parse(Role.API, _vertex_url(provider), with_path=False),
            Destination.parse(Role.TOKEN, "https://oauth2.googleapis.com", with_path=False),
        )
    raise DestinationRefused("This version of the library does not know the provider's kind: upgrade it.")


def base_url(provider: RoutingProvider) -> str:
    """Return the base URL of an upstream's client: the provider's own, or its kind's default."""
    own = provider.config.get("base_url")
    if not own and provider.kind in _DEFAULT_BASE_URLS:
        return _DEFAULT_BASE_URLS[provider.kind]
    return derive(provider)[0].url


def parse_allowed(urls: Iterable[str]) -> tuple[Destination, ...]:
    """A router's own allow-list.

    Raises:
        ValueError: an entry that is not https://host[:port][/path], or http for this machine.
    """
    try:
        return tuple(Destination.parse(Role.API, url, with_path=True) for url in urls)
    except DestinationRefused:
        raise ValueError("allowed_destinations are URLs in the form https://host[:port][/path]") from None


def permitted(
    provider: RoutingProvider, *, allowed: Sequence[Destination] = (), allow_loopback_http: bool = False
) -> tuple[Destination, ...]:
    """Return the derived destinations if this router's own rules allow all of them.

    If there are any ``allowed``, each ``api`` destination must be at or below one of them.
    Plain http needs ``allow_loopback_http`` and a host that is this machine. An ambient identity goes only to
    its cloud's own hosts, or to a destination that is allowed by name.

    Raises:
        DestinationRefused: with the rule in a sentence.
    """
    derived = derive(provider)
    for destination in derived:
        if destination.scheme == "http" and not (allow_loopback_http and destination.is_loopback):
            raise DestinationRefused(
                f"{provider.name} uses plain http: only allowed to this machine, with allow_loopback_http."
            )
    for destination in derived:
        if destination.role is Role.API:
            _check_allowed(provider, destination, allowed)
    return derived


def _check_allowed(
    provider: RoutingProvider, destination: Destination, allowed: Sequence[Destination]
) -> None:
    named = any(
        entry.covers(
            scheme=destination.scheme, host=destination.host, port=destination.port, path=destination.path
        )
        for entry in allowed
    )
    if allowed and not named:
        raise DestinationRefused(
            f"{provider.name} leads to a destination that is not in this router's allowed_destinations.",
            metadata={"provider": provider.name},
        )
    if provider.credential_type is not CredentialType.AMBIENT or named:
        return
    own_hosts = _OWN_HOSTS_OF_CLOUD.get(provider.kind)
    if destination.port != 443 or own_hosts is None or not own_hosts.fullmatch(destination.host):
        raise DestinationRefused(
            f"{provider.name} asks for this router's own identity at a host outside its cloud: name the "
            "destination in allowed_destinations if that is meant.",
            metadata={"provider": provider.name},
        )


def _azure(provider: RoutingProvider) -> tuple[Destination, ...]:
    endpoint = Destination.parse(Role.API, provider.config.get("endpoint", ""), with_path=True)
    if provider.credential_type not in _AZURE_TOKEN_TYPES:
        return (endpoint,)
    login = next(
        (url for suffix, url in _AZURE_LOGIN_BY_SUFFIX.items() if endpoint.host.endswith(suffix)),
        _AZURE_LOGIN,
    )
    return (endpoint, Destination.parse(Role.TOKEN, login, with_path=False))


def _bedrock(provider: RoutingProvider) -> tuple[Destination, ...]:
    region = provider.config.get("region", "")
    if not _BEDROCK_REGION.fullmatch(region):
        raise DestinationRefused("The provider's region is not the name of a region.")
    own = provider.config.get("endpoint_url")
    if own:
        api = Destination.parse(Role.API, own, with_path=True)
    else:
        api = Destination.parse(Role.API, f"https://bedrock-runtime.{region}.amazonaws.com", with_path=False)
    return (
        api,
        Destination.parse(Role.CONTROL, f"https://bedrock.{region}.amazonaws.com", with_path=False),
        Destination.parse(Role.TOKEN, f"https://sts.{region}.amazonaws.com", with_path=False),
    )


def _vertex_url(provider: RoutingProvider) -> str:
    location = provider.config.get("location", "")
    if not _VERTEX_LOCATION.fullmatch(location):
        raise DestinationRefused("The provider's location is not the name of a location.")
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def _may_climb(path: str) -> bool:
    """Return whether a server that decodes more than we do, or in another way, could leave the path.

    Besides dot segments, such a server might skip control characters, or read ``%u002e``, overlong UTF-8 and
    wide characters as dots: none of them occurs in the API of a provider.
    """
    for _ in range(_UNQUOTE_ROUNDS):
        segments = path.replace("\\", "/").split("/")
        if any(segment.startswith("..") or segment.partition(";")[0] == "." for segment in segments):
            return True
        if _UNUSUAL.search(path):
            return True
        decoded = unquote(path, encoding="latin-1")
        if decoded == path:
            return False
        path = decoded
    return True
