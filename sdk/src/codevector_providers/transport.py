"""httpx transports that attach a provider's key, and only where it may go.

The check sits in the transport because only a transport sees every request that leaves: an ``httpx.Auth``
and client headers are not asked again on a redirect, and a 307 has carried an ``x-api-key`` to another host.
Each request, redirect hops included, is compared with the destinations that were derived for the provider;
anything else is refused before a connection is made.

May see: one opened credential. Must never: put the key into the caller's request object, where a log, an
exception or the next hop of a redirect would find it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import Mapping
from typing import Protocol, Self

import httpx

from codevector_providers.credential import Credential
from codevector_providers.destinations import Destination, Role, permitted
from codevector_providers.errors import CredentialCorrupt, DestinationRefused, SignerRequired
from codevector_providers.model import CredentialType, ProviderKind, RoutingProvider

ANTHROPIC_VERSION = "2023-06-01"

_DEFAULT_PORTS = {"https": 443, "http": 80}
_AUTH_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization")
_KEY_HEADER_BY_KIND: Mapping[ProviderKind, str] = {
    ProviderKind.ANTHROPIC: "x-api-key",
    ProviderKind.AZURE: "api-key",
    ProviderKind.GOOGLE: "x-goog-api-key",
}
# Headers that decide where or how a request is read: never allowed as extra headers.
_NEVER_CONFIGURED = frozenset(
    {
        *_AUTH_HEADERS,
        "connection",
        "content-length",
        "cookie",
        "forwarded",
        "host",
        "te",
        "transfer-encoding",
        "upgrade",
        "x-host",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
    }
)
_NEVER_CONFIGURED_PREFIXES = ("proxy-", "x-forwarded-", "x-original-", "x-rewrite-")
_NEVER_CONFIGURED_SUFFIXES = ("-custom-host", "-target-host", "-target-url")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
# Each lets a caller send the request elsewhere than its URL says.
_STEERING_EXTENSIONS = ("target", "sni_hostname")
# The registry seals no other API key. A key that is not a valid header value must not reach the HTTP library,
# whose error would quote it.
_SENDABLE = re.compile(r"[\x21-\x7e]+")


class GuardSource(Protocol):
    """Where a transport gets the rules of its provider, for each request."""

    def held(self) -> Guard | None:
        """Return the guard if no call is needed, else None."""
        ...

    def current(self) -> Guard:
        """Return the guard, calling the registry and the sidecar if needed. Raises ProvidersError."""
        ...


class GuardedTransport(httpx.BaseTransport):
    """For ``httpx.Client``. Keys that the calling library set, such as a placeholder, are removed first."""

    def __init__(self, source: GuardSource, *, inner: httpx.BaseTransport | None = None) -> None:
        """``inner`` sends; by default without a proxy."""
        self._source = source
        self._inner = inner or httpx.HTTPTransport(verify=_tls_context(), trust_env=False)
        _keep_answers_out_of_the_log()

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, with the key.

        Raises:
            ProvidersError: DestinationRefused, or why there is no key; nothing was sent.
        """
        guard = self._source.held() or self._source.current()
        return self._inner.handle_request(guard.authorised(request))

    def close(self) -> None:
        """Close the sending transport."""
        self._inner.close()


class AsyncGuardedTransport(httpx.AsyncBaseTransport):
    """For ``httpx.AsyncClient`` on asyncio; else as GuardedTransport."""

    def __init__(self, source: GuardSource, *, inner: httpx.AsyncBaseTransport | None = None) -> None:
        """As GuardedTransport."""
        self._source = source
        self._inner = inner or httpx.AsyncHTTPTransport(verify=_tls_context(), trust_env=False)
        _keep_answers_out_of_the_log()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As GuardedTransport.handle_request. Blocking calls run in a thread."""
        guard = self._source.held()
        if guard is None:
            guard = await asyncio.to_thread(self._source.current)
        return await self._inner.handle_async_request(guard.authorised(request))

    async def aclose(self) -> None:
        """Close the sending transport."""
        await self._inner.aclose()


class CredentialTransport(GuardedTransport):
    """A GuardedTransport of one provider and one credential, fixed at construction."""

    def __init__(
        self,
        provider: RoutingProvider,
        credential: Credential | None,
        *,
        inner: httpx.BaseTransport | None = None,
        allow_loopback_http: bool = False,
    ) -> None:
        """``credential`` is None for a provider that has none.

        Raises:
            SignerRequired: the credential's type is never sent as it is.
            CredentialCorrupt: its key cannot stand in a header.
            DestinationRefused: the provider's settings lead nowhere that is permitted.
        """
        guard = Guard(provider, credential, allow_loopback_http=allow_loopback_http)
        super().__init__(_Fixed(guard), inner=inner)


class AsyncCredentialTransport(AsyncGuardedTransport):
    """For ``httpx.AsyncClient``; else as CredentialTransport."""

    def __init__(
        self,
        provider: RoutingProvider,
        credential: Credential | None,
        *,
        inner: httpx.AsyncBaseTransport | None = None,
        allow_loopback_http: bool = False,
    ) -> None:
        """As CredentialTransport."""
        guard = Guard(provider, credential, allow_loopback_http=allow_loopback_http)
        super().__init__(_Fixed(guard), inner=inner)


class _Fixed:
    """Always the same guard."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def held(self) -> Guard:
        return self._guard

    def current(self) -> Guard:
        return self._guard


