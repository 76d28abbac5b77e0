"""Opened credentials, for as long as a router may keep them. Source: docs/adr/0062.

    the watch is live      reopened 240 s after its unwrap; until then used for up to 300 s
    it is not              reopened after 60 s; until then used for up to 600 s
    disabled, deleted,     dropped at once, whatever its age, whether the watch, the registry or the
    replaced, retargeted   sidecar reports it

Using a credential does not extend its lifetime. The watch is live for 45 s after each message.

May see: opened credentials. Must never: return one after its deadline, or store one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple

from codevector_providers.credential import Credential
from codevector_providers.errors import ProvidersError, Unavailable
from codevector_providers.model import RoutingProvider
from codevector_providers.table import RoutingTable

RETRY_SECONDS = 5.0
"""While an old credential stays in use, the wait between two attempts to reopen it."""

Opened = tuple[RoutingProvider, Credential | None]


class _Limits(NamedTuple):
    """Ages in seconds: when a credential is reopened, and when it must no longer be used."""

    fresh: float
    last: float


_LIVE = _Limits(fresh=240.0, last=300.0)
_AWAY = _Limits(fresh=60.0, last=600.0)


@dataclass(slots=True)
class _Held:
    """``unwrap_time`` is taken before the unwrap, so that no age is underestimated."""

    provider: RoutingProvider
    credential: Credential | None
    unwrap_time: float
    retry_time: float = 0.0


class CredentialCache:
    """Safe to use from any thread: a credential is opened once, however many threads ask for it."""

    def __init__(
        self,
        *,
        lookup: Callable[[str], RoutingProvider],
        opens: Callable[[RoutingProvider], Opened],
        is_live: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        """``lookup`` returns the provider as the table has it; ``opens`` opens its credential, if any."""
        self._lookup = lookup
        self._opens = opens
        self._is_live = is_live
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._flights: dict[tuple[str, Hashable], Future[Opened]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def held(self, name: str) -> Opened | None:
        """Return the provider and its credential if they may be used without a call, else None.

        Raises:
            ProviderNotFound: it is not active.
        """
        provider = self._lookup(name)
        held = self._held.get(name)
        if held is None or not self._matches(held, provider):
            return None
        now = self._clock()
        limits = self._limits()
        age = now - held.unwrap_time
        if age < limits.fresh or (age < limits.last and now < held.retry_time):
            return provider, held.credential
        return None

    def get(self, name: str) -> Opened:
        """Return the provider and its credential, reopened if that is due.

        Raises:
            ProvidersError: whatever keeps it from being opened.
        """
        found = self.held(name)
        if found is not None:
            return found
        provider = self._lookup(name)
        key = (name, _binding_key(provider))
        with self._lock:
            found = self.held(name)
            if found is not None:
                return found  # opened by another thread meanwhile
            flight = self._flights.get(key)
            mine = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if not mine:
            return self._stale(provider) or flight.result()
        try:
            opened = self._refreshed(provider)
        except BaseException as error:
            self._land(key, flight)
            flight.set_exception(error)
            raise
        self._land(key, flight)
        flight.set_result(opened)
        return opened

    def follow(self, table: RoutingTable) -> None:
        """Drop credentials that the table no longer has, and those past their deadline."""
        with self._lock:
            everything = list(self._held.items())
        for name, held in everything:
            provider = table.providers.get(name)
            if provider is None or not self._matches(held, provider) or self._is_over(held):
                self._drop(name, held)

    def clear(self) -> None:
        """Drop everything, and keep nothing that is being opened: it may be of another history."""
        with self._lock:
            self._held, self._flights = {}, {}

    def _refreshed(self, provider: RoutingProvider) -> Opened:
        started, kept = self._clock(), self._held
        try:
            opened, credential = self._opens(provider)
        except Unavailable:
            stale = self._stale(provider)
            if stale is None:
                raise
            return stale
        except ProvidersError:
            # The registry or the sidecar refuses, or the credential does not open: that ends the old one too.
            with self._lock:
                self._held.pop(provider.name, None)
            raise
        with self._lock:
            held = _Held(opened, credential, started)
            # A credential disabled or replaced while it was opened is not kept; the table decides.
            if self._matches(held, self._lookup(provider.name)):
                kept[provider.name] = held  # which nobody reads any more after a `clear`
        return opened, credential

    def _stale(self, provider: RoutingProvider) -> Opened | None:
        """Return the old credential while it may still be used, else None."""
        with self._lock:
            held = self._held.get(provider.name)
            if held is None or not self._matches(held, self._lookup(provider.name)) or self._is_over(held):
                return None
            held.retry_time = self._clock() + RETRY_SECONDS
            return held.provider, held.credential

    def _matches(self, held: _Held, provider: RoutingProvider) -> bool:
        """Return whether the held credential belongs to the provider as the table has it now."""
        if held.provider is provider:
            return True
        if _binding(held.provider) != _binding(provider):
            return False
        held.provider = provider
        return True

    def _is_over(self, held: _Held) -> bool:
        return self._clock() - held.unwrap_time >= self._limits().last

    def _limits(self) -> _Limits:
        return _LIVE if self._is_live() else _AWAY

    def _drop(self, name: str, held: _Held) -> None:
        with self._lock:
            if self._held.get(name) is held:
                del self._held[name]

    def _land(self, key: tuple[str, Hashable], flight: Future[Opened]) -> None:
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]


def _binding(provider: RoutingProvider) -> tuple[object, ...]:
    """What a credential was opened for. Labels, names and headers may change without reopening it."""
    return (
        provider.uid,
        provider.kind,
        provider.credential_type,
        provider.credential_version,
        provider.config,
    )


def _binding_key(provider: RoutingProvider) -> Hashable:
    return (provider.uid, provider.credential_version, tuple(sorted(provider.config.items())))
