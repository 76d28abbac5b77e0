"""The health check, in this process and as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from runtime.health import is_serving

STATUS = health_pb2.HealthCheckResponse


@pytest.fixture
def servicer() -> health.HealthServicer:
    return health.HealthServicer()


@pytest.fixture
def target(servicer: health.HealthServicer) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


class TestIsServing:
    def test_a_server_that_serves(self, target: str) -> None:
        assert is_serving([target])

    @pytest.mark.parametrize("status", [STATUS.NOT_SERVING, STATUS.UNKNOWN], ids=["not serving", "unknown"])
    def test_a_server_that_says_it_does_not(
        self, target: str, servicer: health.HealthServicer, status: int
    ) -> None:
        servicer.set("", status)
        assert not is_serving([target])

    def test_one_of_two_is_not_enough(self, target: str) -> None:
        assert is_serving([target, target])
        assert not is_serving([target, "127.0.0.1:1"])

    def test_a_process_that_imports_nothing_else(self, target: str) -> None:
        program = (
            "import sys\n"
            "from runtime.health import is_serving\n"
            f"print(is_serving([{target!r}]))\n"
            "print(*sorted({name.partition('.')[0] for name in sys.modules}"
            " & {'google', 'sqlalchemy', 'service', 'structlog'}))\n"
        )
        finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert finished.stdout.splitlines() == ["True", ""]


@pytest.mark.parametrize("process", ["service", "kms"])
class TestCommand:
    """``python -m service --health`` and its like, with nobody there."""

    def test_exit_code_and_silence(self, process: str, tmp_path: object) -> None:
        finished = subprocess.run(
            [sys.executable, "-m", process, "--health"],
            env={"CODEVECTOR_HOME": str(tmp_path), "CODEVECTOR_GRPC_PORT": "1", "GRPC_VERBOSITY": "NONE"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (finished.returncode, finished.stdout, finished.stderr) == (1, "", "")

    def test_a_setting_that_cannot_be_used_is_said(self, process: str) -> None:
        finished = subprocess.run(
            [sys.executable, "-m", process, "--health"],
            env={"CODEVECTOR_HOME": "/" + "x" * 200, "CODEVECTOR_GRPC_PORT": "none"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 1
        assert finished.stderr.startswith(f"{process}: CODEVECTOR_")

    def test_version(self, process: str) -> None:
        finished = subprocess.run(
            [sys.executable, "-m", process, "--version"], capture_output=True, text=True, check=True
        )
        assert finished.stdout.startswith({"service": "provider-service ", "kms": "provider-kms "}[process])
