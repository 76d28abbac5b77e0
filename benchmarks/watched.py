"""The servers that a change is spread by, each with a way to watch it and one to change something."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import grpc
from codevector.providers.v1 import (
    provider_model_pb2,
    routing_service_pb2,
    routing_service_pb2_grpc,
)
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from benchmarks import etcd
from benchmarks.load import WIRE
from benchmarks.processes import Server, program, serving
from benchmarks.registry import PROVIDERS, ROUTING, fill, model_name, registry
from benchmarks.streams import Delivery, Streams, streaming
from tests.support.servers.harness import instance
from tests.support.servers.ports import free_port

BROADCAST = "bench.Broadcast"
LONGEST_SILENCE = Duration(seconds=60)
"""Between bookmarks, so that few of them fall into a measurement."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A server. ``change`` makes the next request of ``change_method``; ``began`` is when it committed."""

    name: str
    server: Server
    method: str
    request: bytes
    change_method: str
    change: Callable[[], bytes]
    is_event: Callable[[bytes], bool]
    began: Callable[[Delivery], int]
    half_open: bool = False

    @contextmanager
    def streams(self, streams: int, connections: int) -> Iterator[Streams]:
        """So many watchers."""
        with streaming(
            self.server,
            self.method,
            self.request,
            streams=streams,
            connections=connections,
            half_open=self.half_open,
        ) as opened:
            yield opened

    def deliver(self, streams: Streams) -> Delivery:
        """One change, until all of them have it."""
        return streams.deliver(self.change_method, self.change(), self.is_event)


@contextmanager
def ours(models: int) -> Iterator[Watched]:
    """A registry whose watchers resume from the current revision; a change is one of a provider model."""
    numbers = count()

    def change() -> bytes:
        number = next(numbers)
        request = pb.UpdateProviderModelRequest(
            provider_model=provider_model_pb2.ProviderModel(
                name=model_name(number % models), context_window=100_000 + number
            ),
            update_mask=FieldMask(paths=["context_window"]),
        )
        return request.SerializeToString()

    def began(delivery: Delivery) -> int:
        times = map(int, notes.read_text().split())
        return max(time for time in times if delivery.sent <= time <= delivery.answered)

    with instance() as made:
        fill(made, models)
        notes = made.home / "commits"
        with registry(made, "benchmarks.committed", str(notes)) as (_, server):
            yield Watched(
                "ours",
                server,
                f"{ROUTING}/WatchRouting",
                _from_now(server),
                f"{PROVIDERS}/UpdateProviderModel",
                change,
                _is_change_set,
                began,
            )


def _from_now(server: Server) -> bytes:
    with grpc.insecure_channel(
        server.address, options=[("grpc.max_receive_message_length", 64 << 20)]
    ) as channel:
        stub = routing_service_pb2_grpc.RoutingServiceStub(channel)
        snapshot = stub.GetRoutingSnapshot(routing_service_pb2.GetRoutingSnapshotRequest()).snapshot
    return routing_service_pb2.WatchRoutingRequest(
        resume_revision=snapshot.revision, store_id=snapshot.store_id, bookmark_interval=LONGEST_SILENCE
    ).SerializeToString()


def _is_change_set(message: bytes) -> bool:
    return routing_service_pb2.WatchRoutingResponse.FromString(message).HasField("change_set")


@contextmanager
def bare_grpcio(size: int) -> Iterator[Watched]:
    """The limit in Python: nothing but the writing."""
    port = free_port()
    with serving(
        ["benchmarks.bare_broadcast", str(port)], "broadcast serving", f"127.0.0.1:{port}"
    ) as server:
        yield _broadcast("bare grpcio", server, size)


@contextmanager
def bare_grpc_go(size: int) -> Iterator[Watched]:
    """The same in Go: a goroutine per stream that waits for a channel to be closed."""
    address = f"127.0.0.1:{free_port()}"
    with program([str(WIRE), "broadcast", address], "broadcast serving", address) as server:
        yield _broadcast("bare grpc-go", server, size)


def _broadcast(name: str, server: Server, size: int) -> Watched:
    contents = _contents(size)
    return Watched(
        name,
        server,
        f"{BROADCAST}/Watch",
        b"first",
        f"{BROADCAST}/Publish",
        lambda: next(contents),
        lambda message: len(message) == size,
        lambda delivery: int(delivery.answer),
    )


@contextmanager
def one_etcd(size: int) -> Iterator[Watched]:
    """One node and one key. When it commits cannot be seen from outside, so its time is that of the call."""
    contents = _contents(size)
    with etcd.serving_etcd() as server:
        yield Watched(
            f"etcd {etcd.version()}",
            server,
            etcd.WATCH,
            etcd.watch_request(),
            etcd.PUT,
            lambda: etcd.put_request(next(contents)),
            lambda message: len(message) > size,
            lambda delivery: delivery.sent,
            half_open=True,
        )


def _contents(size: int) -> Iterator[bytes]:
    return (b"%08d" % number + b"." * (size - 8) for number in count())