class Guard:
    """The rules of one provider with one credential, the same for both transports."""

    def __init__(
        self, provider: RoutingProvider, credential: Credential | None, *, allow_loopback_http: bool
    ) -> None:
        if credential is not None and credential.type is not CredentialType.API_KEY:
            raise SignerRequired(
                f"The credential of {provider.name} is of type {credential.type.name}, which signs or mints "
                "instead of being sent: give credential.reveal_all() to the upstream's own library.",
                metadata={"provider": provider.name, "type": credential.type.name},
            )
        if credential is not None and not _SENDABLE.fullmatch(credential.reveal("api_key")):
            raise CredentialCorrupt(
                f"The key of {provider.name} cannot stand in a header: set its credential again.",
                metadata={"provider": provider.name},
            )
        self._name = provider.name
        self._kind = provider.kind
        self._credential = credential
        self._headers = _configured_headers(provider)
        if credential is not None:
            destinations = credential.destinations
        else:
            destinations = permitted(provider, allow_loopback_http=allow_loopback_http)
        self._api = tuple(item for item in destinations if item.role is Role.API)

    def authorised(self, request: httpx.Request) -> httpx.Request:
        """Return a copy of the request with the provider's headers and key, if its destination is allowed."""
        self._check(request)
        headers = request.headers.copy()
        headers.update(self._headers)
        for name in _AUTH_HEADERS:
            headers.pop(name, None)
        if self._kind is ProviderKind.ANTHROPIC:
            headers.setdefault("anthropic-version", ANTHROPIC_VERSION)
        if self._credential is not None:
            key = self._credential.reveal("api_key")
            own_header = _KEY_HEADER_BY_KIND.get(self._kind)
            headers[own_header or "Authorization"] = key if own_header else f"Bearer {key}"
        return httpx.Request(
            request.method,
            request.url,
            headers=headers,
            stream=request.stream,
            extensions=request.extensions,
        )

    def _check(self, request: httpx.Request) -> None:
        url = request.url
        host = url.raw_host.decode("ascii")
        host = f"[{host}]" if ":" in host else host
        port = url.port or _DEFAULT_PORTS.get(url.scheme, 0)
        path = url.raw_path.partition(b"?")[0].decode("ascii")
        if not any(_covers(item, url.scheme, host, port, path) for item in self._api):
            raise self._refused("is not a destination of this provider")
        if url.userinfo or any(name in request.extensions for name in _STEERING_EXTENSIONS):
            raise self._refused("is addressed in two ways")
        if request.headers.get_list("host") not in ([], [url.netloc.decode("ascii")]):
            raise self._refused("names another host in its Host header")

    def _refused(self, why: str) -> DestinationRefused:
        allowed = ", ".join(item.url for item in self._api)
        return DestinationRefused(
            f"A request for {self._name} {why} ({allowed}); nothing was sent.",
            metadata={"provider": self._name, "allowed": allowed},
        )


def _tls_context() -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    # Python sets it to SSLKEYLOGFILE: whoever can read that file reads every key that is sent.
    context.keylog_filename = None  # type: ignore[assignment]  # typeshed knows no None
    return context


def _keep_answers_out_of_the_log() -> None:
    """At DEBUG, httpcore writes down the headers of each response, and an upstream may repeat the key there.
    Adding the filter again changes nothing.
    """
    for name in ("httpcore.http11", "httpcore.http2"):
        logging.getLogger(name).addFilter(_tells_no_answer)


def _tells_no_answer(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("receive_response_")


def _covers(item: Destination, scheme: str, host: str, port: int, path: str) -> bool:
    return item.covers(scheme=scheme, host=host, port=port, path=path)


def _configured_headers(provider: RoutingProvider) -> dict[str, str]:
    """The headers of the provider's settings; none may contain a key or steer the request."""
    headers = dict(provider.headers)
    for name, value in headers.items():
        lowered = name.lower()
        if not _HEADER_VALUE.fullmatch(value):
            raise DestinationRefused(
                f"The settings of {provider.name} contain a header {lowered!r} whose value is not printable "
                "ASCII.",
                metadata={"provider": provider.name, "header": lowered},
            )
        if (
            lowered in _NEVER_CONFIGURED
            or lowered.startswith(_NEVER_CONFIGURED_PREFIXES)
            or lowered.endswith(_NEVER_CONFIGURED_SUFFIXES)
        ):
            raise DestinationRefused(
                f"The settings of {provider.name} contain the header {lowered}, which may not be configured.",
                metadata={"provider": provider.name, "header": lowered},
            )
    config = provider.config
    if provider.kind is ProviderKind.OPENAI:
        names = {"organization": "OpenAI-Organization", "project": "OpenAI-Project"}
        headers.update({header: config[field] for field, header in names.items() if field in config})
    if provider.kind is ProviderKind.ANTHROPIC and "api_version" in config:
        headers["anthropic-version"] = config["api_version"]
    return headers
