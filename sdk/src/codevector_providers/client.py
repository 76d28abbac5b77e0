"""A router's connections: to the registry for what is active, to its own key sidecar to open credentials."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, final

import grpc
import httpx
from codevector.providers.v1 import routing_service_pb2 as routing_pb2

from codevector_providers import _wire
from codevector_providers._kms import RouterKms
from codevector_providers._opener import Opener
from codevector_providers._registry import Registry, Token
from codevector_providers.credential import Credential
from codevector_providers.destinations import base_url, parse_allowed
from codevector_providers.errors import ProviderNotFound, RegistryRolledBack
from codevector_providers.model import ActiveProviderModel, RoutingProvider, RoutingSnapshot
from codevector_providers.transport import AsyncCredentialTransport, CredentialTransport

DEFAULT_REGISTRY = "127.0.0.1:50051"
DEADLINE_SECONDS = 10.0
MAX_RECONNECT_SECONDS = 5.0
_PAGE_SIZE = 1000


def connect(
    registry: str = DEFAULT_REGISTRY,
    *,
    kms_socket: str | Path,
    deadline_seconds: float = DEADLINE_SECONDS,
    allowed_destinations: Iterable[str] = (),
    allow_loopback_http: bool = False,
    channel_credentials: grpc.ChannelCredentials | None = None,
    token: Token | None = None,
) -> Client:
    """Return a client of one registry and one sidecar; it connects at the first call.

    ``deadline_seconds`` bounds each RPC. ``allowed_destinations``, if any, is this router's own list of URLs:
    a provider with any other destination is refused, whatever the registry says. ``allow_loopback_http``
    allows providers on this machine without TLS. ``channel_credentials`` make the connection to the registry
    TLS or mTLS (``grpc.ssl_channel_credentials``); ``token`` is called before each RPC for a bearer token.

    Raises:
        ValueError: an entry of allowed_destinations is not such a URL; the path of kms_socket has a comma; a
            token would go to another machine without TLS.
    """
    allowed = parse_allowed(allowed_destinations)
    channel = Registry(
        registry,
        deadline_seconds=deadline_seconds,
        channel_credentials=channel_credentials,
        token=token,
        max_reconnect_seconds=MAX_RECONNECT_SECONDS,
    )
    kms = RouterKms(Path(kms_socket), deadline_seconds=deadline_seconds)
    opener = Opener(channel, kms, allowed=allowed, allow_loopback_http=allow_loopback_http)
    return Client(channel, kms, opener, allow_loopback_http=allow_loopback_http)


@final
class Client:
    """Made by ``connect``. Safe to share between threads; a context manager."""

    def __init__(
        self, registry: Registry, kms: RouterKms, opener: Opener, *, allow_loopback_http: bool
    ) -> None:
        self._registry = registry
        self._kms = kms
        self._opener = opener
        self._allow_loopback_http = allow_loopback_http
        self._lock = threading.Lock()
        self._table = RoutingSnapshot(revision=0, store_id="", providers=(), provider_models=())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close both channels. Clients made by ``http`` are the caller's to close."""
        self._registry.close()
        self._kms.close()

    def active_models(self, filter: str = "") -> Iterator[ActiveProviderModel]:  # noqa: A002 - the API's word
        """Yield the routable provider models, ordered by name, fetching pages as they are consumed.

        ``filter`` is the API's, over provider, provider_kind, kind and labels:
        ``provider = "providers/openai-prod" AND kind = MODEL_KIND_CHAT``.

        Raises:
            ProvidersError: InvalidRequest for the filter, RegistryUnavailable, NotAllowed.
        """
        request = routing_pb2.ListActiveProviderModelsRequest(page_size=_PAGE_SIZE, filter=filter)
        while True:
            page = self._registry.list_models(request)
            for message in page.active_provider_models:
                yield _wire.active_provider_model(message)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def snapshot(self, *, if_token_not: str = "") -> RoutingSnapshot | None:
        """Return the routing table, or None if nothing has changed since the one with this token.

        Raises:
            ProvidersError: RegistryUnavailable, NotAllowed.
        """
        request = routing_pb2.GetRoutingSnapshotRequest(if_token_not=if_token_not)
        answer = self._registry.snapshot(request)
        return None if answer.not_modified else _wire.snapshot(answer.snapshot)

    def provider(self, name: str) -> RoutingProvider:
        """Return a routable provider as it is now; ``name`` is ``providers/{provider}``.

        Raises:
            ProvidersError: ProviderNotFound, RegistryUnavailable, NotAllowed.
        """
        for entry in self._current_table().providers:
            if entry.name == name:
                return entry
        raise ProviderNotFound("The provider does not exist or is not active.", metadata={"provider": name})

    def credential(self, provider: str | RoutingProvider) -> Credential:
        """Return the provider's credential, fetched sealed and opened with this router's sidecar.

        It opens only if the destinations that this library derives from the provider are among those it was
        sealed for. Each call fetches and opens it again; nothing is kept.

        Raises:
            ProvidersError: CredentialCorrupt, DestinationRefused, NoStoredCredential, ProviderDisabled,
                ProviderNotFound, KeyVersionUnavailable, KmsUnavailable, RegistryUnavailable, NotAllowed.
        """
        return self._opener.open(self._now(provider), self._reread)[1]

    def http(
        self, provider: str | RoutingProvider, *, inner: httpx.BaseTransport | None = None
    ) -> httpx.Client:
        """Return an HTTP client for the upstream: base URL set, key attached to its destinations only.

        Give it to the upstream's library (``openai.OpenAI(http_client=...)``) with a placeholder as its key,
        and close it. It keeps the credential that it was made with.

        Raises:
            ProvidersError: as ``credential``, and SignerRequired for credentials that are never sent.
        """
        current, credential = self._opener.open_if_any(self._now(provider), self._reread)
        transport = CredentialTransport(
            current, credential, inner=inner, allow_loopback_http=self._allow_loopback_http
        )
        return httpx.Client(
            base_url=base_url(current), transport=transport, trust_env=False, follow_redirects=False
        )

    def async_http(
        self, provider: str | RoutingProvider, *, inner: httpx.AsyncBaseTransport | None = None
    ) -> httpx.AsyncClient:
        """As ``http``, for asyncio. The credential is opened before this returns, by blocking calls."""
        current, credential = self._opener.open_if_any(self._now(provider), self._reread)
        transport = AsyncCredentialTransport(
            current, credential, inner=inner, allow_loopback_http=self._allow_loopback_http
        )
        return httpx.AsyncClient(
            base_url=base_url(current), transport=transport, trust_env=False, follow_redirects=False
        )

    def _now(self, provider: str | RoutingProvider) -> RoutingProvider:
        return self.provider(provider) if isinstance(provider, str) else provider

    def _reread(self, provider: RoutingProvider) -> RoutingProvider:
        return self.provider(provider.name)

    def _current_table(self) -> RoutingSnapshot:
        """Return the newest table; the registry sends it only if it has changed."""
        with self._lock:
            known = self._table
        newest = self.snapshot(if_token_not=known.token) or known
        if newest.store_id == known.store_id and newest.revision < known.revision:
            raise RegistryRolledBack(
                f"The registry is at revision {newest.revision}, and this client has seen {known.revision} "
                "of the same store.",
                metadata={"store_id": known.store_id},
            )
        with self._lock:
            self._table = newest
        return newest
