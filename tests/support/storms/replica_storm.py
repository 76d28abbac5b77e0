"""Writers and routers at three registries behind a balancer, and a ledger of what was acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import grpc
from codevector.providers.v1 import provider_pb2
from codevector.providers.v1 import provider_service_pb2 as provider_pb
from codevector.providers.v1 import routing_service_pb2 as pb
from codevector.providers.v1 import system_service_pb2 as system_pb
from codevector.providers.v1.provider_service_pb2_grpc import ProviderServiceStub
from codevector.providers.v1.routing_service_pb2_grpc import RoutingServiceStub
from codevector.providers.v1.system_service_pb2_grpc import SystemServiceStub
from codevector_providers.errors import ProvidersError, RegistryUnavailable
from codevector_providers.router import Router

from tests.support.servers.api import api_key, new_name, openai_compatible, refused
from tests.support.servers.envoy import Balancer
from tests.support.servers.harness import Instance, wait_until
from tests.support.servers.postgres_cluster import Cluster
from tests.support.servers.served import Served
from tests.support.servers.watching import connect

CALL_SECONDS = 20.0
Event = Callable[[], AbstractContextManager[object]]
"""Something that fails at the beginning, and is there again at the end."""
KEY = f"sk-{'a' * 40}"
PATIENCE_SECONDS = 120.0
"""For what takes seconds on an idle machine."""
NOT_DONE = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,  # Envoy, of a connection that broke between request and answer
        grpc.StatusCode.INTERNAL,
    }
)
"""How a write may end that is not acknowledged."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A write that was answered well."""

    name: str
    revision: int
    token: str


@dataclass
class ReplicaStorm:
    """Writers that go on until the end. ``acknowledged`` grows while they do."""

    address: str
    acknowledged: list[Acknowledged] = field(default_factory=list)
    failed: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    running: list[Future[None]] = field(default_factory=list)

    def more(self, count: int) -> None:
        """Return once so many more writes were acknowledged, with a token.

        A registry that is not scheduled for a second answers without one.
        """
        wanted = self._with_token() + count

        def enough() -> bool:
            for each in self.running:
                if each.done():
                    each.result()
                    raise AssertionError("a writer ended too early")
            return self._with_token() >= wanted

        wait_until(enough, seconds=PATIENCE_SECONDS, what=f"{count} more writes are acknowledged")

    def _with_token(self) -> int:
        return sum(bool(one.token) for one in self.acknowledged)

    def write_on(self) -> None:
        """Create providers, each with a credential, one after the other."""
        with connect(self.address) as channel:
            while not self.over.is_set():
                made = write(channel)
                if made is None:
                    self.failed += 1
                    self.over.wait(0.05)
                else:
                    self.acknowledged.append(made)


def write(channel: grpc.Channel) -> Acknowledged | None:
    """Create one provider. None if that was not acknowledged."""
    name = new_name()
    request = provider_pb.CreateProviderRequest(credential=api_key(KEY))
    request.provider.display_name = name
    request.provider.kind = provider_pb2.PROVIDER_KIND_OPENAI_COMPATIBLE
    request.provider.config.CopyFrom(openai_compatible())
    call = ProviderServiceStub(channel).CreateProvider
    try:
        made, ended = call.with_call(request, timeout=CALL_SECONDS)
    except grpc.RpcError as error:
        if error.code() not in NOT_DONE:
            raise
        return None
    trailers = dict(ended.trailing_metadata())
    return Acknowledged(made.name, made.revision, str(trailers.get("x-revision-token", "")))


@contextmanager
def storming(balancer: Balancer, *, writers: int) -> Iterator[ReplicaStorm]:
    """Writers at a balancer, until the block ends."""
    storm = ReplicaStorm(balancer.address)
    with ThreadPoolExecutor(writers) as pool:
        storm.running = [pool.submit(storm.write_on) for _ in range(writers)]
        try:
            yield storm
        finally:
            storm.over.set()
    for each in storm.running:
        each.result()


