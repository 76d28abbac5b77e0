"""MLflow's AI Gateway in an environment of its own: its secrets, its `rotate-kek`, its server."""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT, pin
from tests.support.servers.ports import free_port
from tools.setup import INDEX_FIX, PYTHON, pip_configuration, uv_settings
from tools.steps import TOOLS, environment, one_at_a_time, run, say

VERSION = "3.17.2"
HOME = TOOLS / "mlflow"
START_SECONDS = 300.0
CALL_SECONDS = 60.0
_CHAT = {"messages": [{"role": "user", "content": "bench"}]}
_COMPLETION = {
    "id": "bench",
    "object": "chat.completion",
    "created": 1,
    "model": "bench-model",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def install() -> None:
    """MLflow in .tools/mlflow, never in .venv.

    Raises:
        StepFailed: the package index does not give it, or it does not fit this machine.
    """
    stamp = HOME / "installed"
    if stamp.exists() and stamp.read_text() == VERSION:
        return
    with one_at_a_time():
        say(f"installing MLflow {VERSION} into {HOME.relative_to(ROOT)}")
        env = environment(**uv_settings(pip_configuration(), os.environ))
        uv = [PYTHON, "-m", "uv"]
        run([*uv, "venv", "-q", "--clear", "--python", PYTHON, HOME], fix=INDEX_FIX, env=env)
        target = ["--python", HOME / "bin" / "python"]
        run([*uv, "pip", "install", "-q", *target, f"mlflow=={VERSION}"], fix=INDEX_FIX, env=env)
        stamp.write_text(VERSION)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a command took: seconds, and CPU seconds of it and its children."""

    seconds: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Gateway:
    """A SQLite store with secrets. A KEK of its is a passphrase and a number, both in the environment."""

    database: Path
    upstream: str

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.database}"

    def fill(self, secrets: int, endpoints: int) -> None:
        """So many secrets under KEK 1, the first of them with an endpoint each."""
        script = ROOT / "benchmarks" / "mlflow_secrets.py"
        self._run("python", str(script), self.uri, str(secrets), str(endpoints), self.upstream, kek=1)

    def fill_models(self, models: int) -> None:
        """So many model definitions with an endpoint each, which share the first secret."""
        self._run("python", str(ROOT / "benchmarks" / "mlflow_models.py"), self.uri, str(models), kek=1)

    def rotate_kek(self, kek: int) -> Spent:
        """From this KEK to the next, by MLflow's own command."""
        before, started = _children_cpu(), time.perf_counter()
        self._run("mlflow", "crypto", "rotate-kek", "--yes", "--backend-store-uri", self.uri,
                  "--new-passphrase", _passphrase(kek + 1), kek=kek)  # fmt: skip
        return Spent(time.perf_counter() - started, _children_cpu() - before)

    def under(self, kek: int) -> int:
        """How many secrets are wrapped under this KEK."""
        with closing(sqlite3.connect(self.database, timeout=CALL_SECONDS)) as connection:
            query = "SELECT count(*) FROM secrets WHERE kek_version = ?"
            return int(connection.execute(query, (kek,)).fetchone()[0])

    def _run(self, *command: str, kek: int) -> None:
        done = subprocess.run(
            [str(HOME / "bin" / command[0]), *command[1:]],
            cwd=self.database.parent,
            env=_environment(kek),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[:3]} failed: {done.stderr[-2000:]}")

    @contextmanager
    def serving(self, kek: int, *, core: int | None = None) -> Iterator[GatewayServer]:
        """One worker, without its job runner; on one core if asked."""
        port = free_port()
        log = self.database.parent / "server.log"
        started = time.perf_counter()
        with log.open("wb") as output:
            child = subprocess.Popen(
                [*([] if core is None else pin(core)), HOME / "bin" / "mlflow", "server",
                 "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                 "--backend-store-uri", self.uri],
                cwd=self.database.parent, env=_environment(kek), stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        try:
            while not _healthy(port):
                if child.poll() is not None or time.perf_counter() - started > START_SECONDS:
                    raise RuntimeError(f"MLflow does not serve: {log.read_text()[-2000:]}")
                time.sleep(0.1)
            yield GatewayServer(port, child.pid, self.upstream, time.perf_counter() - started)
        finally:
            os.killpg(child.pid, signal.SIGTERM)
            child.wait(60)


@dataclass(frozen=True, slots=True)
class GatewayServer:
    """A running one. Every call answers whether it succeeded."""

    port: int
    group: int
    upstream: str
    started_seconds: float

    def chat(self, endpoint: str) -> bool:
        """Through the gateway to an upstream, for which it has to open the endpoint's secret."""
        return _post(self.port, f"/gateway/{endpoint}/mlflow/invocations", _CHAT)[0] == 200

    def create_secret(self, name: str) -> str:
        """The id of a new secret, empty where it was not created."""
        body = {
            "secret_name": name,
            "secret_value": {"api_key": "sk-" + "c" * 40},
            "provider": "openai",
            "auth_config": {"api_base": self.upstream},
        }
        status, answer = self._create("secrets", body)
        return str(answer["secret"]["secret_id"]) if status == 200 else ""

    def create_endpoint(self, name: str, secret_id: str) -> None:
        """An endpoint that uses the secret."""
        model = {"name": name, "secret_id": secret_id, "provider": "openai", "model_name": "bench-model"}
        _, made = self._create("model-definitions", model)
        mapping = {
            "model_definition_id": made["model_definition"]["model_definition_id"],
            "linkage_type": "PRIMARY",
            "weight": 1.0,
        }
        status, answer = self._create(
            "endpoints", {"name": name, "model_configs": [mapping], "usage_tracking": False}
        )
        assert status == 200, answer

    def _create(self, what: str, body: Mapping[str, object]) -> tuple[int, dict[str, Any]]:
        return _post(self.port, f"/api/3.0/mlflow/gateway/{what}/create", body)


@contextmanager
def upstream() -> Iterator[str]:
    """The address of a provider on loopback that says the same to everybody."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            body = json.dumps(_COMPLETION).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the base class
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def _environment(kek: int) -> dict[str, str]:
    """Nothing leaves the machine: no telemetry, and the upstream may be on loopback."""
    return environment(
        MLFLOW_CRYPTO_KEK_PASSPHRASE=_passphrase(kek),
        MLFLOW_CRYPTO_KEK_VERSION=str(kek),
        MLFLOW_DISABLE_TELEMETRY="true",
        DO_NOT_TRACK="true",
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
        MLFLOW_GATEWAY_API_BASE_ALLOWED_SCHEMES="http,https",
        MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS="true",
    )


def _passphrase(kek: int) -> str:
    return f"bench-passphrase-of-more-than-32-characters-{kek}"


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _healthy(port: int) -> bool:
    try:
        return _request(port, "GET", "/health", None)[0] == 200
    except OSError:
        return False


def _post(port: int, path: str, body: Mapping[str, object]) -> tuple[int, dict[str, Any]]:
    status, content = _request(port, "POST", path, json.dumps(body))
    return status, json.loads(content)


def _request(port: int, method: str, path: str, body: str | None) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_SECONDS)) as connection:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
