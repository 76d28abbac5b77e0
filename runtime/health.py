"""A health check from outside, such as a container's every few seconds: it costs little but grpc's import."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import ModuleType

SECONDS = 3.0
_METHOD = "/grpc.health.v1.Health/Check"
_ALL_SERVICES = b""
_SERVING = b"\x08\x01"
"""A HealthCheckResponse with the status SERVING. Its bytes spare the import of protobuf."""


def is_serving(targets: Iterable[str]) -> bool:
    """Return whether every one of the servers says that it is serving."""
    return all(_is_serving(target) for target in targets)


def _is_serving(target: str) -> bool:
    # Importing grpc imports its asyncio half, unless that is there already: 40 % of the cost, unused here.
    sys.modules.setdefault("grpc.aio", ModuleType("grpc.aio"))
    import grpc

    with grpc.insecure_channel(target, options=(("grpc.enable_http_proxy", 0),)) as channel:
        check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_METHOD)
        try:
            return check(_ALL_SERVICES, timeout=SECONDS) == _SERVING
        except grpc.RpcError:
            return False
