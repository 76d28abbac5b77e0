"""The server's limits and channel options; apart, so that the benchmark's bare server has the same."""

import gc
import sys

MAX_RECEIVE_BYTES = 1 << 20
MAX_SEND_BYTES = 64 << 20
MAX_METADATA_BYTES = 16 << 10
MAX_PENDING = 20_000

MAX_STREAMS = 128
"""Of one connection. Streams that were reset count until they are cleared away, and wait in one line with all
others before that: a client that resets at once holds up the rest by so many."""
HANDSHAKE_SECONDS = 5

OPTIONS = (
    ("grpc.so_reuseport", 0),  # else a second server on the port starts too, and shares it silently
    ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
    ("grpc.max_send_message_length", MAX_SEND_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.max_concurrent_streams", MAX_STREAMS),
    # What connects and does not speak HTTP/2 is disconnected. There is no limit on idle connections: gRPC
    # ends them with an error code that its clients write to their stderr each time.
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
    # A thousand routers may connect at once, after a restart: by default a part of them would be turned away.
    ("grpc.server.max_pending_requests", MAX_PENDING),
    ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING),
    # Clients ping every 30 s; the default minimum of 5 min would answer them with GOAWAY.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # A router whose machine is gone does not say so: its watch ends when no answer comes.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),  # what holds in gRPC 1.85, by default 60 s
    # Spreads the watchers over the replicas again, some time after one was added; gRPC adds a random tenth.
    ("grpc.max_connection_age_ms", 30 * 60_000),
    ("grpc.max_connection_age_grace_ms", 90_000),
)


def server_options(connections: int) -> tuple[tuple[str, int], ...]:
    """Return the options of a server that takes so many connections; one more is closed at once."""
    return (*OPTIONS, ("grpc.max_allowed_incoming_connections", connections))


def freeze_startup_objects() -> None:
    """Exclude objects allocated during start-up from garbage collection, and collect less often.

    Each open watch is many objects that live for hours. By default a change sent to thousands of them makes
    the collector walk them all several times, which takes longer than the sending.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def share_the_interpreter() -> None:
    """Let the event loop have the interpreter back from a computing thread within half a millisecond.

    By default it waits for 5 ms at each turn: one filter over the routing table gave others a p99 of 10 ms.
    """
    sys.setswitchinterval(0.0005)
