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
"""For so long after each message of it a watch is live."""
REREAD_SECONDS = 5.0
"""How long a credential that is newer than the table waits for the table."""


@dataclass(frozen=True, slots=True)
class RouterStatus:
    """How a router stands, for its health check and its metrics.

    ``age_seconds`` tells since when the table may be out of date: 0 to a bookmark interval while all is well,
    infinite while there is no table. ``resets`` are the reasons of the snapshots taken, the newest last.
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
    """Follows a registry in a thread of its own, from the moment it is made until it is closed.

    A forked child has neither that thread nor the connections: make it after the fork.

    Safe to share between threads; a context manager. Look-ups read memory and ask nobody. While the registry
    is away the last table stays in use: ``status`` tells its age.
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
        """Begin to follow; nothing is waited for.

        ``watcher_id`` is the name that operators see, another for each router; by default made of host,
        process and chance. ``snapshot_file`` is where the table is stored, with a key of its own beside it,
        for a start while the registry is away. ``deadline_seconds`` bounds each call, and how long the first
        look-up waits for the first table. ``bookmark_seconds`` is the longest silence of a watch that is
        well; after three of them it is opened anew, up to ``max_reconnect_seconds`` later. ``rng`` gives
        numbers from 0 up to, not including, 1, by which backends are picked. The other options are those of
        ``connect``.

        Raises:
            ValueError: an entry of allowed_destinations that is no such URL; a token for another machine
                without TLS; a bookmark interval outside 1 to 15 s.
        """
        if not 1.0 <= bookmark_seconds <= BOOKMARK_SECONDS:
            raise ValueError("bookmark_seconds are 1 to 15: credentials live by bookmarks")
        self._deadline_seconds = deadline_seconds
        self._clock = time.monotonic
        self._random = rng or random.Random().random  # noqa: S311 - spreads load and is no secret
        self._watcher_id = watcher_id or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
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
        self._reports = Reports(self._registry, self._watcher_id, clock=self._clock, random=jitter)
        self._follower = Follower(
            self._registry,
            self._reports,
            watcher_id=self._watcher_id,
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
        """Stop following, store the table, drop every credential, and tell the registry.

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
        """The table in use. To look at several things of one moment, take it once.

        Raises:
            RegistryUnavailable: there is none yet; the first look-up waits for it.
        """
        return self._follower.table or self._first_table()

    def wait_for(self, revision: int, *, seconds: float) -> bool:
        """Whether the table in use reaches a revision, such as that of a write, within this time."""
        return self._follower.wait(lambda table: table is not None and table.revision >= revision, seconds)

    def status(self) -> RouterStatus:
        """How this router stands."""
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
        """One way to answer a request for a model: the first of ``attempts``.

        Raises:
            ModelNotFound: there is none.
            RegistryUnavailable: there is no table yet.
        """
        return self.table.first(model, self._random)

    def attempts(self, model: str) -> Iterator[Route]:
        """The ways to answer a request, in the order in which to try them, each once.

        Lower priorities come first; among equals chance decides, by weight. ``model`` is what callers ask for
        (``models/smart``), or one provider model by its own name. All are of one moment, even if the table
        changes meanwhile: a provider that was disabled since raises ProviderNotFound when it is used.

        Raises:
            ModelNotFound: there is none.
            RegistryUnavailable: there is no table yet.
        """
        return self.table.attempts(model, self._random)

    def provider(self, name: str) -> RoutingProvider:
        """A provider as the table has it; ``name`` is ``providers/{provider}``.

        Raises:
            ProviderNotFound: it does not exist or takes no part in routing now.
            RegistryUnavailable: there is no table yet.
        """
        found = self.table.providers.get(name)
        if found is None:
            raise ProviderNotFound(
                "The provider does not exist or is not active.", metadata={"provider": name}
            )
        return found

    def credential(self, provider: str) -> Credential:
        """The provider's credential, opened at most once in minutes; ``provider`` is its name.

        It is not to be kept: ask again for each use. What was disabled, deleted or replaced is not given out
        any more once the table tells, and nothing for longer than five minutes, or ten while the registry is
        away.

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
        """An HTTP client for the provider's upstream: base URL set, key attached to its destinations only.

        Make one for each provider and keep it: each request takes the credential as it then is. Give it to
        the upstream's library (``openai.OpenAI(http_client=...)``) with a placeholder as its key, and close
        it. A provider that was given another base URL needs a new one.

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
            raise RegistryUnavailable(f"There is no routing table yet{why}")
        return self._follower.table

    def _reread(self, provider: RoutingProvider) -> RoutingProvider:
        """The provider once the table has another version of its credential, or after a while as it is."""
        version = provider.credential_version

        def replaced(table: RoutingTable | None) -> bool:
            found = table.providers.get(provider.name) if table else None
            return found is None or found.credential_version != version

        self._follower.wait(replaced, min(REREAD_SECONDS, self._deadline_seconds))
        return self.provider(provider.name)

    def _is_live(self) -> bool:
        heard = self._follower.heard_time
        return heard is not None and self._clock() - heard < LIVE_SECONDS


class _CurrentGuard:
    """The rules of a provider with the credential that it has at the moment.

    Made anew for each request, in microseconds: a client that is kept must not keep a credential.
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