@contextmanager
def routing(balancer: Served, *, count: int) -> Iterator[list[Router]]:
    """Routers that watch through a balancer."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                Router(
                    balancer.address,
                    kms_socket=balancer.router_socket,
                    watcher_id=f"gw-{number}",
                    max_reconnect_seconds=0.5,
                    bookmark_seconds=1.0,
                )
            )
            for number in range(count)
        ]


def table_of(made: Instance) -> pb.RoutingSnapshot:
    """The table of one registry, asked directly."""
    with connect(made.address) as channel:
        request = pb.GetRoutingSnapshotRequest()
        return RoutingServiceStub(channel).GetRoutingSnapshot(request, timeout=CALL_SECONDS).snapshot


def until_all_agree(
    registries: Sequence[Instance],
    routers: Sequence[Router],
    *,
    least: Collection[str],
    without: Collection[str] = (),
) -> float:
    """Return once every registry and router has one table; after how many seconds.

    It has the providers ``least`` and none of ``without``.
    """
    began = time.monotonic()
    seen: dict[str, object] = {}

    def agree() -> bool:
        try:
            tables = [table_of(each) for each in registries]
            of_routers = [router.table for router in routers]
        except (grpc.RpcError, RegistryUnavailable):
            return False
        names = {one.name for one in tables[0].providers}
        held = [(table.token, set(table.providers)) for table in of_routers]
        seen.update(tables=[table.revision for table in tables], routers=[len(one) for _, one in held])
        return (
            names.issuperset(least)
            and names.isdisjoint(without)
            and all(table == tables[0] for table in tables)
            and all(one == names for _, one in held)
            and all(token == tables[0].token for token, _ in held)
        )

    try:
        wait_until(agree, seconds=PATIENCE_SECONDS, what="all tables are the same")
    except AssertionError as error:
        raise AssertionError(f"{error}: {seen}") from None
    return time.monotonic() - began


def opens(router: Router, provider: str) -> bool:
    """Whether a router opens a credential."""
    try:
        return router.credential(provider).reveal("api_key") == KEY
    except ProvidersError:
        return False


def check_lost(made: Instance, lost: Sequence[Acknowledged]) -> None:
    """The token of each says that the write was lost."""
    with connect(made.address) as channel:
        wait = SystemServiceStub(channel).AwaitAppliedRevision
        for token in [one.token for one in lost if one.token]:
            request = system_pb.AwaitAppliedRevisionRequest(token=token)
            refusal = refused(partial(wait, request, timeout=CALL_SECONDS))
            assert refusal.code is grpc.StatusCode.OUT_OF_RANGE, refusal
            assert refusal.reason in ("STORE_CHANGED", "REVISION_AHEAD"), refusal


def endure(
    cluster: Cluster,
    registries: Sequence[Instance],
    balancer: Balancer,
    events: Sequence[Event],
    *,
    writes: int,
    writers: int,
) -> str:
    """Everything that fails, one after the other, while writers write and routers watch.

    Nothing that was acknowledged is lost, but by an older copy that takes the place of the database: then the
    token of the write says so. Returns how long all tables took to be the same afterwards.
    """
    with routing(balancer, count=3) as routers:
        with storming(balancer, writers=writers) as storm:
            for event in events:
                storm.more(writes)
                with event():
                    storm.more(writes)
        kept = {one.name for one in storm.acknowledged}
        seconds = [until_all_agree(registries, routers, least=kept)]

        dump = cluster.dump()
        with storming(balancer, writers=writers) as storm:
            storm.more(writes)
        lost, failed = storm.acknowledged, storm.failed
        until_all_agree(registries, routers, least=kept | {one.name for one in lost})
        cluster.restore(dump)
        with storming(balancer, writers=writers) as storm:
            storm.more(writes)
        kept |= {one.name for one in storm.acknowledged}
        seconds.append(until_all_agree(registries, routers, least=kept))
        assert not {one.name for one in lost} & {one.name for one in table_of(registries[0]).providers}
        for made in registries:
            check_lost(made, lost)

        cluster.start_standby()
        cluster.confirm_writes()
        with storming(balancer, writers=writers) as storm:
            storm.more(writes)
            cluster.kill("a")
            cluster.promote()
            storm.more(writes)
        kept |= {one.name for one in storm.acknowledged}
        seconds.append(until_all_agree(registries, routers, least=kept))
        for router in routers:
            wait_until(partial(opens, router, min(kept)), what="a credential opens")
    return (
        f"{len(events)} failures, {len(kept)} writes kept, {len(lost)} lost, {failed + storm.failed} not "
        f"acknowledged; all tables the same after {', '.join(f'{each:.1f}' for each in seconds)} s"
    )


@contextmanager
def killed_service(made: Instance) -> Iterator[None]:
    """A registry that is killed, and started again afterwards."""
    made.kill_service()
    yield
    made.start_service()


@contextmanager
def killed_kms(made: Instance) -> Iterator[None]:
    """A sidecar that is killed, and started again afterwards."""
    made.kill_kms()
    yield
    made.start_kms()
