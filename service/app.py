"""Wires the registry: the only place that constructs and connects its rooms."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from structlog.typing import FilteringBoundLogger

import service
from runtime.logs import bug_fields
from runtime.release import release
from service import telemetry
from service.catalog_files import load_catalogs
from service.domain.errors import RegistryError
from service.domain.pages import PageTokens
from service.domain.routers import RouterRecord
from service.domain.routing import ChangeSet, Entry
from service.readmodel.live import LiveTable, Source
from service.readmodel.ring import MAX_MESSAGES
from service.readmodel.routers import Routers
from service.readmodel.watch import Watchers
from service.rpc.boundary import Boundary
from service.rpc.enums import check_enums
from service.rpc.model_service import ModelServicer
from service.rpc.provider_service import ProviderServicer
from service.rpc.routing_codec import CODEC
from service.rpc.routing_service import RoutingServicer
from service.rpc.server import MODEL_SERVICE, PROVIDER_SERVICE, ROUTING_SERVICE, SYSTEM_SERVICE, Server
from service.rpc.system_service import SystemServicer
from service.rpc.threads import Threads
from service.sealing.kms_client import KmsClient
from service.sealing.registry_secret import create_registry_secret, load_registry_secret
from service.sealing.sealer import Sealer
from service.settings import Settings
from service.store import ReadUnit, Store, migrate, open_store
from service.usecases.context import Context
from service.usecases.key_follower import KeyFollower
from service.usecases.system_info import Release
from service.usecases.upstream_calls import UpstreamCalls
from upstreams.addresses import AddressPolicy

CATALOGS = Path(service.__file__).parent.parent / "catalogs"
GRACE_SECONDS = 5.0
COMPACTION_SECONDS = 3600.0
ROUTERS_SECONDS = 5.0
"""How often what routers said is stored, and what replicas heard is read: a crash forgets that much."""
UPSTREAM_THREADS = 4
"""How many upstreams are asked at once. Each may take a minute: they wait in a line of their own."""


def prepare(settings: Settings) -> None:
    """Create or upgrade the database, and on the first time the registry's own secret.

    Raises:
        StoreStartError, RegistrySecretError: one sentence that says what to do.
    """
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    migrate(settings.database_url)
    if not settings.registry_secret.exists() and _is_empty(settings.database_url):
        create_registry_secret(settings.registry_secret, os.urandom)


def _is_empty(database_url: str) -> bool:
    """Whether nothing was ever written: only then may a missing secret be made rather than restored."""
    with closing(open_store(database_url, clock=_now)) as store:
        return store.read(lambda unit: unit.head().revision) == 0


@asynccontextmanager
async def build(settings: Settings, log: FilteringBoundLogger) -> AsyncIterator[None]:
    """A serving registry for as long as the context lasts; calls in flight get five seconds to end.

    Raises:
        EnumWithoutRules, StoreStartError, RegistrySecretError, CatalogFileError, PortTaken: one sentence that
            says what to do.
    """
    check_enums()
    async with AsyncExitStack() as stack:
        secret = load_registry_secret(settings.registry_secret)
        catalogs = load_catalogs(CATALOGS)
        store = open_store(settings.database_url, clock=_now)
        stack.callback(store.close)
        kms = stack.enter_context(KmsClient(settings.kms_socket))
        threads = Threads()
        stack.callback(threads.close)
        upstream_threads = Threads(UPSTREAM_THREADS)
        stack.callback(upstream_threads.close)
        url_policy = AddressPolicy(
            allow_loopback_http=settings.allow_loopback_http,
            allow_private=settings.allow_private_upstreams,
        )
        ctx = Context(
            store=store,
            kms=kms,
            sealer=Sealer(kms, os.urandom),
            catalogs=catalogs,
            url_policy=url_policy,
            page_tokens=PageTokens(secret.derive("codevector/page-token/1")),
            impact_key=secret.derive("codevector/impact-token/1"),
            new_uuid=uuid.uuid4,
            primary_changed=lambda: follower.nudge(),
        )
        live = LiveTable(routing_source(store), CODEC, threads.run, log)
        store.on_commit = live.committed
        routers = Routers(_now, store.routers())
        watchers = Watchers(live, CODEC, routers, clock=_now)
        upstream_calls = UpstreamCalls(url_policy, now=_now)
        server = Server(
            settings.address,
            [
                (
                    PROVIDER_SERVICE,
                    ProviderServicer(
                        ctx,
                        threads,
                        live.reached,
                        upstream_calls=upstream_calls,
                        upstream_threads=upstream_threads,
                    ),
                ),
                (MODEL_SERVICE, ModelServicer(ctx, threads, live.reached)),
                (ROUTING_SERVICE, RoutingServicer(ctx, threads, live, watchers, routers)),
                (
                    SYSTEM_SERVICE,
                    SystemServicer(ctx, threads, live, routers, Release(release(), settings.build)),
                ),
            ],
            Boundary(log, fingerprint_key=secret.derive("codevector/request-fingerprint/1")),
            watchers,
        )
        follower = KeyFollower(ctx, threads.run, server.report_kms, log, holder=str(uuid.uuid4()))
        stack.push_async_callback(_exchange_routers, store, routers, threads, log)
        for task in (
            live.follow(),
            watchers.tick(),
            _keep_routers(store, routers, threads, log),
            _compact_hourly(store, threads, log),
            follower.follow(),
            follower.sweep(),
        ):
            stack.push_async_callback(_cancelled, asyncio.create_task(_missed(task, log)))
        await server.start()
        stack.push_async_callback(server.stop, GRACE_SECONDS)
        log.info(telemetry.SERVING, address=settings.address, revision=live.current.revision)
        yield
        log.info(telemetry.STOPPING)


def routing_source(store: Store) -> Source:
    """How the read model reads the store: each answer is of one moment."""

    def load() -> tuple[int, str, list[Entry]]:
        def work(unit: ReadUnit) -> tuple[int, str, list[Entry]]:
            head = unit.head()
            return head.revision, str(head.store_id), unit.routing_entries()

        return store.read(work)

    def changes(since: int, store_id: str) -> tuple[int, list[ChangeSet]] | None:
        def work(unit: ReadUnit) -> tuple[int, list[ChangeSet]] | None:
            head = unit.head()
            if str(head.store_id) != store_id or not head.compact_revision <= since <= head.revision:
                return None
            if head.revision - since > MAX_MESSAGES and unit.change_set_count(since) > MAX_MESSAGES:
                return None
            return head.revision, unit.changes_since(since) if head.revision > since else []

        return store.read(work)

    return Source(load, changes)


async def _compact_hourly(store: Store, threads: Threads, log: FilteringBoundLogger) -> None:
    while True:
        try:
            revision = await threads.run(store.compact)
            log.info(telemetry.COMPACTED, compact_revision=revision)
        except RegistryError as error:
            log.warning(telemetry.COMPACTION_FAILED, reason=error.reason.value)
        except Exception as error:
            # As in _exchange_routers: the change log would grow for ever.
            log.error(telemetry.COMPACTION_FAILED, **bug_fields(error))
        await asyncio.sleep(COMPACTION_SECONDS)


async def _keep_routers(store: Store, routers: Routers, threads: Threads, log: FilteringBoundLogger) -> None:
    while True:
        await asyncio.sleep(ROUTERS_SECONDS)
        await _exchange_routers(store, routers, threads, log)


async def _exchange_routers(
    store: Store, routers: Routers, threads: Threads, log: FilteringBoundLogger
) -> None:
    """Store what routers said to this process, and hear what they said to other replicas."""
    put, gone = routers.take_changed()

    def exchange() -> list[RouterRecord]:
        if put or gone:
            store.save_routers(put, gone)
        return store.routers()

    stored = False
    try:
        found = await threads.run(exchange)
        stored = True
        routers.heard_elsewhere(found)
    except RegistryError as error:
        log.warning(telemetry.ROUTERS_NOT_KEPT, reason=error.reason.value)
    except Exception as error:
        # The top of a background task: were it to end here, what routers say would be kept no more.
        log.error(telemetry.ROUTERS_NOT_KEPT, **bug_fields(error))
    finally:
        if not stored:
            routers.put_back([record.watcher_id for record in put] + gone)


async def _missed(work: Coroutine[Any, Any, None], log: FilteringBoundLogger) -> None:
    """A background task that does not end in silence, should it end: what it does would be missed."""
    try:
        await work
    except Exception as error:
        log.error(telemetry.TASK_ENDED, **bug_fields(error))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _now() -> datetime:
    return datetime.now(UTC)
