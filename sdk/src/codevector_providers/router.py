"""A router's own copy of the routing table, always current, and the credentials to use it with."""

from __future__ import annotations

import os
import random
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, final

import grpc
import httpx

from codevector_providers._cache import CredentialCache, Opened
from codevector_providers._follower import Follower, Pace, ResetReason
from codevector_providers._kms import RouterKms
from codevector_providers._opener import Opener
from codevector_providers._registry import Registry, Token
from codevector_providers._reports import Reports
from codevector_providers._stored_table import TableFile
from codevector_providers.client import DEADLINE_SECONDS, DEFAULT_REGISTRY, MAX_RECONNECT_SECONDS
from codevector_providers.credential import Credential
from codevector_providers.destinations import base_url, parse_allowed
from codevector_providers.errors import (
    NoStoredCredential,
    ProviderNotFound,
    ProvidersError,
    RegistryUnavailable,
)
from codevector_providers.model import RoutingProvider
from codevector_providers.table import Route, RoutingTable
from codevector_providers.transport import AsyncGuardedTransport, Guard, GuardedTransport

BOOKMARK_SECONDS = 15.0
LIVE_SECONDS = 45.0
"""How long a watch is live after each of its messages."""
REREAD_SECONDS = 5.0
"""How long opening a credential that is newer than the table waits for the table."""


@dataclass(frozen=True, slots=True)
class RouterStatus:
    """The state of a router, for its health check and its metrics.

    ``age_seconds`` is how long the table may have been out of date: 0 to a bookmark interval while the watch
    works, infinite before the first table. ``resets`` are the reasons of the snapshots taken, the newest
    last.
    """

    watcher_id: str
    connected: bool
    store_id: str
    revision: int
    age_seconds: float
    providers: int
    provider_models: int
    models: int
    credentials: int
    resets: tuple[ResetReason, ...]
    breaks: int
    last_error: ProvidersError | None


