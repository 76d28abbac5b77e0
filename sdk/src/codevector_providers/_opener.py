"""Open a provider's credential: fetched sealed from the registry, unwrapped by the sidecar, checked here.

May see: one data key and the fields it opens, during one call. Must never: keep either.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import UUID

from codevector_providers import opening
from codevector_providers._kms import RouterKms
from codevector_providers._registry import Registry
from codevector_providers.credential import Credential
from codevector_providers.destinations import Destination, permitted
from codevector_providers.errors import CredentialCorrupt, KeyVersionUnavailable, RegistryRolledBack
from codevector_providers.model import CredentialType, RoutingProvider
from codevector_providers.opening import Expected

# A credential may be replaced, or rewrapped under another key version, between two of our reads.
_ATTEMPTS = 3

Reread = Callable[[RoutingProvider], RoutingProvider]
"""Returns the current provider when the given one lags the registry. Raises ProvidersError."""


class Opener:
    """One registry, one sidecar, and this router's own rules; safe to share between threads."""

    def __init__(
        self,
        registry: Registry,
        kms: RouterKms,
        *,
        allowed: tuple[Destination, ...],
        allow_loopback_http: bool,
    ) -> None:
        self._registry = registry
        self._kms = kms
        self._allowed = allowed
        self._allow_loopback_http = allow_loopback_http
        self._lock = threading.Lock()
        self._deployment_id: bytes | None = None
        self._newest_versions: dict[UUID, int] = {}  # by provider uid: the newest credential version opened

    def permitted(self, provider: RoutingProvider) -> tuple[Destination, ...]:
        """Return the provider's destinations, or raise DestinationRefused by this router's own rules."""
        return permitted(provider, allowed=self._allowed, allow_loopback_http=self._allow_loopback_http)

    def open_if_any(
        self, provider: RoutingProvider, reread: Reread
    ) -> tuple[RoutingProvider, Credential | None]:
        """As ``open``, but None for a provider that has no credential and needs none."""
        if provider.credential_type is CredentialType.UNSPECIFIED:
            self.permitted(provider)
            return provider, None
        return self.open(provider, reread)

    def open(self, provider: RoutingProvider, reread: Reread) -> tuple[RoutingProvider, Credential]:
        """Return the credential and the provider as it was when the credential was opened.

        Raises:
            ProvidersError: whatever keeps it from being opened.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            destinations = self.permitted(provider)
            sealed = self._registry.sealed_credential(provider.name)
            expected = self._expected(provider, destinations)
            if sealed.credential_version != provider.credential_version and attempt < _ATTEMPTS:
                provider = reread(provider)
                continue
            opening.check(sealed, expected)
            self._refuse_older(expected)
            try:
                dek = self._kms.unwrap(sealed)
            except KeyVersionUnavailable:
                if attempt < _ATTEMPTS:
                    continue
                raise
            try:
                fields = opening.open_sealed(sealed, expected, dek)
            finally:
                dek[:] = bytes(len(dek))
            self._remember(expected)
            return provider, Credential(
                provider=provider.name,
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
        """Refuse a replaced credential: it is intact, so only memory shows that it is old."""
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
