"""A watch over gRPC, read message by message as the bytes that came, and what tests do with several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from codevector.providers.v1 import routing_service_pb2 as pb
from codevector.providers.v1 import system_service_pb2 as system_pb2
from codevector.providers.v1.system_service_pb2_grpc import SystemServiceStub

from tests.support.servers.api import Refusal, refusal_of
from tests.support.servers.served import Served
from tests.support.values.router_table import Follower, Ledger, RouterTable

METHOD = "/codevector.providers.v1.RoutingService/WatchRouting"
SECONDS = 120.0
CHANNEL_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.max_receive_message_length", 64 << 20),
)


NARROW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_535))
"""For a connection that takes no more than this from the server before its client reads."""


def connect(address: str, *options: tuple[str, int]) -> grpc.Channel:
    """A connection of its own, that tries again soon."""
    return grpc.insecure_channel(address, options=[*CHANNEL_OPTIONS, *options])


@dataclass
class Watch:
    """One open stream and the table that it keeps. What takes longer than two minutes fails the test."""

    channel: grpc.Channel
    table: RouterTable = field(default_factory=RouterTable)
    ledger: Ledger = field(default_factory=Ledger)
    request: dict[str, Any] = field(default_factory=dict)
    octets: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        request = pb.WatchRoutingRequest(**{"resume_token": self.table.token, **self.request})
        self._follower = Follower(self.table, self.ledger)
        open_stream: Any = self.channel.unary_stream(METHOD)
        self._call = open_stream(request.SerializeToString(), timeout=SECONDS)

    def message(self) -> pb.WatchRoutingResponse:
        """The next message, applied."""
        self.octets.append(next(self._call))
        return self._follower.take(self.octets[-1])

    def messages(self) -> Iterator[pb.WatchRoutingResponse]:
        """One after the other, until the stream ends well."""
        while True:
            yield self.message()

    def snapshot(self) -> list[pb.SnapshotChunk]:
        """The chunks of a snapshot that comes next."""
        chunks = []
        for message in self.messages():
            assert message.WhichOneof("event") == "snapshot_chunk"
            chunks.append(message.snapshot_chunk)
            if message.snapshot_chunk.last:
                break
        return chunks

    def change_set(self) -> pb.WatchRoutingResponse:
        """The next message, bookmarks aside, which is a change set."""
        for message in self.messages():
            if message.WhichOneof("event") != "bookmark":
                break
        assert message.WhichOneof("event") == "change_set"
        return message

    def bookmark(self) -> pb.WatchRoutingResponse:
        """The next message, which is a bookmark."""
        message = self.message()
        assert message.WhichOneof("event") == "bookmark"
        return message

    def until(self, revision: int) -> list[pb.WatchRoutingResponse]:
        """All messages until the table is at a revision."""
        had = []
        while self.table.revision < revision:
            had.append(self.message())
        return had

    def end(self) -> Refusal:
        """Read on until the stream ends, as it must, with an error of the registry."""
        try:
            for _ in self.messages():
                pass
        except grpc.RpcError as error:
            self._follower.end()
            return refusal_of(error)
        raise AssertionError("unreachable: streams do not end well")

    def close(self) -> None:
        """Go away."""
        self._call.cancel()
        self._follower.end()


@contextmanager
def watching(
    made: Served, table: RouterTable | None = None, *, ledger: Ledger | None = None, **request: Any
) -> Iterator[Watch]:
    """A watch of its own connection that resumes from a table, or begins with none."""
    with connect(made.address) as channel:
        opened = Watch(channel, table or RouterTable(), ledger or Ledger(), request)
        try:
            yield opened
        finally:
            opened.close()


def watcher_count(made: Served, text: str = "watching = true") -> int:
    """How many named watchers the registry knows that a filter takes."""
    assert made.channel is not None
    request = system_pb2.ListRoutersRequest(filter=text)
    return SystemServiceStub(made.channel).ListRouters(request, timeout=SECONDS).total_size
