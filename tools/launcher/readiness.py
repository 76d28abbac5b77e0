"""Wait until the registry responds SERVING: a process of its own, as the launcher must not load grpc.

`python -m tools.launcher.readiness PORT SECONDS`; exit code 0 when it serves, 1 when it did not in time.
"""

from __future__ import annotations

import sys
import time

import grpc
from grpc_health.v1 import health_pb2

INTERVAL_SECONDS = 0.05


def serves(port: int, *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        # A new channel for each try: one that was refused waits a second or more before the next.
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            try:
                answer = check(health_pb2.HealthCheckRequest(), timeout=1)
            except grpc.RpcError:
                time.sleep(INTERVAL_SECONDS)
                continue
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return True
        time.sleep(INTERVAL_SECONDS)
    return False


if __name__ == "__main__":
    sys.exit(0 if serves(int(sys.argv[1]), seconds=float(sys.argv[2])) else 1)
