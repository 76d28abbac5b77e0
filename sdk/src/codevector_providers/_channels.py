"""The gRPC channels: no proxy from the environment, and a quick reconnect to a restarted server.

The initial and the maximum backoff decide how quick. What gRPC calls the minimum backoff is the timeout of
one attempt to connect: a busy machine, or a registry in another region, needs time.

A connection to a registry may die silently, in a proxy or with its machine. Calls on it would fail one by
one, so keepalive pings test it, and a connection that does not respond is replaced.
"""

from __future__ import annotations

import re

import grpc

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
    # Otherwise a new client would inherit the backoff of one that could not reach the registry.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", _MAX_ANSWER_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 5000),
    ("grpc.keepalive_time_ms", 30_000),  # registries close connections that ping more often than every 10 s
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),  # the one that gRPC 1.85 obeys, by default 60 s
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)

_LOOPBACK = re.compile(
    r"(?:ipv4:|ipv6:|dns:(?:///)?)?(?:localhost|127\.[0-9.]+|\[::1\])(?::\d+)?|unix:.+", re.ASCII
)


def registry_channel(
    target: str,
    *,
    credentials: grpc.ChannelCredentials | None,
    with_token: bool,
    max_reconnect_seconds: float,
) -> grpc.Channel:
    """Return a channel to a registry: TLS or mTLS with ``credentials``, else plaintext.

    Raises:
        ValueError: a token would go over a network in plaintext.
    """
    options = (
        *(pair for pair in REGISTRY_OPTIONS if pair[0] != "grpc.max_reconnect_backoff_ms"),
        ("grpc.max_reconnect_backoff_ms", round(max_reconnect_seconds * 1000)),
    )
    if credentials is not None:
        return grpc.secure_channel(target, credentials, options=options)
    if with_token and not _LOOPBACK.fullmatch(target):
        raise ValueError("a token to another machine needs TLS: pass channel_credentials")
    return grpc.insecure_channel(target, options=options)
