"""A router's connection: the registry for what is active, its own key sidecar for opening credentials."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, final
from uuid import UUID

import grpc
import httpx
from codevector.providers.v1 import routing_service_pb2 as routing_pb2
from codevector.providers.v1 import routing_service_pb2_grpc as routing_grpc

from codevector_providers import _wire, opening
from codevector_providers._channels import REGISTRY_OPTIONS
from codevector_providers._kms import RouterKms
from codevector_providers.credential import Credential
from codevector_providers.destinations import Destination, base_url, parse_allowed, permitted
from codevector_providers.errors import (
    CredentialCorrupt,
    KeyVersionUnavailable,
    NoStoredCredential,
    ProviderNotFound,
    RegistryRolledBack,
    RegistryUnavailable,
    from_rpc_error,
    from_status,
)
from codevector_providers.model import ActiveProviderModel, CredentialType, RoutingProvider, RoutingSnapshot
from codevector_providers.opening import Expected, SealedCredential
from codevector_providers.transport import AsyncCredentialTransport, CredentialTransport

DEFAULT_REGISTRY = "127.0.0.1:50051"
DEADLINE_SECONDS = 10.0
_PAGE_SIZE = 1000
# A credential may be replaced, or its wrapper moved to another key version, between two of our reads.
_OPEN_ATTEMPTS = 3


def connect(
    registry: str = DEFAULT_REGISTRY,
    *,
    kms_socket: str | Path,
    deadline_seconds: float = DEADLINE_SECONDS,
    allowed_destinations: Iterable[str] = (),
    allow_loopback_http: bool = False,
) -> Client:
    """A client of one registry and one sidecar; nothing is contacted before the first call.

    ``deadline_seconds`` bounds each RPC. ``allowed_destinations``, if any, is this router's own list of URLs:
    a provider that leads elsewhere is refused, whatever the registry says. ``allow_loopback_http`` lets
    providers on this machine be reached without TLS.

    Raises:
        ValueError: an entry of allowed_destinations that is no such URL.
    """
    return Client(
        registry,
        kms_socket=Path(kms_socket),
        deadline_seconds=deadline_seconds,
        allowed=parse_allowed(allowed_destinations),
        allow_loopback_http=allow_loopback_http,
    )


@final
class Client:
    """Made by ``connect``. Safe to share between threads; a context manager."""

    def __init__(
        self,
        registry: str,
        *,
        kms_socket: Path,
        deadline_seconds: float,
        allowed: tuple[Destination, ...],
        allow_loopback_http: bool,
    ) -> None:
        self._deadline_seconds = deadline_seconds
        self._allowed = allowed
        self._allow_loopback_http = allow_loopback_http
        self._channel = grpc.insecure_channel(registry, options=REGISTRY_OPTIONS)
        self._routing = routing_grpc.RoutingServiceStub(self._channel)
        self._kms = RouterKms(kms_socket, deadline_seconds=deadline_seconds)
        self._lock = threading.Lock()
        self._table = RoutingSnapshot(revision=0, store_id="", providers=(), provider_models=())
        self._deployment_id: bytes | None = None
        self._newest_versions: dict[UUID, int] = {}  # by provider uid: the newest credential version opened

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close both channels. Clients made by ``http`` are the caller's to close."""
        self._channel.close()
        self._kms.close()

    def active_models(self) -> Iterator[ActiveProviderModel]:
        """The routable provider models, ordered by name, page by page as they are consumed.

        Raises:
            ProvidersError: RegistryUnavailable, NotAllowed.
        """
        request = routing_pb2.ListActiveProviderModelsRequest(page_size=_PAGE_SIZE)
        while True:
            try:
                page = self._routing.ListActiveProviderModels(request, timeout=self._deadline_seconds)
            except grpc.RpcError as error:
                raise from_rpc_error(error, away=RegistryUnavailable) from None
            for message in page.active_provider_models:
                yield _wire.active_provider_model(message)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def snapshot(self, *, if_revision_not: int = 0, store_id: str = "") -> RoutingSnapshot | None:
        """The routing table, or None when it is still at that revision (of that store, if one is named).

        Raises:
            ProvidersError: RegistryUnavailable, NotAllowed.
        """
        request = routing_pb2.GetRoutingSnapshotRequest(if_revision_not=if_revision_not, store_id=store_id)
        try:
            answer = self._routing.GetRoutingSnapshot(request, timeout=self._deadline_seconds)
        except grpc.RpcError as error:
            raise from_rpc_error(error, away=RegistryUnavailable) from None
        return None if answer.not_modified else _wire.snapshot(answer.snapshot)

    def provider(self, name: str) -> RoutingProvider:
        """A routable provider as it is now; ``name`` is ``providers/{provider}``.

        Raises:
            ProvidersError: ProviderNotFound, RegistryUnavailable, NotAllowed.
        """
        for entry in self._current_table().providers:
            if entry.name == name:
                return entry
        raise ProviderNotFound(
            "The provider does not exist or takes no part in routing now.", metadata={"provider": name}
        )

    def credential(self, provider: str | RoutingProvider) -> Credential:
        """The provider's credential, fetched sealed and opened with this router's sidecar.

        It opens only if the destinations that this library derives from the provider are among those it was
        sealed for. Each call fetches and opens anew; nothing is kept.

        Raises:
            ProvidersError: CredentialCorrupt, DestinationRefused, NoStoredCredential, ProviderDisabled,
                ProviderNotFound, KeyVersionUnavailable, KmsUnavailable, RegistryUnavailable, NotAllowed.
        """
        return self._open(provider)[1]

    def http(
        self, provider: str | RoutingProvider, *, inner: httpx.BaseTransport | None = None
    ) -> httpx.Client:
        """An HTTP client for the provider's upstream: base URL set, key attached to its destinations only.

        Give it to the upstream's library (``openai.OpenAI(http_client=...)``) with a placeholder as its key,
        and close it. It keeps the credential it was made with.

        Raises:
            ProvidersError: as ``credential``, and SignerRequired for credentials that are never sent.
        """
        current, credential = self._opened_if_any(provider)
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
        current, credential = self._opened_if_any(provider)
        transport = AsyncCredentialTransport(
            current, credential, inner=inner, allow_loopback_http=self._allow_loopback_http
        )
        return httpx.AsyncClient(
            base_url=base_url(current), transport=transport, trust_env=False, follow_redirects=False
        )

    def _opened_if_any(self, provider: str | RoutingProvider) -> tuple[RoutingProvider, Credential | None]:
        current = self.provider(provider) if isinstance(provider, str) else provider
        if current.credential_type is CredentialType.UNSPECIFIED:
            permitted(current, allowed=self._allowed, allow_loopback_http=self._allow_loopback_http)
            return current, None
        return self._open(current)

    def _open(self, provider: str | RoutingProvider) -> tuple[RoutingProvider, Credential]:
        """The credential together with the provider, as it stood when the credential was opened."""
        current = self.provider(provider) if isinstance(provider, str) else provider
        for attempt in range(1, _OPEN_ATTEMPTS + 1):
            destinations = permitted(
                current, allowed=self._allowed, allow_loopback_http=self._allow_loopback_http
            )
            sealed = self._fetch(current.name)
            expected = self._expected(current, destinations)
            if sealed.credential_version != current.credential_version and attempt < _OPEN_ATTEMPTS:
                current = self.provider(current.name)
                continue
            opening.check(sealed, expected)
            self._refuse_older(expected)
            try:
                dek = self._kms.unwrap(sealed)
            except KeyVersionUnavailable:
                if attempt < _OPEN_ATTEMPTS:
                    continue
                raise
            try:
                fields = opening.open_sealed(sealed, expected, dek)
            finally:
                dek[:] = bytes(len(dek))
            self._remember(expected)
            return current, Credential(
                provider=current.name,
                credential_type=expected.type,
                version=expected.credential_version,
                destinations=destinations,
                fields=fields,
            )
        raise AssertionError("the last attempt returns or raises")

    def _expected(self, provider: RoutingProvider, destinations: tuple[Destination, ...]) -> Expected:
        if self._deployment_id is None:
            self._deployment_id = self._kms.deployment_id()
        try:
            uid = UUID(provider.uid)
        except ValueError:
            raise CredentialCorrupt("The provider's uid is not a UUID.") from None
        return Expected(
            deployment_id=self._deployment_id,
            provider_uid=uid,
            kind=provider.kind,
            type=provider.credential_type,
            credential_version=provider.credential_version,
            destinations=tuple(destination.item for destination in destinations),
        )

    def _refuse_older(self, expected: Expected) -> None:
        """An older credential is whole and bound to its provider; only memory tells that it was replaced."""
        with self._lock:
            newest = self._newest_versions.get(expected.provider_uid, 0)
        if expected.credential_version < newest:
            raise RegistryRolledBack(
                f"The registry shows credential version {expected.credential_version} of a provider whose "
                f"version {newest} this client has opened.",
                metadata={"provider_uid": str(expected.provider_uid)},
            )

    def _remember(self, expected: Expected) -> None:
        with self._lock:
            newest = self._newest_versions.get(expected.provider_uid, 0)
            self._newest_versions[expected.provider_uid] = max(newest, expected.credential_version)

    def _fetch(self, name: str) -> SealedCredential:
        """The sealed credential of one provider, of which nothing is believed yet."""
        request = routing_pb2.BatchGetSealedCredentialsRequest(providers=[name])
        try:
            answer = self._routing.BatchGetSealedCredentials(request, timeout=self._deadline_seconds)
        except grpc.RpcError as error:
            raise from_rpc_error(error, away=RegistryUnavailable) from None
        if len(answer.results) != 1:
            raise CredentialCorrupt("The registry answered for another number of providers.")
        (result,) = answer.results
        outcome = result.WhichOneof("outcome")
        if outcome == "error":
            raise from_status(result.error, away=RegistryUnavailable)
        if outcome is None:
            raise NoStoredCredential("The registry answered with no credential.", metadata={"provider": name})
        return _wire.sealed_credential(result.sealed_credential)

    def _current_table(self) -> RoutingSnapshot:
        """The newest table; the registry sends it only when it has changed since the last one."""
        with self._lock:
            known = self._table
        newest = self.snapshot(if_revision_not=known.revision, store_id=known.store_id) or known
        if newest.store_id == known.store_id and newest.revision < known.revision:
            raise RegistryRolledBack(
                f"The registry is at revision {newest.revision}, and this client has seen {known.revision} "
                "of the same store.",
                metadata={"store_id": known.store_id},
            )
        with self._lock:
            self._table = newest
        return newest
