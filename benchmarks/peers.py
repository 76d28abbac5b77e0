"""What a gateway asks for its models, here and of LiteLLM and MLflow, in turn; a call after the other."""

from __future__ import annotations

import http.client
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import litellm_proxy, mlflow_gateway
from benchmarks.load import measure
from benchmarks.processes import SERVER_CORE, Server, group_cpu_seconds
from benchmarks.reads import cases
from benchmarks.registry import fill, registry
from tests.support.servers.harness import instance
from tools.steps import StepFailed

MODELS = 1_000
CALLS_HERE, CALLS_THERE = 500, 3
"""In one repetition."""


@dataclass(slots=True)
class Asked:
    """One call of one server. ``read`` gives seconds and CPU seconds of each."""

    name: str
    size: int
    read: Callable[[], tuple[float, float]]
    readings: list[tuple[float, float]] = field(default_factory=list)


def peers(repetitions: int) -> None:
    """Those that install and start; the others are named with what they said."""
    missing = list[str]()
    with ExitStack() as stack:
        asked = list(stack.enter_context(_here()))
        for name, context in (("LiteLLM", _litellm()), ("MLflow", _mlflow())):
            try:
                asked += stack.enter_context(context)
            except (StepFailed, RuntimeError, OSError) as failure:
                missing.append(f"{name} is not compared: {failure}")
        for _ in range(repetitions):
            for each in random.sample(asked, len(asked)):
                each.readings.append(each.read())
    print(f"\n## Peers: {MODELS:,} models, one client, medians of {repetitions}\n")
    print("\n".join([*missing, ""] if missing else []), end="")
    print("| call | bytes | calls/s | CPU ms per call |")
    print("|---|---|---|---|")
    for each in asked:
        seconds, cpu = (median(values) for values in zip(*each.readings, strict=True))
        print(f"| {each.name} | {each.size:,} | {1 / seconds:,.2f} | {cpu * 1e3:,.2f} |")


@contextmanager
def _here() -> Iterator[list[Asked]]:
    with instance() as made:
        fill(made, MODELS)
        with registry(made) as (_, server):
            yield [
                Asked(f"here: {case.shown}", case.size, _reading(server, case.method, case.request))
                for case in cases(server)
            ]


def _reading(server: Server, method: str, request: bytes) -> Callable[[], tuple[float, float]]:
    def read() -> tuple[float, float]:
        reading = measure(server, method, request, calls=CALLS_HERE, concurrency=1)
        return 1 / reading.calls_per_second, reading.cpu_us / 1e6

    return read


@contextmanager
def _litellm() -> Iterator[list[Asked]]:
    litellm_proxy.install()
    headers = {"Authorization": f"Bearer {litellm_proxy.KEY}"}
    with litellm_proxy.serving_litellm(MODELS) as (port, group):
        title = f"LiteLLM {litellm_proxy.VERSION}"
        yield [_listing(title, path, port, group, headers) for path in ("/model/info", "/v1/models")]


@contextmanager
def _mlflow() -> Iterator[list[Asked]]:
    mlflow_gateway.install()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, mlflow_gateway.upstream() as url:
        gateway = mlflow_gateway.Gateway(Path(directory) / "mlflow.db", url)
        gateway.fill(MODELS, 1)
        gateway.fill_models(MODELS)
        with gateway.serving(1, core=SERVER_CORE) as server:
            title, root = f"MLflow {mlflow_gateway.VERSION}", "/api/3.0/mlflow/gateway"
            yield [
                _listing(title, f"{root}/{what}/list", server.port, server.group, {})
                for what in ("model-definitions", "secrets", "endpoints")
            ]


def _listing(title: str, path: str, port: int, group: int, headers: dict[str, str]) -> Asked:
    def read() -> tuple[float, float]:
        before, started = group_cpu_seconds(group), time.perf_counter()
        for _ in range(CALLS_THERE):
            _get(port, path, headers)
        seconds = time.perf_counter() - started
        return seconds / CALLS_THERE, (group_cpu_seconds(group) - before) / CALLS_THERE

    return Asked(f"{title} `{path}`", len(_get(port, path, headers)), read)


def _get(port: int, path: str, headers: dict[str, str]) -> bytes:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {content[:200]!r}")
    return content