@final
class Router:
    """Follows a registry in its own thread, from its construction until it is closed.

    A forked child has neither that thread nor the connections: construct it after the fork.

    Safe to share between threads; a context manager. Lookups read memory and make no call. While the registry
    is unavailable the last table stays in use: ``status`` has its age.
    """

    def __init__(
        self,
        registry: str = DEFAULT_REGISTRY,
        *,
        kms_socket: str | Path,
        watcher_id: str = "",
        snapshot_file: str | Path | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        bookmark_seconds: float = BOOKMARK_SECONDS,
        max_reconnect_seconds: float = MAX_RECONNECT_SECONDS,
        allowed_destinations: Iterable[str] = (),
        allow_loopback_http: bool = False,
        channel_credentials: grpc.ChannelCredentials | None = None,
        token: Token | None = None,
        rng: Callable[[], float] | None = None,
    ) -> None:
        """Start following, without waiting.

        ``watcher_id`` is the name that operators see, unique per router; by default host, process and random
        digits. ``snapshot_file`` is where the table is stored, with its key beside it, for a start while the
        registry is unavailable. ``deadline_seconds`` bounds each call, and how long the first lookup waits
        for the first table. ``bookmark_seconds`` is the longest silence of a working watch; after three of
        them the watch is reopened, up to ``max_reconnect_seconds`` later. ``rng`` returns numbers in [0, 1),
        by which backends are picked. The other options are those of ``connect``.

        Raises:
            ValueError: an entry of allowed_destinations is not such a URL; a token would go to another
                machine without TLS; a bookmark interval is outside 1 to 15 s.
        """
        if not 1.0 <= bookmark_seconds <= BOOKMARK_SECONDS:
            raise ValueError(
                "bookmark_seconds must be 1 to 15: the lifetime of credentials depends on bookmarks"
            )
        self._deadline_seconds = deadline_seconds
        self._clock = time.monotonic
        self._random = rng or random.Random().random  # noqa: S311 - spreads load, not a secret
        self._watcher_id = watcher_id or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        # One of this object: the registry tells it from another process of the same watcher_id by it.
        session = secrets.token_bytes(16)
        self._allow_loopback_http = allow_loopback_http
        allowed = parse_allowed(allowed_destinations)
        self._registry = Registry(
            registry,
            deadline_seconds=deadline_seconds,
            channel_credentials=channel_credentials,
            token=token,
            max_reconnect_seconds=max_reconnect_seconds,
        )
        self._kms = RouterKms(Path(kms_socket), deadline_seconds=deadline_seconds)
        self._opener = Opener(
            self._registry, self._kms, allowed=allowed, allow_loopback_http=allow_loopback_http
        )
        self._cache = CredentialCache(
            lookup=self.provider,
            opens=lambda provider: self._opener.open_if_any(provider, self._reread),
            is_live=self._is_live,
            clock=self._clock,
        )
        jitter = random.Random().random  # noqa: S311 - as above
        self._reports = Reports(self._registry, self._watcher_id, session, clock=self._clock, random=jitter)
        self._follower = Follower(
            self._registry,
            self._reports,
            watcher_id=self._watcher_id,
            session=session,
            pace=Pace(bookmark_seconds, deadline_seconds / 2, max_reconnect_seconds),
            file=TableFile(Path(snapshot_file)) if snapshot_file is not None else None,
            on_table=self._cache.follow,
            on_other_history=self._cache.clear,
            clock=self._clock,
            random=jitter,
        )
        self._follower.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop following, store the table, drop every credential, and report the stop to the registry.

        Clients made by ``http`` are the caller's to close. Closing again does nothing.
        """
        if self._follower.stopped:
            return
        self._follower.stop()
        self._cache.clear()
        try:
            self._reports.stop()
        finally:
            self._registry.close()
            self._kms.close()

    @property
    def table(self) -> RoutingTable:
        """The table in use. Read it once to look up several things at one revision.

        Raises:
            RegistryUnavailable: there is none yet; the first lookup waits for it.
        """
        return self._follower.table or self._first_table()

    def wait_for(self, revision: int, *, seconds: float) -> bool:
        """Return whether the table in use reaches a revision, such as that of a write, within this time."""
        return self._follower.wait(lambda table: table is not None and table.revision >= revision, seconds)

    def status(self) -> RouterStatus:
        """Return the state of this router."""
        follower = self._follower
        table, current = follower.table, follower.current_time
        return RouterStatus(
            watcher_id=self._watcher_id,
            connected=follower.connected,
            store_id=table.store_id if table else "",
            revision=table.revision if table else 0,
            age_seconds=self._clock() - current if table and current is not None else float("inf"),
            providers=len(table.providers) if table else 0,
            provider_models=len(table.provider_models) if table else 0,
            models=len(table.models) if table else 0,
            credentials=len(self._cache),
            resets=tuple(follower.resets),
            breaks=follower.breaks,
            last_error=follower.last_error,
        )

    def pick(self, model: str) -> Route:
        """Return one route for a request: the first of ``attempts``.

        Raises:
            ModelNotFound: there is none.
            RegistryUnavailable: there is no table yet.
        """
        return self.table.first(model, self._random)

    def attempts(self, model: str) -> Iterator[Route]:
        """Yield the routes for a request in the order in which to try them, each once.

        Lower priorities come first; equal ones come in random order, by weight. ``model`` is what callers ask
        for (``models/smart``), or one provider model by its own name. All routes are from one table, even if
        it changes meanwhile: a provider disabled since raises ProviderNotFound when it is used.

        Raises:
            ModelNotFound: there is none.
            RegistryUnavailable: there is no table yet.
        """
        return self.table.attempts(model, self._random)

    def provider(self, name: str) -> RoutingProvider:
        """Return a provider as the table has it; ``name`` is ``providers/{provider}``.

        Raises:
            ProviderNotFound: it does not exist or is not active.
            RegistryUnavailable: there is no table yet.
        """
        found = self.table.providers.get(name)
        if found is None:
            raise ProviderNotFound(
                "The provider does not exist or is not active.", metadata={"provider": name}
            )
        return found

    def credential(self, provider: str) -> Credential:
        """Return the provider's credential, opened at most once in minutes; ``provider`` is its name.

        Do not keep it: call this for each use. A disabled, deleted or replaced credential is not returned
        once the table has the change, and none is returned for longer than five minutes, or ten while the
        registry is unavailable.

        Raises:
            ProvidersError: CredentialCorrupt, DestinationRefused, NoStoredCredential, ProviderDisabled,
                ProviderNotFound, KeyVersionUnavailable, KmsUnavailable, RegistryUnavailable,
                RegistryRolledBack, NotAllowed.
        """
        _, credential = self._cache.get(provider)
        if credential is None:
            raise NoStoredCredential("The provider has no credential.", metadata={"provider": provider})
        return credential

    def http(self, provider: str, *, inner: httpx.BaseTransport | None = None) -> httpx.Client:
        """Return an HTTP client for the upstream: base URL set, key attached to its destinations only.

        Make one for each provider and keep it: each request uses the current credential. Give it to
        the upstream's library (``openai.OpenAI(http_client=...)``) with a placeholder as its key, and close
        it. After a change of the provider's base URL, make a new one.

        Raises:
            ProvidersError: as ``credential``, and SignerRequired for credentials that are never sent. Its
                requests raise the same.
        """
        source = self._source(provider)
        return httpx.Client(
            base_url=base_url(self.provider(provider)),
            transport=GuardedTransport(source, inner=inner),
            trust_env=False,
            follow_redirects=False,
        )

    def async_http(
        self, provider: str, *, inner: httpx.AsyncBaseTransport | None = None
    ) -> httpx.AsyncClient:
        """As ``http``, for asyncio. The credential is opened before this returns, by blocking calls."""
        source = self._source(provider)
        return httpx.AsyncClient(
            base_url=base_url(self.provider(provider)),
            transport=AsyncGuardedTransport(source, inner=inner),
            trust_env=False,
            follow_redirects=False,
        )

    def _source(self, provider: str) -> _CurrentGuard:
        source = _CurrentGuard(self._cache, provider, allow_loopback_http=self._allow_loopback_http)
        source.current()
        return source

    def _first_table(self) -> RoutingTable:
        self._follower.wait(lambda table: table is not None, self._deadline_seconds)
        if self._follower.table is None:
            error = self._follower.last_error
            why = f": {error.message}" if error else "."
            raise RegistryUnavailable(f"No routing table yet{why}")
        return self._follower.table

    def _reread(self, provider: RoutingProvider) -> RoutingProvider:
        """Return the provider once its credential version changes in the table, or as it is after a while."""
        version = provider.credential_version

        def replaced(table: RoutingTable | None) -> bool:
            found = table.providers.get(provider.name) if table else None
            return found is None or found.credential_version != version

        self._follower.wait(replaced, min(REREAD_SECONDS, self._deadline_seconds))
        return self.provider(provider.name)

    def _is_live(self) -> bool:
        last = self._follower.message_time
        return last is not None and self._clock() - last < LIVE_SECONDS


class _CurrentGuard:
    """The rules of a provider with its current credential.

    Built for each request, in microseconds: a client that is kept must not keep a credential.
    """

    def __init__(self, cache: CredentialCache, provider: str, *, allow_loopback_http: bool) -> None:
        self._cache = cache
        self._provider = provider
        self._allow_loopback_http = allow_loopback_http

    def held(self) -> Guard | None:
        opened = self._cache.held(self._provider)
        return None if opened is None else self._guard(opened)

    def current(self) -> Guard:
        return self._guard(self._cache.get(self._provider))

    def _guard(self, opened: Opened) -> Guard:
        return Guard(*opened, allow_loopback_http=self._allow_loopback_http)
