"""SystemService: how data keys are wrapped and moved, the proofs of it, and who has which revision."""

# ruff: noqa: N802 - methods are named as their RPCs

from __future__ import annotations

from collections.abc import Mapping

from codevector.providers.v1 import system_service_pb2 as pb

from service.domain.routers import Router
from service.readmodel.breaks import HistoryBreak, HistoryBreaks
from service.rpc import convert
from service.rpc.boundary import Exchange
from service.rpc.threads import Lanes
from service.store import DataKeyFault, Storage
from service.usecases import data_key_verification, encryption_status, rotation, system_info
from service.usecases.context import Context
from service.usecases.encryption_status import SweepState
from service.usecases.routers import RouterViews
from service.usecases.system_info import Release

WAIT_SECONDS = 30.0
SHOWN_LAGGING = 100

_SWEEP_STATES = {
    SweepState.DONE: pb.GetEncryptionStatusResponse.SWEEP_STATE_DONE,
    SweepState.RUNNING: pb.GetEncryptionStatusResponse.SWEEP_STATE_RUNNING,
    SweepState.WAITING: pb.GetEncryptionStatusResponse.SWEEP_STATE_WAITING,
    SweepState.BLOCKED: pb.GetEncryptionStatusResponse.SWEEP_STATE_BLOCKED,
}


_STORAGE = {
    Storage.SQLITE: pb.GetSystemInfoResponse.STORAGE_SQLITE,
    Storage.POSTGRESQL: pb.GetSystemInfoResponse.STORAGE_POSTGRESQL,
}


