"""Wires the registry: the only place that constructs and connects its rooms."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from structlog.typing import FilteringBoundLogger

import service
from runtime.hardening import connections_of
from runtime.refusals import COUNT_SECONDS
from runtime.release import release
from service import telemetry
from service.background.exchange import Exchange, ignore_notice, new_replica_id
from service.background.ground import LOOK_SECONDS, end_on_loss, look
from service.background.key_follower import KeyFollower
from service.background.notices import Hearing
from service.background.seen import SEEN_FILE, SEEN_SECONDS, compare_seen, keep_seen
from service.background.store_health import StoreHealth
from service.background.tasks import Nudge, attempt, repeat, running, whenever
from service.background.upkeep import (
    COMPACTION_SECONDS,
    ROW_CHECK_SECONDS,
    check_rows,
    compact,
    report_corrupt,
    report_refusals,
)
from service.catalog_files import load_catalogs
from service.domain.pages import PageTokens
from service.domain.routing import ChangeSet
from service.readmodel.breaks import HistoryBreaks
from service.readmodel.live import LiveTable, load
from service.readmodel.replicas import Replicas
from service.readmodel.routers import Routers
from service.readmodel.waiting import Waiting
from service.readmodel.watch import Watchers
from service.rpc.boundary import Boundary
from service.rpc.enums import check_enums
from service.rpc.model_service import ModelServicer
from service.rpc.provider_service import ProviderServicer
from service.rpc.routing_codec import CODEC
from service.rpc.routing_service import RoutingServicer
from service.rpc.server import MODEL_SERVICE, PROVIDER_SERVICE, ROUTING_SERVICE, SYSTEM_SERVICE, Server
from service.rpc.system_service import SystemServicer
from service.rpc.threads import open_lanes
from service.sealing.kms_client import KmsClient
from service.sealing.registry_secret import create_registry_secret, load_registry_secret
from service.sealing.sealer import Sealer
from service.settings import Settings
from service.store import (
    Connecting,
    Notice,
    ReadUnit,
    Restored,
    SchemaCheck,
    Storage,
    StoreStartError,
    check_schema,
    migrate,
    open_store,
    restore,
    sqlite_file,
)
from service.usecases.context import Context
from service.usecases.min_revision import at_least
from service.usecases.routers import RouterViews
from service.usecases.routing_source import routing_source
from service.usecases.shared_secret import adopt_secret, check_secret
from service.usecases.system_info import Release
from service.usecases.upstream_calls import UpstreamCalls
from upstreams.addresses import AddressPolicy

CATALOGS = Path(service.__file__).parent.parent / "catalogs"
GRACE_SECONDS = 5.0


def prepare(settings: Settings, *, new: bool = False) -> None:
    """Create or upgrade the database, and on the first time the registry's own secret.

    A data directory that has the secret had a database: one that is gone is not made anew in silence, unless
    ``new`` says that this is meant.

    Raises:
        StoreStartError, RegistrySecretError: one sentence that says what to do.
    """
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = sqlite_file(settings.database_url)
    if database is not None and not database.exists() and settings.registry_secret.exists() and not new:
        raise StoreStartError(
            f"the database file {database} is gone, and this data directory had one: restore a backup with "
            "python -m service restore FILE, or begin with an empty registry: python -m service migrate --new"
        )
    how = _connecting(settings, "migrate")
    migrate(settings.database_url, how=how)
    with closing(open_store(settings.database_url, clock=_now, how=how)) as store:
        if not settings.registry_secret.exists() and store.read(_is_unused):
            create_registry_secret(settings.registry_secret, os.urandom)
        if settings.registry_secret.exists():
            check_secret(store, load_registry_secret(settings.registry_secret))


def check_database(settings: Settings, to: str | None) -> SchemaCheck:
    """Return what the database holds, and whether it can be migrated to ``to`` while replicas use it.

    Raises:
        StoreStartError: one sentence that says what to do.
    """
    return check_schema(settings.database_url, to=to, how=_connecting(settings, "db check"))


def adopt(settings: Settings) -> None:
    """Make this home's secret, a new one if it is gone, the one that the database is used with.

    Raises:
        StoreStartError, RegistrySecretError: one sentence that says what to do; nothing was changed.
    """
    how = _connecting(settings, "secret")
    with closing(open_store(settings.database_url, clock=_now, how=how)) as store:
        if not settings.registry_secret.exists():
            create_registry_secret(settings.registry_secret, os.urandom)
        adopt_secret(store, load_registry_secret(settings.registry_secret))


def restore_backup(settings: Settings, backup: Path) -> Restored:
    """Make a backup the registry's database; the registry must be stopped.

    Raises:
        StoreStartError: one sentence that says what to do; nothing was changed.
    """
    return restore(settings.database_url, backup, now=_now())


def _connecting(settings: Settings, *names: str) -> Connecting:
    """Return how to connect, under a name that says what for and, where that matters, which replica."""
    return Connecting(
        application_name=" ".join(["codevector", *names]),
        max_connections=settings.database_connections,
        pgbouncer=settings.database_pgbouncer,
        password_file=settings.database_password,
    )


def _is_unused(unit: ReadUnit) -> bool:
    """Return whether nothing was written and no secret used: else a missing one is copied, not made."""
    return unit.log.head().revision == 0 and unit.kms.secret_fingerprint() is None


@asynccontextmanager
async def build(
    settings: Settings,
    log: FilteringBoundLogger,
    *,
    open_files: int,
    end: Callable[[int], object] = os._exit,
) -> AsyncIterator[None]:
    """A serving registry for as long as the context lasts; calls in flight get five seconds to end.

    ``open_files`` is how many files, connections among them, the process may have open. ``end`` ends the
    process when its database is lost.

    Raises:
        EnumWithoutRules, StoreStartError, RegistrySecretError, CatalogFileError, PortTaken: one sentence that
            says what to do.
    """
    check_enums()
    async with AsyncExitStack() as stack:
        secret = load_registry_secret(settings.registry_secret)
        catalogs = load_catalogs(CATALOGS)
        replica_id = new_replica_id()
        how = _connecting(settings, "serve", replica_id)
        store = open_store(settings.database_url, clock=_now, how=how, log_limit=settings.change_log_bytes)
        stack.callback(store.close)
        check_secret(store, secret)
        store.on_corrupt = partial(report_corrupt, log)
        kms = stack.enter_context(KmsClient(settings.kms_socket))
        lanes = open_lanes()
        stack.callback(lanes.close)
        connections = connections_of(open_files)
        boundary = Boundary(log, fingerprint_key=secret.derive("codevector/request-fingerprint/1"))
        stack.callback(boundary.report_refusals)
        server = Server(settings.address, boundary, connections=connections)
        stack.push_async_callback(server.close)
        await server.listen()
        # This takes longer the more there is. Balancers are told meanwhile that nothing serves yet.
        source = routing_source(store)
        table = await lanes.following.run(partial(load, source, CODEC))
        url_policy = AddressPolicy(
            allow_loopback_http=settings.allow_loopback_http,
            allow_private=settings.allow_private_upstreams,
        )
        sweep_due = Nudge()
        ctx = Context(
            store=store,
            kms=kms,
            sealer=Sealer(kms, os.urandom),
            catalogs=catalogs,
            url_policy=url_policy,
            page_tokens=PageTokens(secret.derive("codevector/page-token/1")),
            impact_key=secret.derive("codevector/impact-token/1"),
            new_uuid=uuid.uuid4,
            primary_changed=sweep_due,
        )
        live = LiveTable(source, CODEC, lanes.following.run, log, loaded=table)
        breaks = HistoryBreaks(_now)
        seen = settings.home / SEEN_FILE
        await attempt(partial(compare_seen, seen, live, breaks, log), log, telemetry.SNAPSHOT_FAILED)
        shared = store.storage is Storage.POSTGRESQL
        routers = Routers(_now, log, shared=shared)
        replicas = Replicas(replica_id, shared=shared, monotonic=time.monotonic, clock=_now)
        waiting = Waiting(live, routers, replicas)
        notices = None if settings.database_pgbouncer else store.notices()
        tell = ignore_notice if notices is None else notices.tell
        exchange = Exchange(store, live, routers, replicas, waiting, lanes.routers.run, log, tell=tell)
        watchers = Watchers(live, CODEC, routers, clock=_now, written=exchange.written)
        views = RouterViews(live, routers, replicas, waiting, exchange.look)
        upstream_calls = UpstreamCalls(url_policy, now=_now)
        services = [
            (
                PROVIDER_SERVICE,
                ProviderServicer(
                    ctx,
                    lanes,
                    live.reached,
                    upstream_calls=upstream_calls,
                ),
            ),
            (MODEL_SERVICE, ModelServicer(ctx, lanes, live.reached)),
            (
                ROUTING_SERVICE,
                RoutingServicer(ctx, lanes, live, watchers, routers, changed=waiting.changed),
            ),
            (
                SYSTEM_SERVICE,
                SystemServicer(
                    ctx,
                    lanes,
                    views,
                    breaks,
                    Release(release(), settings.build, open_files, connections),
                ),
            ),
        ]
        follower = KeyFollower(
            ctx, lanes.sweep.run, server.report_kms, sweep_due, log, holder=str(uuid.uuid4())
        )

        def committed(change_set: ChangeSet) -> None:
            live.committed(change_set)
            tell(Notice.COMMITTED)

        def advanced() -> None:
            watchers.wake()
            waiting.changed()

        # Who is woken by what: commits advance the table, here and, by a notice, on the other replicas; the
        # table wakes watchers and those who wait for routers and has its breaks counted, and a new primary
        # key version (`primary_changed` above) wakes the sweep.
        store.on_commit = committed
        store.on_loss = end_on_loss(log, end)
        live.on_advance = advanced
        live.on_break = breaks.note
        await exchange.begin()
        # From now on the others wait for this replica. What was written since the table was loaded they may
        # have called reached without it.
        await live.catch_up()
        stack.push_async_callback(attempt, exchange.leave, log, telemetry.ROUTERS_NOT_KEPT)
        compaction_due = Nudge()
        store.on_log_grown = compaction_due
        forget = partial(compact, store, lanes.upkeep.run, log)
        keep = partial(keep_seen, seen, live, lanes.upkeep.run)
        stack.push_async_callback(attempt, keep, log, telemetry.SEEN_NOT_KEPT)
        listening = []
        if notices is not None:
            stack.callback(notices.close)
            hearing = Hearing(notices, look=live.look, flush=exchange.flush, read=exchange.read)
            listening.append(hearing.follow(lanes.notices.run, log))
        await stack.enter_async_context(
            running(
                [
                    *listening,
                    live.follow(),
                    watchers.tick(),
                    exchange.follow(),
                    repeat(keep, SEEN_SECONDS, log, telemetry.SEEN_NOT_KEPT),
                    repeat(
                        partial(report_refusals, boundary.report_refusals),
                        COUNT_SECONDS,
                        log,
                        telemetry.REFUSALS_NOT_LOGGED,
                    ),
                    repeat(forget, COMPACTION_SECONDS, log, telemetry.COMPACTION_FAILED),
                    whenever(compaction_due, forget, log, telemetry.COMPACTION_FAILED),
                    repeat(
                        partial(check_rows, store, lanes.upkeep.run),
                        ROW_CHECK_SECONDS,
                        log,
                        telemetry.ROW_CHECK_FAILED,
                    ),
                    repeat(
                        partial(look, store, lanes.upkeep.run), LOOK_SECONDS, log, telemetry.DATABASE_LOST
                    ),
                    follower.follow(),
                    follower.sweep(),
                ],
                log,
            )
        )
        await server.serve(services, watchers, fresh=partial(at_least, live))
        stack.push_async_callback(server.stop, GRACE_SECONDS, drain_seconds=settings.drain_seconds)
        # After the start, which says that every service is serving.
        health = StoreHealth(store.probe, lanes.upkeep.run, server.report_store, log)
        await stack.enter_async_context(running([health.follow()], log))
        log.info(telemetry.OPEN_FILES, limit=open_files, connections=connections)
        log.info(telemetry.SERVING, address=settings.address, revision=live.current.revision)
        yield
        log.info(telemetry.STOPPING)


def _now() -> datetime:
    return datetime.now(UTC)
