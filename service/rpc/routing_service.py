"""RoutingService: answers from the table in memory, as bytes ready before they were asked for."""

# ruff: noqa: N802 - methods are named as their RPCs

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from codevector.providers.v1 import routing_service_pb2 as pb

from service.domain.errors import RegistryError
from service.domain.history import parse_token
from service.domain.routers import RouterKey
from service.readmodel.live import LiveTable
from service.readmodel.routers import Routers
from service.readmodel.snapshot import Snapshot
from service.readmodel.watch import Watchers, WatchRequest
from service.rpc import convert, errors, routing_codec
from service.rpc.boundary import Exchange
from service.rpc.peers import Send
from service.rpc.threads import Lanes
from service.usecases import routing
from service.usecases.context import Context, ListQuery

BOOKMARK_SECONDS = 15.0
KEPT_PAGE_BYTES = 16 << 20
ENTRY_BYTES = 512


_Asked = tuple[int, str, str]
"""Page size, page token and filter."""


class _Pages:
    """Encoded pages of one snapshot, by what was asked for."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.ready: dict[_Asked, bytes] = {}
        self._room = KEPT_PAGE_BYTES

    def keep(self, asked: _Asked, page: bytes) -> None:
        """Keep a page while there is room. What was asked for is counted too: filters differ for ever."""
        size = len(page) + sum(len(text) for text in asked[1:]) + ENTRY_BYTES
        if size <= self._room:
            self._room -= size
            self.ready[asked] = page


class RoutingServicer:
    """The handlers, by RPC name. Those that hardly ever wait are no coroutines, and answer bytes.

    ``changed`` is called when a router has said something.
    """

    def __init__(
        self,
        ctx: Context,
        lanes: Lanes,
        live: LiveTable,
        watchers: Watchers,
        routers: Routers,
        *,
        changed: Callable[[], None],
    ) -> None:
        self._ctx = ctx
        self._lanes = lanes
        self._live = live
        self._watchers = watchers
        self._routers = routers
        self._changed = changed
        self._pages = _Pages(live.current)

    def GetRoutingSnapshot(self, request: pb.GetRoutingSnapshotRequest, exchange: Exchange) -> bytes:
        snapshot = self._live.current
        held = request.if_token_not
        if held and (held == snapshot.token or self._same_table(held)):
            return routing_codec.NOT_MODIFIED
        return snapshot.whole

    def ListActiveProviderModels(
        self, request: pb.ListActiveProviderModelsRequest, exchange: Exchange
    ) -> bytes | Coroutine[Any, Any, bytes]:
        snapshot = self._live.current
        if self._pages.snapshot is not snapshot:
            self._pages = _Pages(snapshot)
        asked = (request.page_size, request.page_token, request.filter)
        ready = self._pages.ready.get(asked)
        if ready is not None:
            return ready
        query = convert.list_query(request)
        if query.filter:  # tried on every row, which may take as long as hundreds of calls
            return self._filtered(snapshot, asked, query)
        return self._kept(asked, self._page(snapshot, query))

    async def _filtered(self, snapshot: Snapshot, asked: _Asked, query: ListQuery) -> bytes:
        page = await self._lanes.filters.run(lambda: self._page(snapshot, query))
        return self._kept(asked, page) if self._pages.snapshot is snapshot else page

    def _page(self, snapshot: Snapshot, query: ListQuery) -> bytes:
        page = routing.list_active(self._ctx, snapshot, query)
        return routing_codec.encode_page(
            [row.encoded for row in page.rows],
            next_page_token=page.next_page_token,
            token=page.token,
        )

    def _kept(self, asked: _Asked, page: bytes) -> bytes:
        """Keep a page for the next router that asks for the same, which most do."""
        self._pages.keep(asked, page)
        return page

    def ReportAppliedRevision(self, request: pb.ReportAppliedRevisionRequest, exchange: Exchange) -> bytes:
        key = RouterKey(exchange.principal, request.watcher_id, request.session)
        if request.stopping:
            self._routers.stopping(key, exchange.peer())
        else:
            applied = convert.parsed_token(request.token, field="token")
            if applied is not None and applied.revision > self._live.current.revision:
                self._live.look()  # another replica has sent it: it counts as soon as this one has it
            self._routers.reported(key, applied, self._live.ring, exchange.peer())
        self._changed()
        return b""  # The empty message.

    async def WatchRouting(self, request: pb.WatchRoutingRequest, exchange: Exchange, send: Send) -> None:
        interval = request.bookmark_interval
        await self._watchers.watch(
            WatchRequest(
                resume=convert.parsed_token(request.resume_token, field="resume_token"),
                unproven=request.resume_revision > 0 and not request.resume_token,
                bookmark_seconds=interval.seconds + interval.nanos / 1e9 or BOOKMARK_SECONDS,
                strict=request.strict_resume,
                router=RouterKey(exchange.principal, request.watcher_id, request.session)
                if request.watcher_id
                else None,
                peer=exchange.peer(),
            ),
            send,
        )

    async def BatchGetSealedCredentials(
        self, request: pb.BatchGetSealedCredentialsRequest, exchange: Exchange
    ) -> pb.BatchGetSealedCredentialsResponse:
        found = await self._lanes.reads.run(lambda: routing.sealed_credentials(self._ctx, request.providers))
        return pb.BatchGetSealedCredentialsResponse(results=[_result(item) for item in found])

    def _same_table(self, held: str) -> bool:
        """Return whether nothing has changed for routers since the revision of this token."""
        ring, token = self._live.ring, parse_token(held)
        return token is not None and ring.holds(token) and token.content_id == ring.content_id(ring.head)


def _result(item: routing.SealedFor | RegistryError) -> pb.SealedCredentialResult:
    if isinstance(item, RegistryError):
        return pb.SealedCredentialResult(error=errors.status_of(item))
    provider, sealed = item.provider, item.sealed
    return pb.SealedCredentialResult(
        sealed_credential=pb.SealedCredential(
            provider=provider.name,
            provider_uid=str(provider.uid),
            kind=convert.enum_number(provider.kind),
            type=convert.enum_number(sealed.type),
            credential_version=sealed.version,
            envelope=sealed.envelope,
            wrapped_data_key=sealed.wrapped_data_key,
            key_version=sealed.key_version,
            commitment=sealed.commitment,
            context=sealed.context,
            destinations=sealed.destinations,
        )
    )
