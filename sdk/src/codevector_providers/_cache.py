"""Opened credentials, for as long as a router may keep them. Source: docs/adr/0062.

    the watch is live      opened anew from 240 s after its unwrap on; until that is done, used up to 300 s
    it is not              opened anew from 60 s on; until that is done, used up to 600 s
    disabled, deleted,     dropped at once, whatever its age; also when it is an answer of the registry or the
    replaced, retargeted   sidecar that tells

Use never extends any of this. The watch is live for 45 s after each message of it.

May see: opened credentials. Must never: hand one out after its deadline, or write one down.
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
"""While an old credential goes on serving, nobody is asked again sooner than this."""

Opened = tuple[RoutingProvider, Credential | None]


class _Limits(NamedTuple):
    """Ages in seconds: when a credential is opened anew, and when it must not be used any more."""

    fresh: float
    last: float


_LIVE = _Limits(fresh=240.0, last=300.0)
_AWAY = _Limits(fresh=60.0, last=600.0)


@dataclass(slots=True)
class _Held:
    """``unwrap_time`` is taken before the unwrap, so that an age is never told too small."""

    provider: RoutingProvider
    credential: Credential | None
    unwrap_time: float
    retry_time: float = 0.0


class CredentialCache:
    """Safe to use from any thread: one credential is opened once however many ask for it at a time."""

    def __init__(
        self,
        *,
        lookup: Callable[[str], RoutingProvider],
        opens: Callable[[RoutingProvider], Opened],
        is_live: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        """``lookup`` gives the provider as the table has it; ``opens`` opens its credential, if any."""
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
        """The provider and its credential, if they may be used without asking anybody.

        Raises:
            ProviderNotFound: it takes no part in routing now.
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
        """The provider and its credential, opened anew where that is due.

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
            self._land(key)
            flight.set_exception(error)
            raise
        self._land(key)
        flight.set_result(opened)
        return opened

    def follow(self, table: RoutingTable) -> None:
        """Drop what the table in use has no place for, and what is past every deadline."""
        with self._lock:
            everything = list(self._held.items())
        for name, held in everything:
            provider = table.providers.get(name)
            if provider is None or not self._matches(held, provider) or self._is_over(held):
                self._drop(name, held)

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._held.clear()

    def _refreshed(self, provider: RoutingProvider) -> Opened:
        started = self._clock()
        try:
            opened, credential = self._opens(provider)
        except Unavailable:
            stale = self._stale(provider)
            if stale is None:
                raise
            return stale
        except ProvidersError:
            # The registry or the sidecar says no, or what it gives does not open: that ends the old one, too.
            with self._lock:
                self._held.pop(provider.name, None)
            raise
        with self._lock:
            held = _Held(opened, credential, started)
            # What was disabled or replaced while it was being opened is not kept; the table decides.
            if self._matches(held, self._lookup(provider.name)):
                self._held[provider.name] = held
        return opened, credential

    def _stale(self, provider: RoutingProvider) -> Opened | None:
        """The old one, until there is another, as long as it may be used at all."""
        with self._lock:
            held = self._held.get(provider.name)
            if held is None or not self._matches(held, self._lookup(provider.name)) or self._is_over(held):
                return None
            held.retry_time = self._clock() + RETRY_SECONDS
            return held.provider, held.credential

    def _matches(self, held: _Held, provider: RoutingProvider) -> bool:
        """Whether what is held belongs to the provider as the table has it now."""
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

    def _land(self, key: tuple[str, Hashable]) -> None:
        with self._lock:
            del self._flights[key]


def _binding(provider: RoutingProvider) -> tuple[object, ...]:
    """What a credential was opened for: labels, names and headers may change, and it stays the same."""
    return (
        provider.uid,
        provider.kind,
        provider.credential_type,
        provider.credential_version,
        provider.config,
    )


def _binding_key(provider: RoutingProvider) -> Hashable:
    return (provider.uid, provider.credential_version, tuple(sorted(provider.config.items())))
