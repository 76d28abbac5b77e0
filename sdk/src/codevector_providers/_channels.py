"""Options of the gRPC channels: no proxy from the environment, and a server that came back is found soon.

How soon is a matter of the initial and the longest backoff. What gRPC calls the least backoff is how long it
lets one attempt to connect take: a busy machine, or a registry in another region, needs its time.
"""

from __future__ import annotations

_MAX_ANSWER_BYTES = 64 * 1024 * 1024

LOCAL_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 500),
)
REGISTRY_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", _MAX_ANSWER_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 5000),
)
