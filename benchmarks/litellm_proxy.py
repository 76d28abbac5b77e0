"""LiteLLM's proxy in an environment of its own, with models from a file and no database."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.processes import ROOT, SERVER_CORE, pin
from tests.support.servers.ports import free_port
from tools.setup import INDEX_FIX, PYTHON, pip_configuration, uv_settings
from tools.steps import TOOLS, environment, one_at_a_time, run, say

VERSION = "1.108.7"
HOME = TOOLS / "litellm"
KEY = "sk-bench"
START_SECONDS = 300.0


def install() -> None:
    """LiteLLM in .tools/litellm, never in .venv.

    Raises:
        StepFailed: the package index does not give it, or it does not fit this machine.
    """
    stamp = HOME / "installed"
    if stamp.exists() and stamp.read_text() == VERSION:
        return
    with one_at_a_time():
        say(f"installing LiteLLM {VERSION} into {HOME.relative_to(ROOT)}")
        env = environment(**uv_settings(pip_configuration(), os.environ))
        uv = [PYTHON, "-m", "uv"]
        run([*uv, "venv", "-q", "--clear", "--python", PYTHON, HOME], fix=INDEX_FIX, env=env)
        target = ["--python", HOME / "bin" / "python"]
        run([*uv, "pip", "install", "-q", *target, f"litellm[proxy]=={VERSION}"], fix=INDEX_FIX, env=env)
        stamp.write_text(VERSION)


@contextmanager
def serving_litellm(models: int) -> Iterator[tuple[int, int]]:
    """(port, process group) of a proxy on the servers' core. Nothing leaves the machine.

    Raises:
        RuntimeError: it does not serve.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        config, log = Path(directory) / "config.yaml", Path(directory) / "log"
        config.write_text(json.dumps(_config(models)))  # all JSON is YAML
        with log.open("wb") as output:
            child = subprocess.Popen(
                [*pin(SERVER_CORE), HOME / "bin" / "litellm", "--config", config, "--host", "127.0.0.1",
                 "--port", str(port), "--telemetry", "False"],
                cwd=directory,
                env=environment(LITELLM_LOCAL_MODEL_COST_MAP="True", DO_NOT_TRACK="true"),
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        try:
            started = time.perf_counter()
            while not _healthy(port):
                if child.poll() is not None or time.perf_counter() - started > START_SECONDS:
                    raise RuntimeError(f"LiteLLM does not serve: {log.read_text()[-2000:]}")
                time.sleep(0.1)
            yield port, child.pid
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGTERM)
                child.wait(60)


def _config(models: int) -> dict[str, object]:
    """Priced as ours are."""
    return {
        "model_list": [
            {
                "model_name": f"model-{number:05}",
                "litellm_params": {
                    "model": f"openai/vendor-model-{number:05}",
                    "api_key": "sk-" + "b" * 40,
                    "api_base": "http://127.0.0.1:9/v1",
                },
                "model_info": {
                    "mode": "chat",
                    "max_input_tokens": 128_000,
                    "max_output_tokens": 16_384,
                    "input_cost_per_token": 0.0000025,
                    "output_cost_per_token": 0.00001,
                },
            }
            for number in range(models)
        ],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"telemetry": False},
    }


def _healthy(port: int) -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request("GET", "/health/liveliness")
            return connection.getresponse().status == 200
    except OSError:
        return False