class SystemServicer:
    """The handlers, by RPC name."""

    def __init__(
        self,
        ctx: Context,
        lanes: Lanes,
        views: RouterViews,
        breaks: HistoryBreaks,
        release: Release,
    ) -> None:
        self._ctx = ctx
        self._lanes = lanes
        self._routers = views
        self._breaks = breaks
        self._release = release

    async def GetSystemInfo(
        self, request: pb.GetSystemInfoRequest, exchange: Exchange
    ) -> pb.GetSystemInfoResponse:
        found = await self._lanes.reads.run(lambda: system_info.system_info(self._ctx))
        return pb.GetSystemInfoResponse(
            version=self._release.version,
            build=self._release.build,
            store_id=str(found.head.store_id),
            revision=found.head.revision,
            compact_revision=found.head.compact_revision,
            storage=_STORAGE[found.storage],
            open_file_limit=self._release.open_files,
            connection_limit=self._release.connections,
            history_break_count=self._breaks.count,
            last_history_break=_history_break(self._breaks.last),
            unreadable_rows=[
                pb.UnreadableRows(table=table, columns=columns)
                for table, columns in found.unreadable_rows.items()
            ],
        )

    async def GetEncryptionStatus(
        self, request: pb.GetEncryptionStatusRequest, exchange: Exchange
    ) -> pb.GetEncryptionStatusResponse:
        found = await self._lanes.keys.run(
            lambda: encryption_status.encryption_status(self._ctx, exchange.call)
        )
        registry = found.registry
        audit = found.audit
        times = (registry.notice_time, audit.notice_time if audit else None)
        noticed = [time for time in times if time is not None]
        return pb.GetEncryptionStatusResponse(
            primary_key_version=registry.primary_key_version,
            usage=_usage(found.backlog.usage),
            data_key_count=found.backlog.total,
            stale_data_key_count=found.backlog.stale,
            kms_healthy=found.kms_healthy,
            kms_message=found.kms_message,
            quarantined_count=found.backlog.quarantined,
            sweep_state=_SWEEP_STATES[found.sweep_state],
            quarantined=[_failure(fault) for fault in found.quarantined],
            kms_primary_key_version=found.kms_primary_key_version,
            keyring_seq=registry.keyring_seq,
            deployment_id=(registry.deployment_id or b"").hex(),
            audit_seq=audit.seq if audit else 0,
            audit_head=audit.head if audit else b"",
            audit_public_key=audit.public_key if audit else b"",
            notice_time=max(noticed, default=None),
        )

    async def RewrapDataKeys(
        self, request: pb.RewrapDataKeysRequest, exchange: Exchange
    ) -> pb.RewrapDataKeysResponse:
        done = await self._lanes.keys.run(
            lambda: rotation.rewrap_data_keys(
                self._ctx,
                exchange.call,
                batch_size=request.batch_size,
                release_quarantined=request.release_quarantined,
            )
        )
        return pb.RewrapDataKeysResponse(
            rewrapped_count=done.moved,
            remaining_count=done.backlog.remaining,
            primary_key_version=done.primary_key_version,
            failures=[_failure(fault) for fault in done.failures],
            quarantined_count=done.backlog.quarantined,
        )

    async def VerifyDataKeys(
        self, request: pb.VerifyDataKeysRequest, exchange: Exchange
    ) -> pb.VerifyDataKeysResponse:
        page = await self._lanes.keys.run(
            lambda: data_key_verification.verify_data_keys(
                self._ctx, exchange.call, page_size=request.page_size, page_token=request.page_token
            )
        )
        return pb.VerifyDataKeysResponse(
            verified_count=page.sound,
            failed_count=len(page.failures),
            usage=_usage(page.usage),
            failures=[
                pb.VerifyFailure(resource=one.resource, reason=one.reason, key_version=one.key_version)
                for one in page.failures
            ],
            next_page_token=page.next_page_token,
        )

    async def DigestProviders(
        self, request: pb.DigestProvidersRequest, exchange: Exchange
    ) -> pb.DigestProvidersResponse:
        digest = await self._lanes.reads.run(lambda: encryption_status.providers_digest(self._ctx))
        return pb.DigestProvidersResponse(
            sha256=digest.sha256,
            provider_count=digest.providers,
            credential_count=digest.credentials,
            provider_model_count=digest.provider_models,
            revision=digest.revision,
            store_id=str(digest.store_id),
        )

    async def ListRouters(self, request: pb.ListRoutersRequest, exchange: Exchange) -> pb.ListRoutersResponse:
        found = self._routers.page(self._ctx, convert.list_query(request))
        return pb.ListRoutersResponse(
            routers=[_router(one) for one in found.page.items],
            next_page_token=found.page.next_page_token,
            total_size=found.page.total_size,
            revision=found.revision,
            min_applied_revision=found.min_applied_revision,
            view_time=found.view_time,
            silent_replicas=found.silent_replicas,
        )

    async def AwaitAppliedRevision(
        self, request: pb.AwaitAppliedRevisionRequest, exchange: Exchange
    ) -> pb.AwaitAppliedRevisionResponse:
        timeout = request.timeout
        progress = await self._routers.await_applied(
            exchange.call,
            revision=request.revision,
            token=convert.parsed_token(request.token, field="token"),
            seconds=timeout.seconds + timeout.nanos / 1e9 if request.HasField("timeout") else WAIT_SECONDS,
        )
        return pb.AwaitAppliedRevisionResponse(
            reached=progress.reached,
            revision=progress.revision,
            router_count=progress.router_count,
            applied_count=progress.router_count - len(progress.lagging),
            lagging=[_router(one) for one in progress.lagging[:SHOWN_LAGGING]],
            silent_replicas=progress.silent_replicas,
        )


def _history_break(last: HistoryBreak | None) -> pb.HistoryBreak | None:
    if last is None:
        return None
    return pb.HistoryBreak(
        notice_time=last.time,
        lost_revision=last.had.revision,
        lost_token=str(last.had),
        revision=last.has.revision,
        token=str(last.has),
    )


def _router(router: Router) -> pb.Router:
    return pb.Router(
        watcher_id=router.watcher_id,
        applied_revision=router.applied_revision,
        watching=router.watching,
        peer=router.peer,
        seen_time=router.seen_time,
        apply_time=router.apply_time,
        forget_time=router.forget_time,
        session_id=router.session_id,
        replicas=router.replicas,
    )


def _usage(counts: Mapping[str, int]) -> list[pb.KeyVersionUsage]:
    return [
        pb.KeyVersionUsage(key_version=version, data_key_count=count) for version, count in counts.items()
    ]


def _failure(fault: DataKeyFault) -> pb.RewrapFailure:
    return pb.RewrapFailure(
        resource=f"dataKeys/{fault.dek_id}"
        if fault.provider_id is None
        else f"providers/{fault.provider_id}",
        reason=fault.fault,
        failed_count=fault.failed_count,
        key_version=fault.key_version,
    )
