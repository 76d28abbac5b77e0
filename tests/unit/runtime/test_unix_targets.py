"""A socket is reached whatever its path means in a URI."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest
from grpc_health.v1 import health, health_pb2_grpc

from runtime.health import is_serving
from runtime.unix_targets import unix_target


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path: socket paths have at most 107 bytes."""
    with TemporaryDirectory(prefix="unix-") as name:
        yield Path(name)


@pytest.mark.parametrize("name", ["x#fragment", "x%41", "x?query", "x y", "x:y;z", "ü", "x&y=z+w", "-x"])
def test_a_server_is_found_there(directory: Path, name: str) -> None:
    path = directory / name
    server = grpc.server(ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    server.add_insecure_port(unix_target(path))
    server.start()
    try:
        assert path.is_socket()
        assert is_serving([unix_target(path)])
    finally:
        server.stop(None)
